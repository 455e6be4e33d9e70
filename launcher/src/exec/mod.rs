//! The whole way of `paddle exec`: a further program in a container that runs.
//!
//! ```text
//! Request -> Container -> Process -> EnterPlan -> Child -> Ended, or nothing for one that is left alone
//!            runtime/     process    plan/        spawn/   supervise/
//! ```

mod error;
mod groups;
mod process;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{BoxBuilder, Process};
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal as KernelSignal;

use crate::cgroup;
use crate::host::Host;
use crate::plan::{self, Manner};
use crate::resctrl;
use crate::runtime::{self, ContainerId, RuntimeError, StateDirectory};
use crate::spawn::{self, Child, Handles, Inside, Sockets, Stdio};
use crate::spec::PassedOver;
use crate::supervise::{self, Ended, Limits, Signal, Signals, Streams, Wanted};

pub use error::ExecError;
pub use groups::{Subgroup, SubgroupError};
pub use process::{Changes, Program};

/// What `paddle exec` was asked for.
#[derive(Debug)]
pub struct Request {
    /// In which container.
    pub id: ContainerId,
    /// What runs.
    pub program: Program,
    /// Whether nobody waits for it.
    pub detach: bool,
    /// Also in a container that is paused: it starts when that goes on.
    pub ignore_paused: bool,
    /// In which groups below the container's.
    pub subgroups: Vec<Subgroup>,
    /// Where its handles go.
    pub handles: Handles,
    /// How many descriptors of the caller's, from 3 on, it keeps.
    pub preserved: u32,
}

/// What there is to say beside how it ended.
#[derive(Debug, Clone, Copy)]
pub enum Note<'a> {
    /// What was decided, in words.
    Decided(&'a str),
    /// What was asked for and is not to be had.
    PassedOver(&'a PassedOver),
}

/// Runs it to its end; `None` for one that is detached, which runs by then. `note` is told what there is to say.
///
/// # Errors
/// It was not started, or is dead.
pub fn exec(
    request: &Request,
    states: &StateDirectory,
    note: impl Fn(Note<'_>),
) -> Result<Option<Ended>, ExecError> {
    let container = runtime::find(states, &request.id)?;
    let first = container.process()?;
    let stopped = || RuntimeError::NotRunning { id: request.id.clone(), status: "stopped" };
    if !request.ignore_paused && container.is_paused() {
        return Err(ExecError::Paused(request.id.clone()));
    }
    let inside = Inside::of(first).map_err(ExecError::Inside)?.ok_or_else(stopped)?;
    let spec = container.spec()?;
    let mut process = request.program.process(&spec, &inside, &note)?;
    let terminal = process.terminal().unwrap_or(false);
    check_terminal(request, terminal)?;
    if terminal && !request.detach {
        set_console_size(&mut process);
    }
    let bundle = container.state.bundle.as_deref();
    let manner = Manner {
        id: request.id.as_str(),
        first: first.pid,
        bundle,
        foreground: !request.detach,
        preserved: request.preserved,
        session_keyring: bundle.is_some() && !container.state.no_new_keyring,
    };
    let plan = plan::enter(&spec, &process, manner, &Host::probe()?)?;
    for (when, processors) in plan.process.affinity.stages() {
        note(Note::Decided(&format!("{when} affinity: {processors}")));
    }
    let sockets = request.handles.connect()?;
    let paths = groups::paths(&container.state.cgroup, &request.subgroups)?;
    let group = cgroup::reopen(&paths);
    let mut join = if request.subgroups.is_empty() {
        group.join_beside(first.pid.unsigned_abs())?
    } else {
        group.join()?
    };
    if let Some(class) = &container.state.rdt {
        join.v1.extend(class.tasks(Path::new(resctrl::ROOT))?);
    }
    if request.detach {
        let child = lend_own(|stdio| Ok(spawn::enter(&plan, &inside, &join, stdio)?))?;
        hand_over(request, &sockets, &child)?;
        return Ok(None);
    }
    // From here on a signal waits until there is a process that it can be passed on to.
    let signals = Signals::block().map_err(ExecError::Signals)?;
    let streams =
        Streams::open(Wanted { tty: terminal, interactive: true }).map_err(ExecError::Streams)?;
    let child = streams.lend(|stdio| spawn::enter(&plan, &inside, &join, stdio))?;
    hand_over(request, &sockets, &child)?;
    let limits = Limits { timeout: None, stop_signal: Signal::TERM };
    Ok(Some(supervise::wait(child, &signals, streams, limits, None)?))
}

/// A terminal needs somebody who has its other side.
fn check_terminal(request: &Request, terminal: bool) -> Result<(), ExecError> {
    match (terminal, request.detach, request.handles.console_socket.is_some()) {
        (true, true, false) => Err(ExecError::NoConsoleSocket),
        (false, _, true) | (_, false, true) => Err(ExecError::UselessConsoleSocket),
        _ => Ok(()),
    }
}

/// A terminal inside starts with the size of the caller's, before the program can ask for it.
fn set_console_size(process: &mut Process) {
    let size = supervise::window_size()
        .and_then(|size| BoxBuilder::default().width(size.ws_col).height(size.ws_row).build().ok());
    if size.is_some() {
        process.set_console_size(size);
    }
}

/// Lends the caller's own three descriptors. A terminal among them is not passed in (R9): nobody is there to copy, so it
/// is `/dev/null` instead.
fn lend_own<R>(spawn: impl FnOnce(Stdio<'_>) -> Result<R, ExecError>) -> Result<R, ExecError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let null: OwnedFd = rustix::fs::open("/dev/null", flags, Mode::empty())
        .map_err(|errno| ExecError::Streams(errno.into()))?;
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let own = |fd| if rustix::termios::isatty(fd) { null.as_fd() } else { fd };
    spawn(Stdio {
        stdin: own(stdin.as_fd()),
        stdout: own(stdout.as_fd()),
        stderr: own(stderr.as_fd()),
        plain_lines: false,
    })
}

/// Tells everybody who wants to know who the process is. A process of which they could not be told is of no use.
fn hand_over(request: &Request, sockets: &Sockets, child: &Child) -> Result<(), ExecError> {
    let told = sockets.send(child).and_then(|()| request.handles.write_pid(child.pid));
    if told.is_err() {
        let _ = rustix::process::pidfd_send_signal(&child.pidfd, KernelSignal::KILL);
    }
    Ok(told?)
}
