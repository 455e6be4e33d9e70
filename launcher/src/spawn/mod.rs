//! A plan becomes a process: the only stage that changes the kernel's mind.
//!
//! ```text
//! launcher                                     child
//! prepare: strings, files, folders, copies
//! clone3 with all namespaces ----------------> joins its cgroups
//! ids: writes the maps, "go" ----------------> becomes root inside; not dumpable; own session
//!                                              root, mounts, devices, terminal, sysctls, paths
//! <------------------------- console --------- names, network, enters the root
//!                                              credentials: limits, user, capabilities, filter
//! <------------------------- executing ------- exec
//! <------------------------- end of file -----
//! ```
//!
//! `plan/X.rs` decides, `spawn/X.rs` does; `child.rs` is the story in order. Nothing is decided here that could have been
//! decided there. Lowest kernel: 5.12 (`mount_setattr`); an idmapped root under overlayfs needs 5.19.

mod child;
mod confine;
mod copy_up;
mod credentials;
mod devices;
mod error;
mod filesystem;
mod handshake;
mod home;
mod ids;
pub mod init;
mod inside;
mod labels;
mod listener;
mod mounts;
mod namespaces;
mod no_pivot;
mod ourselves;
mod owners;
mod paths;
mod place;
mod prepare;
mod program;
mod root;
mod scheduling;
mod scratch;
mod sources;
mod step;
mod sysctls;
mod terminal;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::cgroup::Join;
use crate::plan::Plan;
use crate::sys;
use crate::sys::clone::Side;
use crate::timing::{Mark, mark};
use handshake::Word;
use prepare::Setup;

use step::At;

pub use error::SpawnError;
pub use inside::inside;
pub use ourselves::out_of_reach;
pub use program::DEFAULT_PATH;
pub use step::Step;

/// A started container. Its program runs: exec has succeeded.
#[derive(Debug)]
pub struct Child {
    /// Process 1 of the container, as the host counts; a child of the caller, to be reaped by it (its end is
    /// announced by `pidfd` becoming readable; SIGCHLD is sent as well).
    pub pid: Pid,
    /// A handle that can never mean another process.
    pub pidfd: OwnedFd,
    /// The controlling side of its terminal, when the plan asked for one.
    pub console: Option<OwnedFd>,
}

/// What the program reads and writes when it has no terminal. With one, all three are the terminal.
#[derive(Debug, Clone, Copy)]
pub struct Stdio<'a> {
    /// Descriptor 0.
    pub stdin: BorrowedFd<'a>,
    /// Descriptor 1.
    pub stdout: BorrowedFd<'a>,
    /// Descriptor 2.
    pub stderr: BorrowedFd<'a>,
}

/// Starts the container of `plan`; returns when its program has been executed.
///
/// `cgroup` is how the child comes into its groups, which exist already. Never by migrating a running process: that waits
/// for an RCU grace period (5 to 12 ms on an idle machine).
///
/// The caller must be single-threaded. Signals that the caller has blocked (SIGCHLD among them, best blocked before
/// the call) are unblocked in the program, and all dispositions are set to their default there.
///
/// # Errors
///
/// Nothing is left behind on an error: a child that could not be finished is dead and reaped, and its mounts died with
/// its namespaces. Cgroups and the container's folder are the caller's.
pub fn spawn(plan: &Plan, cgroup: &Join, stdio: Stdio<'_>) -> Result<Child, SpawnError> {
    let threads = sys::clone::threads().at(Step::Prepare, "/proc/self/task")?;
    if threads != 1 {
        return Err(SpawnError::Threads(threads));
    }
    let (ours, theirs) = handshake::pair().at(Step::Prepare, "the handshake")?;
    let setup = Setup::new(plan, cgroup, stdio, theirs.as_fd())?;
    mark(Mark::Prepared);
    let (pid, pidfd) = clone(&setup, &ours, &theirs).at(Step::Clone, plan.namespace_names())?;
    drop(theirs);
    mark(Mark::Cloned);
    match surround(cgroup, pid, &ours).and_then(|()| accompany(&setup, pid, &pidfd, &ours)) {
        Ok(console) => Ok(Child { pid, pidfd, console }),
        Err(error) => {
            abandon(&pidfd);
            Err(error)
        }
    }
}

/// Has systemd make a scope around the process, where that is how it gets its cgroup.
fn surround(cgroup: &Join, pid: Pid, socket: &OwnedFd) -> Result<(), SpawnError> {
    let Some(scope) = &cgroup.scope else { return Ok(()) };
    scope.start(pid.as_raw_nonzero().get().unsigned_abs())?;
    handshake::go(socket.as_fd()).at(Step::JoinCgroup, "the scope")?;
    Ok(())
}

/// The child, in its namespaces and on its way. Where the launcher has nothing to do for it, it borrows the launcher's memory,
/// and has executed its program when this returns.
fn clone(setup: &Setup<'_>, ours: &OwnedFd, theirs: &OwnedFd) -> Result<(Pid, OwnedFd), Errno> {
    let (flags, cgroup) = (setup.plan.clone_flags(), setup.cgroup.v2.as_ref().map(AsFd::as_fd));
    let mut child = || child::become_program(setup, ours, theirs);
    let alone = setup.plan.id_maps.is_none() && setup.cgroup.scope.is_none();
    if alone && setup.plan.security.listener.is_none() {
        return sys::clone::run_into(flags, cgroup, &mut child);
    }
    match sys::clone::fork_into(flags, cgroup)? {
        Side::Child => child::become_program(setup, ours, theirs),
        Side::Parent { pid, pidfd } => Ok((pid, pidfd)),
    }
}

/// Does the launcher's part and listens until the program runs.
fn accompany(
    setup: &Setup<'_>,
    pid: Pid,
    pidfd: &OwnedFd,
    socket: &OwnedFd,
) -> Result<Option<OwnedFd>, SpawnError> {
    if let Some(maps) = &setup.plan.id_maps {
        ids::map(maps, pid)?;
        owners::map_as_the_container(setup.plan, &setup.trees, pid)?;
        handshake::go(socket.as_fd()).at(Step::MapIds, "the container")?;
    }
    // One wake-up for all that is said: the child needs the processor more than an answer. Only a filter's listener cannot
    // wait: the child may be stopped at a call until somebody answers.
    if setup.plan.security.listener.is_none() {
        handshake::wait_for_end(socket.as_fd()).at(Step::Prepare, "the handshake")?;
    }
    let (mut console, mut executing) = (None, false);
    loop {
        match handshake::listen(socket.as_fd()).at(Step::Prepare, "the handshake")? {
            Word::Console(descriptor) => console = Some(descriptor),
            Word::Listener(descriptor) => {
                listener::deliver(&setup.plan.security, pid, &descriptor)?;
            }
            Word::ListenerAt(number) => {
                let descriptor = listener::take(pidfd, number)?;
                listener::deliver(&setup.plan.security, pid, &descriptor)?;
            }
            Word::Executing => executing = true,
            Word::Failed(failure) => return Err(failure.into()),
            Word::Gone if executing => {
                mark(Mark::Executed);
                return Ok(console);
            }
            Word::Gone => return Err(SpawnError::Died(end_of(pidfd))),
        }
    }
}

/// Kills and reaps a child that is of no use. Its namespaces, and the mounts in them, go with it.
fn abandon(pidfd: &OwnedFd) {
    // Both fail only when it is gone already.
    let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
    end_of(pidfd);
}

/// Waits for the child's end and says how it was.
fn end_of(pidfd: &OwnedFd) -> String {
    let waited =
        rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED));
    match waited {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown".to_owned(),
        },
        Ok(None) => "unknown".to_owned(),
        Err(errno) => errno.to_string(),
    }
}
