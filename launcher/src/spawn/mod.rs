//! A plan becomes a process: the only stage that changes the kernel's mind.

mod error;

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::process::Pid;

use crate::plan::Plan;

pub use error::{SpawnError, Step};

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

/// How the child comes into its cgroups, which exist already. Never by migrating a running process from outside: that
/// waits for an RCU grace period (5 to 12 ms on an idle machine).
#[derive(Debug, Clone, Default)]
pub struct CgroupJoin<'a> {
    /// A folder of cgroup v2 to be born in (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub into: Option<BorrowedFd<'a>>,
    /// Opened `tasks` or `cgroup.procs` files of cgroup v1, into which the child writes `0`.
    pub write: Vec<BorrowedFd<'a>>,
}

/// Starts the container of `plan`; returns when its program has been executed.
///
/// The caller must be single-threaded. Signals that the caller has blocked (SIGCHLD among them, best blocked before
/// the call) are unblocked in the program, and all dispositions are set to their default there.
///
/// # Errors
///
/// Nothing is left behind on an error: a child that could not be finished is dead and reaped, and its mounts died with
/// its namespaces. Cgroups and the container's folder are the caller's.
pub fn spawn(plan: &Plan, cgroup: &CgroupJoin<'_>, stdio: Stdio<'_>) -> Result<Child, SpawnError> {
    let _ = (plan, cgroup, stdio);
    todo!()
}
