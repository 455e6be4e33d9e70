//! `paddle rm`: forgets containers.

use clap::Args;
use common::report::{self, ExitCode};

use super::output::print;
use super::{Done, Globals};
use crate::lifecycle::{self, LifecycleError};
use crate::runtime::{self, ContainerId};

/// Remove containers that have ended; with --force, running ones as well.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Kill running containers first
    #[arg(short, long)]
    force: bool,
    /// The containers
    #[arg(required = true, value_name = "NAME")]
    names: Vec<ContainerId>,
}

/// Removes each that can be removed, prints its name, and reports the others.
pub(super) fn run(arguments: &Arguments, globals: &Globals) -> Done {
    let states = globals.places.states()?;
    let mut status = ExitCode::Ok;
    for name in &arguments.names {
        // Other than `delete --force`, which is for programs, this says when there was nothing to remove.
        let removed = runtime::find(&states, name)
            .map_err(LifecycleError::from)
            .and_then(|_| lifecycle::delete(&states, name, arguments.force));
        match removed {
            Ok(hooks) => {
                globals.warn_of(hooks.as_ref());
                print(&format!("{name}\n"))?;
            }
            Err(error) => {
                report::print(&error);
                status = ExitCode::Failed;
            }
        }
    }
    Ok(status.into())
}
