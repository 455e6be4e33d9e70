//! The launcher's part of a start: it has the child come into being and does for it what it cannot do itself.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::process::Pid;

use super::handshake::{self, Word};
use super::hooks::Subject;
use super::prepare::Setup;
use super::step::At;
use super::{
    Ahead, Child, Container, SpawnError, Stdio, Step, abandon, end_of, fork, ids, listener, owners,
};
use crate::cgroup::Join;
use crate::plan::{HookKind, Plan};
use crate::sys;
use crate::timing::{Mark, mark};

/// The whole way up to the program, or to where it waits to be executed.
pub(super) fn make(
    plan: &Plan,
    cgroup: &Join,
    stdio: Stdio<'_>,
    ahead: Option<Ahead>,
    container: Option<Container<'_>>,
) -> Result<(Child, OwnedFd), SpawnError> {
    let threads = sys::clone::threads().at(Step::Prepare, "/proc/self/task")?;
    if threads != 1 {
        return Err(SpawnError::Threads(threads));
    }
    let (ours, theirs) = handshake::pair().at(Step::Prepare, "the handshake")?;
    let folder = container.map(|container| container.folder);
    let mut setup = Setup::new(plan, cgroup, stdio, theirs.as_fd(), folder)?;
    mark(Mark::Prepared);
    setup.made = ahead.map(|ahead| ahead.finish(plan)).unwrap_or_default();
    mark(Mark::Met);
    let born = fork::fork(&setup, &ours, &theirs).at(Step::Clone, plan.namespace_names())?;
    drop(theirs);
    mark(Mark::Cloned);
    setup.made.wait();
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
    match surround(cgroup, born.pid, &launch.socket).and_then(|()| launch.accompany()) {
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

/// Has systemd put the process where it belongs, where that is how it gets its cgroup.
pub(super) fn surround(cgroup: &Join, pid: Pid, socket: &OwnedFd) -> Result<(), SpawnError> {
    let Some(scope) = &cgroup.scope else { return Ok(()) };
    scope.start(pid.as_raw_nonzero().get().unsigned_abs())?;
    handshake::go(socket.as_fd()).at(Step::JoinCgroup, "the scope")?;
    Ok(())
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
        if direct {
            self.map_ids()?;
        }
        if direct && !self.is_talkative() {
            // One wake-up for all that is said: the child needs the processor more than an answer.
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

    /// Whether the child says something that cannot wait: it may be stopped at a call until a filter's listener answers.
    fn is_talkative(&self) -> bool {
        let plan = self.setup.plan;
        self.setup.gate.is_some() || plan.security.listener.is_some() || !plan.hooks.is_empty()
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
