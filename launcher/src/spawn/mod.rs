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
mod fork;
mod gate;
mod handshake;
mod home;
mod hooks;
mod ids;
pub mod init;
mod inside;
mod labels;
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

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use crate::cgroup::Join;
use crate::plan::{HookKind, Plan};
use crate::sys;
use crate::timing::{Mark, mark};
use handshake::Word;
use prepare::Setup;

use step::At;

pub use error::SpawnError;
pub use handshake::send_with;
pub use hooks::Subject;
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

/// A container whose process 1 waits to be started. It dies with this process until it is [released](Created::release).
#[derive(Debug)]
pub struct Created {
    /// Process 1, and the controlling side of its terminal.
    pub child: Child,
    socket: OwnedFd,
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
    let (child, _) = make(plan, cgroup, stdio, None)?;
    Ok(child)
}

/// Makes the container of `plan` as [`spawn`] does, but for the program: process 1 waits in the container's folder until
/// [`start`] comes.
///
/// # Errors
///
/// As for [`spawn`]. A hook that fails, and a program that is not there, are errors too.
pub fn create(
    plan: &Plan,
    cgroup: &Join,
    stdio: Stdio<'_>,
    container: Container<'_>,
) -> Result<Created, SpawnError> {
    let (child, socket) = make(plan, cgroup, stdio, Some(container))?;
    Ok(Created { child, socket })
}

impl Created {
    /// Lets go of process 1, now that the state knows of it: it no longer dies with this process (unless the plan says
    /// so), and has closed what it had of the launcher's when this returns.
    ///
    /// # Errors
    ///
    /// It is dead, and reaped.
    pub fn release(self) -> Result<Child, SpawnError> {
        let Self { child, socket } = self;
        let released = handshake::go(socket.as_fd())
            .and_then(|()| handshake::wait_for_end(socket.as_fd()))
            .at(Step::Prepare, "the handshake")
            .map_err(SpawnError::from)
            .and_then(|()| listen_to_end(&socket, None));
        match released {
            Ok(()) => Ok(child),
            Err(error) => {
                abandon(&child.pidfd);
                Err(error)
            }
        }
    }
}

/// A process 1 that was reached where it waits.
#[derive(Debug)]
pub struct Starting(OwnedFd);

/// Goes to where a container's process 1 waits, in its folder. Dying now takes that along.
///
/// # Errors
///
/// Nobody waits there.
pub fn reach(folder: BorrowedFd<'_>, id: &str) -> Result<Starting, SpawnError> {
    Ok(Starting(gate::reach(folder).at(Step::Start, id)?))
}

impl Starting {
    /// Has the program executed; returns when it was.
    ///
    /// # Errors
    ///
    /// What failed on the way. Process 1 is dead or dies then.
    pub fn start(self) -> Result<(), SpawnError> {
        gate::go(self.0.as_fd()).at(Step::Start, "the container")?;
        handshake::wait_for_end(self.0.as_fd()).at(Step::Prepare, "the handshake")?;
        listen_to_end(&self.0, Some("while it was started"))
    }
}

/// Hears what was said up to the end. With `must`, success has been announced before that.
fn listen_to_end(socket: &OwnedFd, must: Option<&str>) -> Result<(), SpawnError> {
    let mut executing = false;
    loop {
        match handshake::listen(socket.as_fd()).at(Step::Prepare, "the handshake")? {
            Word::Executing => executing = true,
            Word::Failed(failure) => return Err(failure.into()),
            Word::Gone => {
                return match must.filter(|_| !executing) {
                    Some(when) => Err(SpawnError::Died(when.to_owned())),
                    None => Ok(()),
                };
            }
            _ => return Err(Errno::BADMSG).at(Step::Prepare, "the handshake")?,
        }
    }
}

/// The whole way up to the program, or to where it waits to be executed.
fn make(
    plan: &Plan,
    cgroup: &Join,
    stdio: Stdio<'_>,
    container: Option<Container<'_>>,
) -> Result<(Child, OwnedFd), SpawnError> {
    let threads = sys::clone::threads().at(Step::Prepare, "/proc/self/task")?;
    if threads != 1 {
        return Err(SpawnError::Threads(threads));
    }
    let (ours, theirs) = handshake::pair().at(Step::Prepare, "the handshake")?;
    let folder = container.map(|container| container.folder);
    let setup = Setup::new(plan, cgroup, stdio, theirs.as_fd(), folder)?;
    mark(Mark::Prepared);
    let born = fork::fork(&setup, &ours, &theirs).at(Step::Clone, plan.namespace_names())?;
    drop(theirs);
    mark(Mark::Cloned);
    let mut launch = Launch {
        setup: &setup,
        subject: container.map(|container| container.subject),
        between: born.between.then_some(born.pid),
        pid: born.pid,
        pidfd: born.pidfd,
        socket: ours,
        console: None,
        moved: 0,
    };
    match launch.accompany() {
        Ok(()) => {
            let Launch { pid, pidfd, socket, console, .. } = launch;
            Ok((Child { pid, pidfd, console }, socket))
        }
        Err(error) => {
            abandon(&launch.pidfd);
            Err(error)
        }
    }
}

/// The launcher's part while the child makes itself.
struct Launch<'a> {
    setup: &'a Setup<'a>,
    subject: Option<Subject<'a>>,
    /// The process in between, while it is the one that was forked.
    between: Option<Pid>,
    pid: Pid,
    pidfd: OwnedFd,
    socket: OwnedFd,
    console: Option<OwnedFd>,
    /// How many network devices have been moved.
    moved: usize,
}

impl Launch<'_> {
    /// Does it, and listens until the program runs or waits.
    fn accompany(&mut self) -> Result<(), SpawnError> {
        let direct = self.between.is_none();
        self.surround()?;
        if direct {
            self.map_ids()?;
        }
        if direct && self.setup.says_nothing_urgent() {
            // One wake-up for all that is said: the child needs the processor more than an answer. Only a filter's
            // listener cannot wait: the child may be stopped at a call until somebody answers.
            handshake::wait_for_end(self.socket.as_fd()).at(Step::Prepare, "the handshake")?;
        }
        let mut executing = false;
        loop {
            match handshake::listen(self.socket.as_fd()).at(Step::Prepare, "the handshake")? {
                Word::Unmapped => self.map_ids()?,
                Word::Born(pid, pidfd) => {
                    let between = std::mem::replace(&mut self.pidfd, pidfd);
                    (self.pid, self.between) = (pid, None);
                    end_of(&between);
                }
                Word::Hooks => self.run_hooks()?,
                Word::Device => self.hand_over_device()?,
                Word::Console(descriptor) => self.console = Some(descriptor),
                Word::Listener(descriptor) => {
                    listener::deliver(&self.setup.plan.security, self.pid, &descriptor)?;
                }
                Word::ListenerAt(number) => {
                    let descriptor = listener::take(&self.pidfd, number)?;
                    listener::deliver(&self.setup.plan.security, self.pid, &descriptor)?;
                }
                Word::Waiting => return Ok(()),
                Word::Executing => executing = true,
                Word::Failed(failure) => return Err(failure.into()),
                Word::Gone if executing => {
                    mark(Mark::Executed);
                    return Ok(());
                }
                Word::Gone => return Err(SpawnError::Died(end_of(&self.pidfd))),
            }
        }
    }

    /// Has systemd make a scope around the process, where that is how it gets its cgroup.
    fn surround(&self) -> Result<(), SpawnError> {
        let Some(scope) = &self.setup.cgroup.scope else { return Ok(()) };
        scope.start(self.pid.as_raw_nonzero().get().unsigned_abs())?;
        Ok(handshake::go(self.socket.as_fd()).at(Step::JoinCgroup, "the scope")?)
    }

    /// The next device, in the order in which the child asks.
    fn hand_over_device(&mut self) -> Result<(), SpawnError> {
        let next = self.setup.guests.get(self.moved).ok_or(Errno::BADMSG);
        next.at(Step::MoveDevice, "a device")?.hand_over(self.pid)?;
        self.moved += 1;
        Ok(handshake::go(self.socket.as_fd()).at(Step::MoveDevice, "the container")?)
    }

    fn map_ids(&self) -> Result<(), SpawnError> {
        let Some(maps) = &self.setup.plan.id_maps else { return Ok(()) };
        ids::map(maps, self.pid)?;
        owners::map_as_the_container(self.setup.plan, &self.setup.trees, self.pid)?;
        Ok(handshake::go(self.socket.as_fd()).at(Step::MapIds, "the container")?)
    }

    fn run_hooks(&self) -> Result<(), SpawnError> {
        if let Some(subject) = &self.subject {
            let hooks = &self.setup.plan.hooks;
            subject.run(hooks, HookKind::Prestart, Some(self.pid))?;
            subject.run(hooks, HookKind::CreateRuntime, Some(self.pid))?;
            if let Some(told) = &self.setup.told {
                told.fill(subject, self.pid).at(Step::Prepare, "the hooks")?;
            }
        }
        Ok(handshake::go(self.socket.as_fd()).at(Step::Prepare, "the hooks")?)
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
