//! `State`: what is known of one container, as it stands in `state.json`.
//!
//! It is written before the resources that it names exist, so that whoever finds it after the
//! launcher was killed can clean up everything, and nothing else.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ContainerId, ProcessId, Timestamp};
use crate::cgroup::CgroupPaths;

/// One container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its id, which is also the name of its folder.
    pub id: ContainerId,
    /// The image, as the person called it (already escaped for printing).
    pub image: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Whether everything goes when it ends (`--rm`).
    pub remove: bool,
    /// The store that holds its writable layer, if it has one.
    pub store: Option<PathBuf>,
    /// Its cgroups, if it has any.
    pub cgroup: CgroupPaths,
    /// Where it is in its life.
    pub status: Status,
}

/// Where a container is in its life. Names are those of the OCI runtime specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Status {
    /// Its resources are being made.
    Creating,
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
    /// The specification's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Running { .. } => "running",
            Self::Stopped { .. } => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_its_file() {
        let process = ProcessId { pid: 7, start_time: 8 };
        let exit = Some(Exit { code: 137, out_of_memory: true });
        for status in [
            Status::Creating,
            Status::Running { process },
            Status::Stopped { exit, finished: Timestamp(3) },
            Status::Stopped { exit: None, finished: Timestamp(3) },
        ] {
            let state = State {
                id: "web".parse().unwrap(),
                image: "curl:latest".to_owned(),
                command: vec!["/bin/true".to_owned()],
                created: Timestamp(1),
                remove: false,
                store: Some(PathBuf::from("/var/lib/coracle")),
                cgroup: CgroupPaths::default(),
                status,
            };
            let json = serde_json::to_vec(&state).unwrap();
            assert_eq!(serde_json::from_slice::<State>(&json).unwrap(), state);
        }
    }
}
