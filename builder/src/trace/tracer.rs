//! `Tracer`: the loop that watches every thread of the programs that it starts.
//!
//! Decides what each stop asks for, and that nothing outlives it. Refuses to know which calls there are
//! (`calls`), and what they say about files (`record`).
//!
//! The kernel binds what is watched to the thread that watches: a `Tracer` stays in the thread that made
//! it. It takes the ends of all children of that thread, also of those that others started there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::time::{Duration, Instant};

use common::tree::ImagePath;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use rustix::process::WaitStatus;
use tracee::{Resume, Stop};

use super::error::{Status, TraceError};
use super::record::Record;
use super::start::{self, Start, Started};
use super::task::Task;

/// Another thread may take the signal that says that there is something to do.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);
/// Events after which signals and the clock are looked at although there is more to do.
const BUSY: u32 = 256;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A program that was started by [`Tracer::spawn`] ended. What it started itself may still run.
    Ended(Child, Status),
    /// This process was sent one of the signals that the tracer was made with.
    Signal {
        /// Which.
        signal: Signal,
        /// By the terminal, which sent it to the whole process group: to what is watched, too.
        from_terminal: bool,
    },
    /// Nothing runs any more.
    Idle,
    /// The time is over.
    Late,
}

/// A program that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Child(Pid);

impl Child {
    /// Its number, as this process sees it.
    pub fn id(self) -> u32 {
        self.0.as_raw().unsigned_abs()
    }
}

/// Watches programs; see the module.
#[derive(Debug)]
pub struct Tracer {
    tasks: BTreeMap<Pid, Task>,
    /// Those that were met before their maker told of them.
    early: BTreeSet<Pid>,
    /// Ends of children that nobody has asked for yet.
    ended: VecDeque<(Child, Status)>,
    children: Vec<Child>,
    record: Record,
    signals: SignalFd,
    /// Signals that were not blocked before.
    blocked: Vec<i32>,
    killing: bool,
}

impl Tracer {
    /// A tracer that watches nothing yet. `signals` no longer do to this thread what they usually do, but
    /// become events. To be made before other threads are, which would take the signals.
    ///
    /// # Errors
    /// If the kernel has no more descriptors to give.
    pub fn new(signals: &[Signal]) -> Result<Self, TraceError> {
        let mut set: SigSet = signals.iter().copied().collect();
        set.add(Signal::SIGCHLD);
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(wait)?;
        let blocked: Vec<i32> =
            set.iter().filter(|&signal| !before.contains(signal)).map(|s| s as i32).collect();
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&set, flags).map_err(wait)?;
        Ok(Self {
            tasks: BTreeMap::new(),
            early: BTreeSet::new(),
            ended: VecDeque::new(),
            children: Vec::new(),
            record: Record::default(),
            signals,
            blocked,
            killing: false,
        })
    }

    /// Starts a program. It runs when this returns, and is on its way only while the tracer is asked for
    /// events. The running program, which is `coracle`, starts itself again for it.
    ///
    /// # Errors
    /// If it cannot be started, or not be watched.
    pub fn spawn(&mut self, start: Start) -> Result<Child, TraceError> {
        let name = start.command.first().cloned().unwrap_or_default().into_vec();
        let started = start::start(start, self.blocked.clone())
            .map_err(|source| TraceError::Again { program: name.clone(), source })?;
        let Started { process, .. } = started;
        if let Err(errno) = tracee::seize(process) {
            // It waits for a tracer; nothing else would end it.
            let _gone = kill(process, Signal::SIGKILL);
            let _status = waitpid(process, None);
            return Err(TraceError::Forbidden { program: name, source: errno.into() });
        }
        self.tasks.insert(process, Task::default());
        let child = Child(process);
        self.children.push(child);
        while self.program(child).is_none() {
            if let Some(at) = self.ended.iter().position(|(ended, _)| *ended == child) {
                let status = self.ended.remove(at).map_or(Status::Exited(0), |(_, status)| status);
                return Err(match started.failure() {
                    Some(source) => TraceError::Start { program: name, source },
                    None => TraceError::Early { program: name, status },
                });
            }
            if !self.advance()? {
                self.sleep(LONGEST_SLEEP)?;
            }
        }
        Ok(child)
    }

    /// The program that was started, or that it has become: by the path by which it was executed.
    pub fn program(&self, child: Child) -> Option<&ImagePath> {
        self.tasks.get(&child.0)?.program()
    }

    /// The next event. Without events the programs go on, until `until` at most.
    ///
    /// # Errors
    /// If the kernel does not say what became of the programs.
    pub fn wait(&mut self, until: Option<Instant>) -> Result<Event, TraceError> {
        let mut busy = 0;
        loop {
            if let Some((child, status)) = self.ended.pop_front() {
                return Ok(Event::Ended(child, status));
            }
            if busy < BUSY && self.advance()? {
                busy += 1;
                continue;
            }
            if busy == 0 && self.tasks.is_empty() {
                return Ok(Event::Idle);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Event::Late);
            }
            // Who is busy only looks.
            let sleep = if busy == 0 { left.unwrap_or(LONGEST_SLEEP) } else { Duration::ZERO };
            busy = 0;
            self.sleep(sleep.min(LONGEST_SLEEP))?;
            if let Some(event) = self.signal()? {
                return Ok(event);
            }
        }
    }

    /// Sends a signal to a program that was started.
    ///
    /// # Errors
    /// `ESRCH` if it has ended.
    pub fn send(&self, child: Child, signal: Signal) -> io::Result<()> {
        if !self.children.contains(&child) {
            return Err(Errno::ESRCH.into());
        }
        Ok(kill(child.0, signal)?)
    }

    /// Sends a signal to every process that is watched.
    pub fn send_all(&self, signal: Signal) {
        for pid in self.tasks.keys() {
            // A process is meant, not each of its threads.
            if leads(*pid) {
                // One that has just ended needs no signal.
                let _sent = kill(*pid, signal);
            }
        }
    }

    /// Kills everything that is watched, and waits for its end.
    ///
    /// # Errors
    /// As [`Tracer::wait`].
    pub fn kill_all(&mut self) -> Result<(), TraceError> {
        self.killing = true;
        for pid in self.tasks.keys() {
            let _sent = kill(*pid, Signal::SIGKILL);
        }
        while !self.tasks.is_empty() {
            if !self.advance()? {
                self.sleep(LONGEST_SLEEP)?;
                while self.signal()?.is_some() {}
            }
        }
        self.killing = false;
        Ok(())
    }

    /// What was seen. Whatever still runs is killed.
    ///
    /// # Errors
    /// As [`Tracer::wait`].
    pub fn finish(mut self) -> Result<Record, TraceError> {
        self.kill_all()?;
        Ok(std::mem::take(&mut self.record))
    }

    /// Deals with one change of a thread; whether there was one.
    fn advance(&mut self) -> Result<bool, TraceError> {
        match tracee::changed() {
            Ok(None) => Ok(false),
            Ok(Some((pid, status))) => {
                self.change(pid, status);
                Ok(true)
            }
            // There is nobody: whoever was known has been taken away without a word.
            Err(rustix::io::Errno::CHILD) => {
                self.tasks.clear();
                Ok(false)
            }
            Err(errno) => Err(TraceError::Wait { source: errno.into() }),
        }
    }

    fn change(&mut self, pid: Pid, status: WaitStatus) {
        let Some(stop) = Stop::of(status) else {
            self.end(pid, status);
            return;
        };
        // Its maker may not have told of it yet.
        if !self.tasks.contains_key(&pid) {
            let task = self.maker(pid).map_or_else(Task::default, Task::child);
            self.tasks.insert(pid, task);
            self.early.insert(pid);
            if self.killing {
                let _sent = kill(pid, Signal::SIGKILL);
            }
        }
        let (how, signal) = self.stop(pid, stop);
        // It may have been killed while it stood: then its end is the next that is told.
        let _gone = tracee::resume(pid, how, signal);
    }

    /// How a stopped thread goes on, and with which signal.
    fn stop(&mut self, pid: Pid, stop: Stop) -> (Resume, i32) {
        let Self { tasks, early, record, .. } = self;
        match stop {
            Stop::Filter => {
                let how = match (tasks.get_mut(&pid), tracee::call(pid)) {
                    (Some(task), Ok(call)) => task.call(pid, &call, record),
                    _ => Resume::Run,
                };
                (how, 0)
            }
            Stop::CallEnd => {
                if let (Some(task), Ok(said)) = (tasks.get_mut(&pid), tracee::result(pid)) {
                    task.call_end(said, record);
                }
                (Resume::Run, 0)
            }
            Stop::Exec => {
                // All other threads are gone; the one that is left has the number of the first.
                let before = tracee::message(pid).ok().and_then(number);
                if let Some(before) = before.filter(|before| *before != pid)
                    && let Some(task) = tasks.remove(&before)
                {
                    tasks.insert(pid, task);
                }
                if let Some(task) = tasks.get_mut(&pid) {
                    task.execute(pid, record);
                }
                (Resume::Run, 0)
            }
            Stop::Birth => {
                let born = tracee::message(pid).ok().and_then(number);
                // One that is known already may have ended again.
                if let Some(born) = born.filter(|born| !early.remove(born))
                    && let Some(task) = tasks.get(&pid).map(Task::child)
                {
                    tasks.insert(born, task);
                }
                (Resume::Run, 0)
            }
            Stop::Group => (Resume::Stopped, 0),
            Stop::Signal(signal) => (Resume::Run, signal),
            Stop::Begin | Stop::Other => (Resume::Run, 0),
        }
    }

    /// The task that has made a thread, by what the kernel says of it.
    fn maker(&self, pid: Pid) -> Option<&Task> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(Pid::from_raw(value.trim().parse().ok()?))
        };
        let group = field("Tgid:").filter(|group| *group != pid);
        self.tasks.get(&group.or_else(|| field("PPid:"))?)
    }

    fn end(&mut self, pid: Pid, status: WaitStatus) {
        self.tasks.remove(&pid);
        let byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
        let status = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Status::Exited(byte(code)),
            (None, Some(signal)) => Status::Killed(byte(signal)),
            (None, None) => return,
        };
        let child = Child(pid);
        if let Some(at) = self.children.iter().position(|known| *known == child) {
            self.children.remove(at);
            self.ended.push_back((child, status));
        }
    }

    /// Until a signal comes.
    fn sleep(&self, longest: Duration) -> Result<(), TraceError> {
        let longest = PollTimeout::try_from(longest).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)], longest) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(wait(errno)),
        }
    }

    /// The next signal that is an event.
    fn signal(&self) -> Result<Option<Event>, TraceError> {
        while let Some(info) = self.signals.read_signal().map_err(wait)? {
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            let signal = Signal::try_from(number).ok().filter(|signal| *signal != Signal::SIGCHLD);
            if let Some(signal) = signal {
                // SI_KERNEL, sigaction(2).
                let from_terminal = info.ssi_code == 0x80;
                return Ok(Some(Event::Signal { signal, from_terminal }));
            }
        }
        Ok(None)
    }
}

impl Drop for Tracer {
    /// Nothing outlives it, and signals do what they did before.
    fn drop(&mut self) {
        // There is nobody left to tell.
        self.kill_all().ok();
        let set: SigSet =
            self.blocked.iter().filter_map(|number| Signal::try_from(*number).ok()).collect();
        set.thread_unblock().ok();
    }
}

fn wait(errno: Errno) -> TraceError {
    TraceError::Wait { source: errno.into() }
}

fn number(message: u64) -> Option<Pid> {
    i32::try_from(message).ok().map(Pid::from_raw)
}

/// Whether a thread is the first of its process.
fn leads(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let group = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    group.is_some_and(|group| group.trim() == pid.to_string())
}
