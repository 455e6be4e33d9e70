//! Cgroups: which groups a container gets, how they are made, joined, watched, killed and removed.
//! One trait for v1, v2 and hybrid hosts.
//!
//! ```text
//! plan      LinuxResources + Host -> CgroupPlan        pure; decides hierarchies, files and values
//! limits    one limit -> the file and value that each interface has for it (weight: on which scale)
//! devices   device rules -> v1 lines, or a v2 eBPF program
//! create    CgroupPlan -> groups on disk, or nothing
//! v1 v2     what differs between the interfaces once the groups exist
//! ```
//!
//! A group is `<anchor>/coracle/<id>` in every hierarchy that is needed, and in no other: each costs
//! about 100 microseconds a start. The host's root anchors at the hierarchy's root; everybody else in
//! the nearest group that is delegated to them. As root a group is made even without limits, because
//! it is what "kill all of it" and "was it the OOM killer" are asked of. The empty folder `coracle`
//! stays, as other runtimes' parents do: limits set on it hold for all containers together.
//!
//! This module knows nothing of processes but their ids in `cgroup.procs`: the child joins itself
//! ([`Join`]), since moving a running process waits for an RCU grace period of milliseconds.

mod bytes;
mod create;
mod devices;
mod error;
mod folder;
mod limit;
mod limits;
mod plan;
mod stats;
mod v1;
mod v2;
mod weight;

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use bytes::{Bytes, BytesError};
pub use create::create;
pub use devices::{Access, DeviceKind, DeviceRule};
pub use error::{CgroupError, Unavailable};
pub use limit::Limit;
pub use plan::{Request, plan};
pub use stats::Stats;
pub use weight::{shares_to_weight, weight_to_shares};

use crate::host::{Controller, Version};

/// The groups of one container, as they will be made. Empty when an ordinary user asks for no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CgroupPlan {
    /// In the order of creation, one for each hierarchy; at most one is v2.
    pub groups: Vec<GroupPlan>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPlan {
    /// The interface of its hierarchy.
    pub version: Version,
    /// The folder, which exists, below which everything is made.
    pub anchor: PathBuf,
    /// The group's folder, below `anchor`. Folders between the two are made where they are missing.
    pub path: PathBuf,
    /// The controllers that it has because they were asked for, or because they are cheap and useful.
    pub controllers: BTreeSet<Controller>,
    /// What is written into it, in this order.
    pub settings: Vec<Setting>,
    /// v2 only: the device rules for the eBPF program; `None` leaves devices alone.
    pub devices: Option<Vec<DeviceRule>>,
}

/// One value to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What the person asked for.
    pub limit: Limit,
    /// File and value. The first file that the kernel has is written; the others are its other names
    /// (`blkio.bfq.weight`, `blkio.weight`).
    pub choices: Vec<(String, String)>,
}

/// Where the groups of a container are: what another process needs to find them again. Known from
/// the plan, so that it can be written to the state before a group is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CgroupPaths(pub Vec<GroupPath>);

/// Where one group is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPath {
    /// The interface of its hierarchy.
    pub version: Version,
    /// Its controllers.
    pub controllers: BTreeSet<Controller>,
    /// The absolute folder.
    pub path: PathBuf,
}

impl CgroupPlan {
    /// Whether there is nothing to make.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Where the groups will be.
    pub fn paths(&self) -> CgroupPaths {
        let paths = self.groups.iter().map(|group| GroupPath {
            version: group.version,
            controllers: group.controllers.clone(),
            path: group.path.clone(),
        });
        CgroupPaths(paths.collect())
    }
}

/// How a child joins its groups, before it runs anything. It must be single-threaded.
#[derive(Debug, Default)]
pub struct Join {
    /// The v2 group's folder, for `CLONE_INTO_CGROUP` of `clone3(2)`.
    pub v2: Option<OwnedFd>,
    /// The v1 groups' `tasks`, open for writing: the child writes `0` into each, which moves the
    /// calling thread, within 30 microseconds and without waiting for other CPUs.
    pub v1: Vec<OwnedFd>,
}

/// The groups of one container, which exist (or did until lately).
pub trait Cgroup: fmt::Debug {
    /// Where they are.
    fn paths(&self) -> &CgroupPaths;

    /// Opens what the child needs in order to join.
    ///
    /// # Errors
    /// A group is gone, or not ours to join.
    fn join(&self) -> Result<Join, CgroupError>;

    /// Sends SIGKILL to every process in the groups and in groups below them, such that no fork escapes.
    /// Returns when the signals are sent, not when the processes are gone. Groups that are gone count
    /// as killed.
    ///
    /// # Errors
    /// A process cannot be signalled, or new ones appear without end.
    fn kill(&self) -> Result<(), CgroupError>;

    /// The processes in the groups and below, as our pid namespace numbers them, sorted.
    ///
    /// # Errors
    /// A group cannot be read.
    fn processes(&self) -> Result<Vec<u32>, CgroupError>;

    /// Stops all processes where they are, or lets them go on. v1 needs the `freezer` controller, which
    /// is only joined when the plan asked for it.
    ///
    /// # Errors
    /// No freezer, or it does not report the wanted state within 10 seconds.
    fn freeze(&self, frozen: bool) -> Result<(), CgroupError>;

    /// How many processes the kernel killed because the memory limit was reached. 0 without the memory
    /// controller.
    ///
    /// # Errors
    /// The counter cannot be read.
    fn oom_kills(&self) -> Result<u64, CgroupError>;

    /// What the groups use; a value is missing where its controller is.
    ///
    /// # Errors
    /// A file that should be there cannot be read.
    fn stats(&self) -> Result<Stats, CgroupError>;

    /// Removes the groups and all groups below them, waiting up to 5 seconds for processes that have
    /// been killed to be gone. Groups that are gone already count as removed.
    ///
    /// # Errors
    /// A process stays.
    fn remove(&self) -> Result<(), CgroupError>;
}

/// The groups of a container that another process made, from its state.
pub fn reopen(paths: &CgroupPaths) -> Box<dyn Cgroup> {
    let (v2, v1) = paths.0.iter().cloned().partition::<Vec<_>, _>(|g| g.version == Version::V2);
    match (v1.is_empty(), v2.into_iter().next()) {
        (true, Some(group)) => Box::new(v2::Unified::new(group)),
        (_, group) => Box::new(v1::Legacy::new(v1, group)),
    }
}
