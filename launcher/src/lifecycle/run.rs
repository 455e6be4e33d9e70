//! `run --bundle`: create, start, and, in the foreground, everything up to the end.

use std::io;
use std::os::fd::AsFd as _;

use super::create::{Attendance, Entered, begin, enter, make, undo, wants_terminal};
use super::delete::forget;
use super::start::{Failed, start_held};
use super::{LifecycleError, Request};
use crate::runtime::{self, Exit, StateDirectory, Status, Timestamp};
use crate::spawn::{Ahead, SpawnError, Stdio};
use crate::supervise::{self, Ended, Limits, Signal, Signals, Streams, Wanted};

/// Whether `run` waits for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreground {
    /// No (`--detach`).
    No,
    /// Yes.
    Yes {
        /// Whether the state stays then (`--keep`).
        keep: bool,
    },
}

/// Runs the container. How its program ended, if that was waited for; and what went wrong with its poststop hooks.
pub fn run(
    request: &Request,
    states: &StateDirectory,
    foreground: Foreground,
) -> Result<(Option<Ended>, Option<SpawnError>), LifecycleError> {
    if request.bundle.spec.process().is_none() {
        return Err(LifecycleError::NoProcess(request.id.clone()));
    }
    let terminal = wants_terminal(&request.bundle.spec);
    let sent = request.handles.console_socket.is_some();
    match (terminal, sent) {
        (true, false) if foreground == Foreground::No => {
            return Err(LifecycleError::NoConsoleSocket);
        }
        (false, true) => return Err(LifecycleError::NoTerminal),
        _ => {}
    }
    let Foreground::Yes { keep } = foreground else {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let stdio = Stdio {
            stdin: stdin.as_fd(),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
            plain_lines: false,
        };
        let ahead = begin(request);
        let mut entered = enter(request, states, Attendance::Left)?;
        let started = make(&mut entered, &request.handles, stdio, ahead)
            .map_err(Failed::Start)
            .and_then(|_| start_held(&mut entered.held, &entered.plan.hooks));
        return match started {
            Ok(()) => Ok((None, None)),
            Err(Failed::Start(error) | Failed::Poststart(error)) => Err(undo(entered, error)),
        };
    };
    let signals = Signals::block().map_err(LifecycleError::Streams)?;
    let wanted = Wanted { tty: terminal && !sent, interactive: true };
    let streams = Streams::open(wanted).map_err(LifecycleError::Streams)?;
    let ahead = begin(request);
    let mut entered = enter(request, states, Attendance::Foreground { keep })?;
    match attend(&mut entered, request, &signals, streams, ahead) {
        Ok(ended) => Ok((Some(ended), settle(entered, ended, keep)?)),
        Err(error) => Err(undo(entered, error)),
    }
}

/// Makes and starts it, and looks after it until it ends.
fn attend(
    entered: &mut Entered,
    request: &Request,
    signals: &Signals,
    streams: Streams,
    ahead: Option<Ahead>,
) -> Result<Ended, LifecycleError> {
    let mut child = streams.lend(|stdio| make(entered, &request.handles, stdio, ahead))?;
    if request.handles.console_socket.is_some() {
        // It is somebody else's.
        child.console = None;
    }
    match start_held(&mut entered.held, &entered.plan.hooks) {
        Ok(()) => {}
        Err(Failed::Start(error) | Failed::Poststart(error)) => return Err(error),
    }
    let limits = Limits { timeout: None, stop_signal: Signal::TERM };
    Ok(supervise::wait(child, signals, streams, limits, None)?)
}

/// Clears after a container that ended; its state says how, and its groups what it used, or these go too.
pub(super) fn settle(
    entered: Entered,
    ended: Ended,
    keep: bool,
) -> Result<Option<SpawnError>, LifecycleError> {
    let Entered { mut held, plan, .. } = entered;
    if keep {
        runtime::clear_but_groups(held.state())?;
        let exit = Exit { code: ended.code(), out_of_memory: false };
        let finished = Timestamp::now();
        held.set_status(Status::Stopped { exit: Some(exit), finished })?;
        return Ok(None);
    }
    runtime::clear_ended(held.state())?;
    Ok(forget(held, &plan.hooks)?)
}
