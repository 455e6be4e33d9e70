//! `paddle start`: the program of a container that was created.

use clap::Args;
use common::report::ExitCode;

use super::{Done, Globals};
use crate::lifecycle;
use crate::runtime::ContainerId;

/// Start the program of a container that was created.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The container
    #[arg(value_name = "ID")]
    id: ContainerId,
}

/// Starts it.
pub(super) fn run(arguments: &Arguments, globals: &Globals) -> Done {
    lifecycle::start(&globals.places.states()?, &arguments.id)?;
    Ok(ExitCode::Ok.into())
}
