//! `paddle delete`: what is left of a container. (People have `paddle rm`, which says what it did.)

use clap::Args;
use common::report::ExitCode;

use super::{Done, Globals};
use crate::lifecycle;
use crate::runtime::ContainerId;

/// Remove a container that has ended.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Kill it first if it runs; one that does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// The container
    #[arg(value_name = "ID")]
    id: ContainerId,
}

/// Removes it.
pub(super) fn run(arguments: &Arguments, globals: &Globals) -> Done {
    let states = globals.places.states()?;
    let hooks = lifecycle::delete(&states, &arguments.id, arguments.force)?;
    globals.warn_of(hooks.as_ref());
    Ok(ExitCode::Ok.into())
}
