//! Which capabilities the program keeps.

use oci_spec::runtime::{Capabilities, LinuxCapabilities};
use serde::{Deserialize, Serialize};

use crate::spec::{Capability, CapabilitySet};

/// The five sets of a process, as they are at exec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilitySets {
    /// The most that any exec can ever give.
    pub bounding: CapabilitySet,
    /// In force.
    pub effective: CapabilitySet,
    /// What may be put in force.
    pub permitted: CapabilitySet,
    /// Kept across exec of a file that says so. Empty by default: a non-empty one let every user of
    /// a container gain capabilities through set-capability files (CVE-2022-29162).
    pub inheritable: CapabilitySet,
    /// Kept across every exec. Empty by default.
    pub ambient: CapabilitySet,
}

impl CapabilitySets {
    /// As given. What is not given is empty: nothing is held that was not asked for.
    pub(super) fn of(sets: Option<&LinuxCapabilities>) -> Self {
        let set = |list: Option<&Capabilities>| -> CapabilitySet {
            // Collected into a set of bits, so the order of the hash set does not matter.
            list.into_iter().flatten().map(|&one| Capability::from_oci(one)).collect()
        };
        let Some(sets) = sets else { return Self::default() };
        Self {
            bounding: set(sets.bounding().as_ref()),
            effective: set(sets.effective().as_ref()),
            permitted: set(sets.permitted().as_ref()),
            inheritable: set(sets.inheritable().as_ref()),
            ambient: set(sets.ambient().as_ref()),
        }
    }
}
