//! Which capabilities the program keeps.

use serde::{Deserialize, Serialize};

use crate::spec::CapabilitySet;

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
