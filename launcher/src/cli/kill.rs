//! `paddle kill`: a signal for a container.

use clap::Args;
use common::report::ExitCode;

use super::{Done, Globals};
use crate::lifecycle;
use crate::runtime::ContainerId;
use crate::supervise::{Signal, SignalError};

/// Send a signal to a container's process 1.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// To all of its processes
    #[arg(short, long)]
    all: bool,
    /// The container
    #[arg(value_name = "ID")]
    id: ContainerId,
    /// A name, with or without SIG, or a number; 0 sends nothing and asks whether it runs
    #[arg(value_name = "SIGNAL", default_value = "TERM", value_parser = sendable)]
    signal: Signal,
}

/// A signal, or none (kill(2)).
fn sendable(text: &str) -> Result<Signal, SignalError> {
    if text == "0" { Ok(Signal::PROBE) } else { text.parse() }
}

/// Sends it.
pub(super) fn run(arguments: &Arguments, globals: &Globals) -> Done {
    let states = globals.places.states()?;
    if arguments.all {
        lifecycle::kill_all(&states, &arguments.id, arguments.signal)?;
    } else {
        lifecycle::kill(&states, &arguments.id, arguments.signal)?;
    }
    Ok(ExitCode::Ok.into())
}
