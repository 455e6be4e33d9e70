//! Cgroups: which groups a container gets, how they are made, joined, watched, killed and removed.
//! One trait for v1, v2 and hybrid hosts.
//!
//! ```text
//! plan      LinuxResources + Host -> CgroupPlan        pure; decides hierarchies, files and values
//! limits    one limit -> the file and value that each interface has for it (weight: on which scale)
//! devices   device rules -> v1 lines, or a v2 eBPF program
//! create    CgroupPlan -> groups on disk, or nothing
//! update    LinuxResources -> groups that exist, all or nothing
//! realtime  room for budgets in the folder that all containers share
//! v1 v2     what differs between the interfaces once the groups exist
//! stats     what is used; watch: when memory ran out
//! ```
//!
//! A group is `<anchor>/coracle/<id>`, or where a bundle wants it. The host's root anchors at the hierarchy's root;
//! everybody else in the nearest group that is delegated to them. A container of an image gets groups where a limit needs
//! them, and no others: each costs about 100 microseconds a start. A container that an engine looks after gets all
//! controllers, since the engine will pause, measure and update it. As root a group is made even without limits, because
//! it is what "kill all of it" and "was it the OOM killer" are asked of. The empty folder `coracle`
//! stays, as other runtimes' parents do: limits set on it hold for all containers together.
//!
//! This module knows nothing of processes but their ids in `cgroup.procs`: the child joins itself
//! ([`Join`]), since moving a running process waits for an RCU grace period of milliseconds.

mod bytes;
mod create;
mod devices;
mod driver;
mod error;
mod folder;
mod hint;
mod limit;
mod limits;
mod plan;
mod realtime;
pub mod stats;
pub mod systemd;
mod update;
mod v1;
mod v2;
mod watch;
mod weight;
mod write;

use std::collections::BTreeSet;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci_spec::runtime::LinuxResources;
use serde::{Deserialize, Serialize};

pub use bytes::{Bytes, BytesError};
pub use create::create;
pub use devices::{Access, DeviceKind, DeviceRule};
pub use driver::{Driver, DriverError};
pub use error::{CgroupError, Unavailable};
pub use limit::Limit;
pub use plan::{Request, plan};
pub use stats::Stats;
pub use systemd::{ScopePlan, Unit};
pub use watch::{OomEvent, OomWatch};
pub use weight::{shares_to_weight, weight_to_shares};

use crate::host::{Controller, Version};

/// The groups of one container, as they will be made. Empty when an ordinary user asks for no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CgroupPlan {
    /// In the order of creation, one for each hierarchy; at most one is v2.
    pub groups: Vec<GroupPlan>,
    /// The scope that the groups belong to, where systemd makes them.
    pub scope: Option<ScopePlan>,
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
    /// The controllers that it must have, because a limit needs them.
    pub needed: BTreeSet<Controller>,
    /// The controllers that it gets where they are to be had: they are cheap and useful.
    pub welcome: BTreeSet<Controller>,
    /// Whether a group that exists already is taken when nothing lives in it: its place was the caller's choice.
    pub reuse: bool,
    /// What is written into it, in this order.
    pub settings: Vec<Setting>,
    /// v2 only: the device rules for the eBPF program; `None` leaves devices alone.
    pub devices: Option<Vec<DeviceRule>>,
    /// v2 only: the user to whom the group is handed, so that the container can make groups of its own in it.
    pub owner: Option<u32>,
}

impl GroupPlan {
    /// All controllers that it may have.
    pub fn controllers(&self) -> BTreeSet<Controller> {
        self.needed.union(&self.welcome).copied().collect()
    }
}

/// One value to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// What the person asked for.
    pub limit: Limit,
    /// File and value. The first file that the kernel has is written; the others are its other names
    /// (`blkio.bfq.weight`, `blkio.weight`).
    pub choices: Vec<(String, String)>,
    /// Whether a kernel without any of the files loses nothing.
    pub optional: bool,
}

/// Where the groups of a container are: what another process needs to find them again. Known from
/// the plan, so that it can be written to the state before a group is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CgroupPaths {
    /// One for each hierarchy.
    pub groups: Vec<GroupPath>,
    /// The scope that they belong to, where systemd made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

impl CgroupPaths {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

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

    /// Hands the v2 group to a user (config-linux.md, "Cgroup ownership").
    pub fn hand_to(&mut self, owner: u32) {
        for group in self.groups.iter_mut().filter(|group| group.version == Version::V2) {
            group.owner = Some(owner);
        }
    }

    /// Where the groups will be.
    pub fn paths(&self) -> CgroupPaths {
        let paths = self.groups.iter().map(|group| GroupPath {
            version: group.version,
            controllers: group.controllers(),
            path: group.path.clone(),
        });
        let unit = self.scope.as_ref().map(|scope| scope.unit.clone());
        CgroupPaths { groups: paths.collect(), unit }
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
    /// A scope that systemd makes around the child: the parent [starts](systemd::Pending::start) it, and the child waits
    /// for that before it does anything that a group counts or a cgroup namespace shows.
    pub scope: Option<systemd::Pending>,
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

    /// Opens what a further process needs in order to join. A container that is handed its v2 group may have made groups
    /// below it and moved its first process there; then the group itself may hold none any more, and the newcomer joins
    /// `process`, a process of the container, where it is.
    ///
    /// # Errors
    /// As [`Cgroup::join`].
    fn join_beside(&self, process: u32) -> Result<Join, CgroupError>;

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
    /// only a container has whose request was `complete`.
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

    /// Whether [`Cgroup::freeze`] was asked to stop them (or somebody above was).
    ///
    /// # Errors
    /// The state cannot be read.
    fn frozen(&self) -> Result<bool, CgroupError>;

    /// Changes the limits that are given, and no other. A limit whose controller the container does not have yet gets
    /// it: then [`Cgroup::paths`] has grown, and the caller writes it to the state.
    ///
    /// # Errors
    /// A limit that cannot be kept, or a value that the kernel refuses: then the others are as they were.
    fn update(&mut self, resources: &LinuxResources) -> Result<(), CgroupError>;

    /// Reports when processes are killed for want of memory, and when the container is gone.
    ///
    /// # Errors
    /// The container has no memory controller, or the kernel does not report it.
    fn watch_memory(&self) -> Result<OomWatch, CgroupError>;

    /// What the groups use; a value is zero where its controller is missing.
    ///
    /// # Errors
    /// A file cannot be read or understood.
    fn stats(&self) -> Result<Stats, CgroupError>;

    /// Removes the groups if nothing lives in them and none is below them; whether all are gone. The short way for what has ended
    /// as it should.
    fn remove_empty(&self) -> bool {
        let remove = |group: &GroupPath| {
            realtime::give_back(group);
            folder::remove_empty(&group.path)
        };
        self.paths().unit.is_none() && self.paths().groups.iter().all(remove)
    }

    /// Removes the groups and all groups below them, waiting up to 5 seconds for processes that have
    /// been killed to be gone. Groups that are gone already count as removed.
    ///
    /// # Errors
    /// A process stays.
    fn remove(&self) -> Result<(), CgroupError>;
}

/// The groups of a container that another process made, from its state.
pub fn reopen(paths: &CgroupPaths) -> Box<dyn Cgroup> {
    if paths.unit.is_some() {
        return Box::new(systemd::Scoped::reopen(paths.clone()));
    }
    let (v2, v1) =
        paths.groups.iter().cloned().partition::<Vec<_>, _>(|g| g.version == Version::V2);
    match (v1.is_empty(), v2.into_iter().next()) {
        (true, Some(group)) => Box::new(v2::Unified::new(group)),
        (_, group) => Box::new(v1::Legacy::new(v1, group)),
    }
}
