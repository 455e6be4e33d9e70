//! A plan becomes a process: the only stage that changes the kernel's mind.
//!
//! ```text
//! launcher                                     child
//! [ahead: a network namespace, and file systems, made by a process beside the launcher while that plans and prepares]
//! prepare: strings, files, folders, copies
//! clone3 with all other namespaces ----------> joins its cgroups, and what was made ahead
//! ids: writes the maps, "go" ----------------> becomes root inside; not dumpable; own session
//!                                              root, mounts, devices, terminal, sysctls, paths
//! <------------------------- console --------- names, network
//! <------------------------- hooks ----------- createContainer hooks
//!                                              enters the root; limits, user, capabilities
//! <------------------------- waiting --------- [created, not run: waits here for a start, see `gate.rs`]
//!                                              startContainer hooks, filter
//! <------------------------- executing ------- exec
//! <------------------------- end of file -----
//! ```
//!
//! `plan/X.rs` decides, `spawn/X.rs` does; `child.rs` is the story in order. Nothing is decided here that could have been
//! decided there. Lowest kernel: 5.12 (`mount_setattr`); an idmapped root under overlayfs needs 5.19.

mod ahead;
mod child;
mod confine;
mod copy_up;
mod created;
mod credentials;
mod devices;
mod enter;
mod error;
mod exposure;
mod filesystem;
mod fork;
mod gate;
mod handles;
mod handshake;
mod home;
mod hooks;
mod ids;
pub mod init;
mod inside;
mod kept;
mod labels;
mod launch;
mod lent;
mod listener;
mod mounts;
mod namespaces;
mod network;
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

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::cgroup::Join;
use crate::plan::Plan;

pub use ahead::Ahead;
pub use created::{Created, Starting, reach};
pub use enter::{Inside, enter};
pub use error::SpawnError;
pub use exposure::might_run_us;
pub use handles::{HandleError, Handles, Sockets};
use handshake::send_with;
pub use hooks::Subject;
pub use inside::inside;
pub use kept::keep_places;
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
    /// Whether what a terminal shows ends up in something that is none: then a line ends with a line feed alone.
    pub plain_lines: bool,
}

/// What `create` needs beyond the plan.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a> {
    /// The container's folder, where its process 1 waits.
    pub folder: BorrowedFd<'a>,
    /// What hooks are told.
    pub subject: Subject<'a>,
}

/// Starts the container of `plan`; returns when its program has been executed.
///
/// `cgroup` is how the child comes into its groups, which exist already. Never by migrating a running process: that waits
/// for an RCU grace period (5 to 12 ms on an idle machine). `ahead` is what was begun with while this was being planned.
///
/// The caller must be single-threaded. Signals that the caller has blocked (SIGCHLD among them, best blocked before
/// the call) are unblocked in the program, and all dispositions are set to their default there.
///
/// # Errors
///
/// Nothing is left behind on an error: a child that could not be finished is dead and reaped, and its mounts died with
/// its namespaces. Cgroups and the container's folder are the caller's.
pub fn spawn(
    plan: &Plan,
    cgroup: &Join,
    stdio: Stdio<'_>,
    ahead: Option<Ahead>,
) -> Result<Child, SpawnError> {
    let (child, _) = launch::make(plan, cgroup, stdio, ahead, None)?;
    Ok(child)
}

/// Makes the container of `plan` as [`spawn`] does, but for the program: process 1 waits in the container's folder until
/// [`Starting::start`] comes.
///
/// # Errors
///
/// As for [`spawn`]. A hook that fails, and a program that is not there, are errors too.
pub fn create(
    plan: &Plan,
    cgroup: &Join,
    stdio: Stdio<'_>,
    ahead: Option<Ahead>,
    container: Container<'_>,
) -> Result<Created, SpawnError> {
    let (child, socket) = launch::make(plan, cgroup, stdio, ahead, Some(container))?;
    Ok(Created::new(child, socket))
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
