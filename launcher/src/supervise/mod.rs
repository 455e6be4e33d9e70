//! Looks after one running container until it ends: one poll loop over its pidfd, the launcher's
//! signals, copied streams, a deadline, and the kernel's count of what was killed for want of memory.
//!
//! # Signals
//! Whatever signal reaches the launcher is passed on to process 1 of the container. The kernel
//! drops a signal to a process 1 that has no handler for it (`pid_namespaces(7)`), so a program that
//! ends at ^C outside would not end inside. Therefore, where the default action of a forwarded
//! signal is to end the process, and process 1 neither handles, blocks nor ignores it, the launcher
//! carries the action out: the container is killed and reported as ended by that signal. Signals
//! thus do inside what they do outside. The same goes for SIGTSTP, which stops both sides.
//!
//! Refuses to know how the container was made, and what is cleaned up after it.

mod copy;
mod signal;
mod signals;
mod streams;
mod terminal;

pub use signal::{DefaultAction, Signal, SignalError};
pub use signals::Signals;
pub use streams::{Streams, Wanted};
pub use terminal::window_size;

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use common::report::{Diagnostic, ExitCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::cgroup::{OomEvent, OomWatch};
use crate::spawn::Child;
use crate::sys::pidfd;
use streams::Running;
use terminal::copy_window_size;

/// How long a program has after its stop signal before it is killed, in `--timeout`.
pub const GRACE: Duration = Duration::from_secs(10);

/// The status of a container that ran into its `--timeout`, as timeout(1) has it.
pub const TIMED_OUT: u8 = 124;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Signaled(Signal),
    /// Because its time was over.
    TimedOut,
}

impl Ended {
    /// The status that `paddle run` ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX),
            Self::TimedOut => TIMED_OUT,
        }
    }

    /// Whether it was killed outright: by the kernel, by somebody, or by way of a process 1 in
    /// front of it.
    pub fn was_killed(self) -> bool {
        self.code() == Self::Signaled(Signal::KILL).code()
    }
}

/// How long the program may run, and how it is asked to end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `--timeout`; `None` for ever.
    pub timeout: Option<Duration>,
    /// What it is asked with; the image may choose it (`StopSignal`).
    pub stop_signal: Signal,
}

/// Looking after a container failed; it is dead by then or dies with the launcher.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}")]
pub struct SuperviseError {
    action: &'static str,
    source: io::Error,
}

impl Diagnostic for SuperviseError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Launcher
    }
}

fn failed<E: Into<io::Error>>(action: &'static str) -> impl FnOnce(E) -> SuperviseError {
    move |error| SuperviseError { action, source: error.into() }
}

/// Waits for the container to end, meanwhile forwarding signals, copying streams and watching the
/// time. The caller's terminal is as it was when this returns.
///
/// `memory` has to be given where somebody else removes the container's group, and has seen all kills by then that could
/// be seen.
pub fn wait(
    mut child: Child,
    signals: &Signals,
    streams: Streams,
    limits: Limits,
    memory: Option<&mut OomWatch>,
) -> Result<Ended, SuperviseError> {
    let streams = streams.run(child.console.take()).map_err(failed("set up the terminal"))?;
    let clock = match limits.timeout {
        Some(timeout) => Clock::Running { until: Instant::now() + timeout },
        None => Clock::Unlimited,
    };
    let stop_signal = limits.stop_signal;
    let mut monitor =
        Monitor { child, signals, streams, memory, stop_signal, clock, acted_on: None };
    let ended = monitor.watch();
    if ended.is_err() {
        // Nobody would look after it any more.
        monitor.send(Signal::KILL).ok();
    }
    ended
}

/// Where a `--timeout` stands.
#[derive(Debug, Clone, Copy)]
enum Clock {
    Unlimited,
    Running { until: Instant },
    Stopping { until: Instant },
    Killed,
}

struct Monitor<'a> {
    child: Child,
    signals: &'a Signals,
    streams: Running,
    /// Until its group is gone.
    memory: Option<&'a mut OomWatch>,
    stop_signal: Signal,
    clock: Clock,
    /// The signal whose default action was carried out for process 1.
    acted_on: Option<Signal>,
}

impl Monitor<'_> {
    fn watch(&mut self) -> Result<Ended, SuperviseError> {
        loop {
            let ready = self.poll()?;
            if ready.memory || ready.ended {
                // Before anything else: the group is about to be removed.
                self.look_at_memory();
            }
            if ready.signals {
                self.take_signals()?;
            }
            if ready.ended {
                break;
            }
            if ready.input {
                step(self.streams.input.as_mut())?;
            }
            for (output, ready) in self.streams.outputs.iter_mut().zip(ready.outputs) {
                step(Some(output).filter(|_| ready))?;
            }
            self.streams.hang_up_if_unread();
            self.look_at_clock()?;
        }
        // All processes of the container are dead, so what their streams hold now is all.
        for output in &mut self.streams.outputs {
            output.drain().map_err(failed("copy the program's output"))?;
        }
        self.streams.raw = None;
        self.reap()
    }

    /// Waits for any event, or until the clock strikes.
    fn poll(&self) -> Result<Ready, SuperviseError> {
        let mut fds = vec![
            PollFd::new(&self.child.pidfd, PollFlags::IN),
            PollFd::new(self.signals, PollFlags::IN),
        ];
        let mut at = Vec::new();
        let memory = self.memory.as_deref().map(|memory| {
            fds.push(PollFd::new(memory, PollFlags::IN));
            fds.len() - 1
        });
        for copy in self.streams.input.iter().chain(&self.streams.outputs) {
            at.push(copy.interest().map(|(fd, flags)| {
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                fds.len() - 1
            }));
        }
        let timeout = match self.clock {
            Clock::Running { until } | Clock::Stopping { until } => {
                let left = until.saturating_duration_since(Instant::now());
                Timespec::try_from(left).ok()
            }
            Clock::Unlimited | Clock::Killed => None,
        };
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(failed("wait for the container")(error)),
        }
        let is_ready = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        let mut copies = at.into_iter().map(|index| index.is_some_and(is_ready));
        Ok(Ready {
            ended: is_ready(0),
            signals: is_ready(1),
            memory: memory.is_some_and(is_ready),
            input: self.streams.input.is_some() && copies.next().unwrap_or(false),
            outputs: copies.collect(),
        })
    }

    fn take_signals(&mut self) -> Result<(), SuperviseError> {
        while let Some(signal) = self.signals.next().map_err(failed("read a signal"))? {
            match signal {
                Signal::WINCH => self.streams.console.iter().for_each(copy_window_size),
                Signal::TSTP => self.stop_both()?,
                Signal::CONT => {
                    self.resume()?;
                    self.send(Signal::CONT)?;
                }
                signal => self.deliver(signal)?,
            }
        }
        Ok(())
    }

    /// Passes a signal on so that it does what it would do outside (see the module's comment).
    fn deliver(&mut self, signal: Signal) -> Result<(), SuperviseError> {
        if signal.default_action() == DefaultAction::Terminate && self.left_to_kernel(signal) {
            self.acted_on = Some(signal);
            return self.send(Signal::KILL);
        }
        self.send(signal)
    }

    fn left_to_kernel(&self, signal: Signal) -> bool {
        signals::left_to_kernel(self.child.pid, signal)
    }

    /// ^Z, or `kill -TSTP`: the program stops (as process 1 it can be stopped from outside by
    /// SIGSTOP only) and so does the launcher, its terminal given back. Goes on after SIGCONT.
    fn stop_both(&mut self) -> Result<(), SuperviseError> {
        if !self.left_to_kernel(Signal::TSTP) {
            return self.send(Signal::TSTP);
        }
        self.send(Signal::STOP)?;
        if let Some(raw) = &self.streams.raw {
            raw.restore();
        }
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
            .map_err(failed("stop the launcher"))?;
        // SIGCONT, which woke the launcher, waits among the signals.
        Ok(())
    }

    fn resume(&mut self) -> Result<(), SuperviseError> {
        if let Some(raw) = &self.streams.raw {
            raw.make_raw().map_err(failed("set up the terminal"))?;
        }
        self.streams.console.iter().for_each(copy_window_size);
        Ok(())
    }

    /// Sends exactly this signal. A program that is already gone is no error.
    fn send(&self, signal: Signal) -> Result<(), SuperviseError> {
        match pidfd::send_signal(self.child.pidfd.as_fd(), signal.as_raw()) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(failed("send a signal to the container")(error)),
        }
    }

    /// A count that cannot be read is no reason to leave the container alone.
    fn look_at_memory(&mut self) {
        while let Some(memory) = &mut self.memory {
            match memory.take() {
                Ok(OomEvent::OutOfMemory) => {}
                Ok(OomEvent::Nothing) => return,
                Ok(OomEvent::Gone) | Err(_) => self.memory = None,
            }
        }
    }

    fn look_at_clock(&mut self) -> Result<(), SuperviseError> {
        let now = Instant::now();
        match self.clock {
            Clock::Running { until } if until <= now => {
                self.clock = Clock::Stopping { until: now + GRACE };
                self.deliver(self.stop_signal)
            }
            Clock::Stopping { until } if until <= now => {
                self.clock = Clock::Killed;
                self.send(Signal::KILL)
            }
            _ => Ok(()),
        }
    }

    fn reap(&self) -> Result<Ended, SuperviseError> {
        let status = loop {
            match waitid(WaitId::PidFd(self.child.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => break status,
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => return Err(failed("learn how the container ended")(error)),
            }
        };
        if matches!(self.clock, Clock::Stopping { .. } | Clock::Killed) {
            return Ok(Ended::TimedOut);
        }
        let signal = status.terminating_signal().and_then(Signal::from_raw);
        Ok(match (signal, self.acted_on) {
            (Some(Signal::KILL), Some(acted_on)) => Ended::Signaled(acted_on),
            (Some(signal), _) => Ended::Signaled(signal),
            (None, _) => {
                let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
                Ended::Exited(code.unwrap_or(u8::MAX))
            }
        })
    }
}

/// What `poll` found.
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each descriptor, and no combination is wrong"
)]
struct Ready {
    ended: bool,
    signals: bool,
    memory: bool,
    input: bool,
    outputs: Vec<bool>,
}

fn step(copy: Option<&mut copy::Copy>) -> Result<(), SuperviseError> {
    copy.map_or(Ok(()), copy::Copy::step).map_err(failed("copy the program's input or output"))
}
