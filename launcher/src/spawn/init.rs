//! Process 1 of a container that asked for one: starts the program, passes signals on, reaps whatever is orphaned, and
//! ends as the program ended.
//!
//! It is this very program, but executed from a sealed copy in memory: what `/proc/1/exe` leads to is neither the host's
//! file nor writable (CVE-2019-5736). It is started with the container's own rights, behind its filter, and is told by
//! its arguments what to do: `paddle-init DESCRIPTOR TTY PROGRAM [ARGUMENTS]`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};

use super::handshake;
use super::step::{At, Failure};
use super::{Step, ourselves, program};
use crate::sys;

/// The name by which the copy knows what it is.
const NAME: &str = "paddle-init";

/// Tells the program's process that process 1 holds nothing more. Whoever else sends it meanwhile loses nothing: by default it does
/// nothing.
const RELEASE: i32 = libc::SIGURG;

/// What the launcher prepares.
#[derive(Debug)]
pub(super) struct Init {
    image: OwnedFd,
    arguments: sys::exec::Strings,
}

impl Init {
    /// The sealed copy, and its arguments; `socket` keeps its number in the child.
    pub(super) fn new(
        socket: BorrowedFd<'_>,
        terminal: bool,
        argv: &[String],
    ) -> Result<Self, Errno> {
        let own = [
            NAME.to_owned(),
            socket.as_raw_fd().to_string(),
            if terminal { "tty" } else { "-" }.to_owned(),
        ];
        let arguments = sys::exec::Strings::new(own.iter().chain(argv).map(String::as_str));
        Ok(Self { image: ourselves::copy(NAME)?, arguments: arguments.or(Err(Errno::INVAL))? })
    }
}

impl Init {
    /// The copy's descriptor.
    pub(super) fn image(&self) -> std::os::fd::RawFd {
        self.image.as_raw_fd()
    }
}

/// In the child, last of all: becomes process 1. Returns only to say why not.
pub(super) fn execute(
    init: &Init,
    environment: &sys::exec::Strings,
    socket: BorrowedFd<'_>,
) -> Failure {
    // The one descriptor that passes this exec, marked again by the copy before the program's.
    let kept = rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty());
    let errno = match kept {
        Ok(()) => sys::exec::exec_descriptor(&init.image, &init.arguments, environment),
        Err(errno) => errno,
    };
    Failure { step: Step::Init, object: NAME.to_owned(), errno }
}

/// Process 1's whole life, when this process was started to be one; `None` when it was not. To be asked by `main` before
/// anything else; the answer is the status to end with.
pub fn entry() -> Option<u8> {
    if std::env::args_os().next()? != NAME {
        return None;
    }
    let mut arguments = std::env::args().skip(1);
    let socket: i32 = arguments.next()?.parse().ok().filter(|&fd| fd > 2)?;
    let terminal = arguments.next()? == "tty";
    Some(run(sys::exec::inherited(socket).ok()?, terminal, &arguments.collect::<Vec<_>>()))
}

fn run(socket: OwnedFd, terminal: bool, argv: &[String]) -> u8 {
    match start(&socket, terminal, argv) {
        Ok(program) => {
            // The launcher takes the end of file for the program's exec: only the program may keep it open. And the program is
            // not to find it here.
            drop(socket);
            let _ = sys::signal::send(program, RELEASE);
            reap(program)
        }
        Err(failure) => {
            handshake::fail(socket.as_fd(), &failure);
            125
        }
    }
}

/// Starts the program, with every signal blocked on our side: they wait to be passed on.
fn start(socket: &OwnedFd, terminal: bool, argv: &[String]) -> Result<Pid, Failure> {
    rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC).at(Step::Init, NAME)?;
    let environment: Vec<String> = std::env::vars().map(|(k, v)| format!("{k}={v}")).collect();
    let candidates = program::candidates(argv.first(), &environment).or(Err(Errno::INVAL));
    let candidates = candidates.at(Step::Init, "the program's name")?;
    let strings = |texts: &[String]| {
        sys::exec::Strings::new(texts.iter().map(String::as_str)).or(Err(Errno::INVAL))
    };
    let arguments = strings(argv).at(Step::Init, "the arguments")?;
    let environment = strings(&environment).at(Step::Init, "the environment")?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)
        .map_err(from_nix)
        .at(Step::Init, NAME)?;
    if let Some(program) = sys::clone::fork().at(Step::Init, NAME)? {
        return Ok(program);
    }
    // In the program's process.
    let ready = foreground(terminal)
        .and_then(|()| handshake::executing(socket.as_fd()))
        .and_then(|()| sys::signal::wait_for(RELEASE));
    let failure = ready.at(Step::Terminal, "/dev/console").err().unwrap_or_else(|| {
        sys::signal::reset(sys::signal::Until::Default);
        program::execute(&candidates, &arguments, &environment)
    });
    handshake::fail(socket.as_fd(), &failure);
    sys::clone::exit_now(125)
}

/// A process group of its own, so that a signal from the keyboard reaches the program once and not us; with a terminal, the
/// one in its foreground. (SIGTTOU is blocked here, so that asking for that does not stop us.)
fn foreground(terminal: bool) -> Result<(), Errno> {
    rustix::process::setpgid(None, None)?;
    if terminal {
        let group = rustix::process::getpgrp();
        rustix::termios::tcsetpgrp(rustix::stdio::stdin(), group)?;
    }
    Ok(())
}

/// Passes signals on and reaps, until the program ends: with its status, or 128 and the number of the signal. By number,
/// because the real-time signals have no names in `nix`.
fn reap(program: Pid) -> u8 {
    loop {
        match sys::signal::wait() {
            Ok(libc::SIGCHLD) => {}
            Ok(signal) => {
                // It may have ended just now; then SIGCHLD is next.
                let _ = sys::signal::send(program, signal);
                continue;
            }
            Err(_) => continue,
        }
        // One SIGCHLD can stand for many.
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == program {
                let code = status.terminating_signal().map(|signal| 128 + signal);
                let code = code.or_else(|| status.exit_status()).unwrap_or(255);
                return u8::try_from(code).unwrap_or(255);
            }
        }
    }
}

fn from_nix(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}
