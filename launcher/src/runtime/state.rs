//! `State`: what is known of one container, as it stands in `state.json`.
//!
//! It is written before the resources that it names exist, so that whoever finds it after the
//! launcher was killed can clean up everything, and nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ContainerId, ProcessId, Timestamp};
use crate::cgroup::CgroupPaths;
use crate::plan::Hooks;
use crate::resctrl::Class;

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its id, which is also the name of its folder.
    pub id: ContainerId,
    /// The image, as the person called it, or the path of its bundle (already escaped for printing).
    pub image: String,
    /// The folder of its bundle; `None` for a container of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<PathBuf>,
    /// What it mounts in the host's own mount namespace, where it has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounted: Option<Mounted>,
    /// The specification's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Whether a process looks after it, whose death is its own. Not so for one that was made by `create`:
    /// that stays until it is deleted, whatever dies.
    #[serde(default = "yes")]
    pub monitored: bool,
    /// The program and its arguments; nothing where a bundle names no process.
    pub command: Vec<String>,
    /// Its hooks that are still to run, of a bundle: those after the start and after the end. `None` of a `paddle` that kept
    /// them in the specification alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether everything goes when it ends (`--rm`).
    pub remove: bool,
    /// The store that holds its writable layer, if it has one.
    pub store: Option<PathBuf>,
    /// Its cgroups, if it has any.
    pub cgroup: CgroupPaths,
    /// Whether its processes have no session keyring of the container's (`--no-new-keyring`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_new_keyring: bool,
    /// Its class of service, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdt: Option<Class>,
    /// Where it is in its life.
    pub status: Status,
}

/// A root that is mounted where everyone sees it, with all that is mounted below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// Where.
    pub path: PathBuf,
    /// Which mount ([`mount_at`](super::mount_at)) was there before, to stop at.
    pub before: u64,
}

/// Where a container is in its life. Names are those of the OCI runtime specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Status {
    /// Its resources are being made.
    Creating,
    /// Everything is made, and process 1 waits to be started.
    Created {
        /// Process 1 of the container, as the host sees it.
        process: ProcessId,
    },
    /// Its program runs.
    Running {
        /// Process 1 of the container, as the host sees it.
        process: ProcessId,
    },
    /// Its program ended; only the state is left.
    Stopped {
        /// How, unless the launcher was killed and nobody saw it.
        exit: Option<Exit>,
        /// When this was noticed.
        finished: Timestamp,
    },
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The status that `paddle run` ended with.
    pub code: u8,
    /// Whether the kernel killed it for want of memory.
    pub out_of_memory: bool,
}

impl Status {
    /// Process 1, where there is one.
    pub fn process(self) -> Option<ProcessId> {
        match self {
            Self::Created { process } | Self::Running { process } => Some(process),
            Self::Creating | Self::Stopped { .. } => None,
        }
    }

    /// Whether the program has ended.
    pub fn is_stopped(self) -> bool {
        matches!(self, Self::Stopped { .. })
    }

    /// The specification's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created { .. } => "created",
            Self::Running { .. } => "running",
            Self::Stopped { .. } => "stopped",
        }
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::ProcessMark;

    #[test]
    fn a_state_survives_its_file() {
        let process = |mark| ProcessId { pid: 7, mark };
        let [new, old] = [ProcessMark::Inode(8), ProcessMark::StartTime(8)].map(process);
        let exit = Some(Exit { code: 137, out_of_memory: true });
        for status in [
            Status::Creating,
            Status::Created { process: new },
            Status::Running { process: old },
            Status::Stopped { exit, finished: Timestamp(3) },
            Status::Stopped { exit: None, finished: Timestamp(3) },
        ] {
            let state = State {
                id: "web".parse().unwrap(),
                image: "curl:latest".to_owned(),
                bundle: Some(PathBuf::from("/bundle")),
                annotations: [("a".to_owned(), "b".to_owned())].into(),
                monitored: false,
                mounted: Some(Mounted { path: PathBuf::from("/bundle/rootfs"), before: 3 }),
                command: vec!["/bin/true".to_owned()],
                hooks: None,
                created: Timestamp(1),
                remove: false,
                store: Some(PathBuf::from("/var/lib/coracle")),
                cgroup: CgroupPaths::default(),
                no_new_keyring: true,
                rdt: None,
                status,
            };
            let json = serde_json::to_vec(&state).unwrap();
            assert_eq!(serde_json::from_slice::<State>(&json).unwrap(), state);
            // One of a paddle that knew less.
            let mut json = serde_json::to_value(&state).unwrap();
            json.as_object_mut().unwrap().remove("no_new_keyring");
            let known = State { no_new_keyring: false, ..state };
            assert_eq!(serde_json::from_value::<State>(json).unwrap(), known);
        }
    }
}
