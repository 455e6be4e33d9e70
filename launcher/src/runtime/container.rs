//! `Container`: one container as it is now, looked up by its id. The one way in which verbs find it.

use std::path::PathBuf;

use oci_spec::runtime::Spec;

use super::held::read_config;
use super::sweep::clean_up;
use super::{ContainerId, ProcessId, RuntimeError, State, StateDirectory, Status, Timestamp};
use crate::cgroup;

/// A container, and where it is in its life at this moment.
#[derive(Debug, Clone)]
pub struct Container {
    /// What is known of it. Its status is the living one: a process 1 that is gone makes it stopped, whoever was to write
    /// that down.
    pub state: State,
    /// Its folder among the states.
    pub folder: PathBuf,
}

/// The container of this id.
pub fn find(states: &StateDirectory, id: &ContainerId) -> Result<Container, RuntimeError> {
    let mut state = states.read(id)?.ok_or_else(|| RuntimeError::Missing(id.clone()))?;
    state.status = current(&state).map_err(clean_up(id))?;
    Ok(Container { state, folder: states.path().join(id) })
}

/// All containers, oldest first; and what could not be read, which hides no other.
pub fn list(states: &StateDirectory) -> Result<(Vec<Container>, Vec<RuntimeError>), RuntimeError> {
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for id in states.ids()? {
        match find(states, &id) {
            Ok(container) => all.push(container),
            // Gone since the folder was read, or not entered yet.
            Err(RuntimeError::Missing(_)) => {}
            Err(error) => failures.push(error),
        }
    }
    all.sort_by(|one, other| {
        (one.state.created, &one.state.id).cmp(&(other.state.created, &other.state.id))
    });
    Ok((all, failures))
}

/// Where it is in its life at this moment, whatever was written down last.
pub fn current(state: &State) -> std::io::Result<Status> {
    match state.status.process() {
        Some(process) if !process.is_alive()? => {
            Ok(Status::Stopped { exit: None, finished: Timestamp::now() })
        }
        _ => Ok(state.status),
    }
}

impl Container {
    /// Its id.
    pub fn id(&self) -> &ContainerId {
        &self.state.id
    }

    /// The specification that is in force.
    pub fn spec(&self) -> Result<Spec, RuntimeError> {
        read_config(&self.folder)
    }

    /// The specification's word for where it is in its life; `paused` is what its cgroup says.
    pub fn status_word(&self) -> &'static str {
        if self.is_paused() { "paused" } else { self.state.status.word() }
    }

    /// Whether it runs and is stopped where it is. The cgroup knows: nobody else who pauses it would tell us.
    pub fn is_paused(&self) -> bool {
        matches!(self.state.status, Status::Running { .. })
            && !self.state.cgroup.is_empty()
            && cgroup::reopen(&self.state.cgroup).frozen().unwrap_or(false)
    }

    /// Process 1 of one that is created or running.
    pub fn process(&self) -> Result<ProcessId, RuntimeError> {
        let status = self.state.status;
        status.process().ok_or_else(|| RuntimeError::NotRunning {
            id: self.state.id.clone(),
            status: status.word(),
        })
    }
}
