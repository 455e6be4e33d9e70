//! `paddle rm`: forgets containers.

use clap::Args;
use common::report::{self, ExitCode};

use super::output::print;
use super::{Done, Places};
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
pub(super) fn run(arguments: &Arguments, places: &Places) -> Done {
    let states = places.states()?;
    let mut status = ExitCode::Ok;
    for name in &arguments.names {
        match runtime::remove(&states, name, arguments.force) {
            Ok(()) => print(&format!("{name}\n"))?,
            Err(error) => {
                report::fail(&error);
                status = ExitCode::Failed;
            }
        }
    }
    Ok(status.into())
}
