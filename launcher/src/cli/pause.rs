//! `paddle pause` and `paddle resume`: all processes of a container stop where they are, and go on.

use clap::Args;
use common::report::{Diagnostic, ExitCode};

use super::{Done, Places};
use crate::cgroup;
use crate::runtime::{self, ContainerId};

/// Stop all processes of a container where they are, until `paddle resume`.
#[derive(Debug, Args)]
pub(super) struct Pause {
    /// The container
    #[arg(value_name = "NAME")]
    id: ContainerId,
}

/// Let a paused container go on.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The container
    #[arg(value_name = "NAME")]
    id: ContainerId,
}

/// A container that is not in the state to be paused or resumed.
#[derive(Debug, thiserror::Error)]
enum PauseError {
    #[error("container paused: `{0}` is already")]
    Paused(ContainerId),
    #[error("container not paused: `{0}`")]
    NotPaused(ContainerId),
    #[error("container `{0}` has no cgroup, so it cannot be paused")]
    NoCgroup(ContainerId),
}

impl Diagnostic for PauseError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Paused(id) => Some(format!("`paddle resume {id}` lets it go on")),
            Self::NotPaused(_) => None,
            Self::NoCgroup(_) => Some(
                "a cgroup of its own has a container that root runs, or one with a limit that is \
                 delegated to its user"
                    .to_owned(),
            ),
        }
    }
}

/// Freezes it.
pub(super) fn pause(arguments: &Pause, places: &Places) -> Done {
    set(&arguments.id, places, true)
}

/// Thaws it.
pub(super) fn resume(arguments: &Resume, places: &Places) -> Done {
    set(&arguments.id, places, false)
}

fn set(id: &ContainerId, places: &Places, freeze: bool) -> Done {
    let container = runtime::find(&places.states()?, id)?;
    container.process()?;
    if container.state.cgroup.is_empty() {
        return Err(PauseError::NoCgroup(id.clone()).into());
    }
    let group = cgroup::reopen(&container.state.cgroup);
    match (group.frozen()?, freeze) {
        (true, true) => Err(PauseError::Paused(id.clone()).into()),
        (false, false) => Err(PauseError::NotPaused(id.clone()).into()),
        _ => {
            group.freeze(freeze)?;
            Ok(ExitCode::Ok.into())
        }
    }
}
