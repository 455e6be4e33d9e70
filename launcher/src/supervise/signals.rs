//! Signals that reach the launcher, as descriptors to be polled; and what a process does about one.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::sys::signal::{SigSet, Signal as Name};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::Pid;
use syscalls::Sysno;

use super::signal::Signal;

/// Signals that keep their usual effect on the launcher: faults of its own, and the two that stop a
/// background job which touches the terminal.
const NOT_TAKEN: [Name; 9] = [
    Name::SIGSEGV,
    Name::SIGBUS,
    Name::SIGILL,
    Name::SIGFPE,
    Name::SIGTRAP,
    Name::SIGABRT,
    Name::SIGSYS,
    Name::SIGTTIN,
    Name::SIGTTOU,
];

/// Blocked signals, to be read one by one.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// From here on signals wait to be read. To be called before the container is started, so that
    /// none is lost in between; `spawn` unblocks them in the program.
    pub fn block() -> io::Result<Self> {
        // All of them: the real-time signals have no names in `nix`.
        let mut taken = SigSet::all();
        for name in NOT_TAKEN {
            taken.remove(name);
        }
        taken.thread_block()?;
        // Blocked, but of no interest: the pidfd tells.
        taken.remove(Name::SIGCHLD);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self { fd: SignalFd::with_flags(&taken, flags)? })
    }

    /// The next signal that waits; `None` when none does. One that the launcher was told to ignore
    /// (nohup(1), a shell's background job) is passed over.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        while let Some(info) = self.fd.read_signal()? {
            let signal = i32::try_from(info.ssi_signo).ok().and_then(Signal::from_raw);
            match signal {
                // Being ignored, SIGPIPE is Rust's doing and says nothing about the caller's wish.
                Some(Signal::PIPE) | None => {}
                Some(signal) if Dispositions::of_self().is_some_and(|own| own.ignores(signal)) => {}
                Some(signal) => return Ok(Some(signal)),
            }
        }
        Ok(None)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a process does about each signal: the masks of `/proc/<pid>/status` (`proc_pid_status(5)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Dispositions {
    blocked: u64,
    ignored: u64,
    caught: u64,
}

impl Dispositions {
    /// Those of the process or thread whose folder in /proc this is. `None` where it does not tell.
    fn read(folder: &Path) -> Option<Self> {
        fs::read_to_string(folder.join("status")).ok().as_deref().and_then(Self::parse)
    }

    fn of_self() -> Option<Self> {
        Self::read(Path::new("/proc/self"))
    }

    fn parse(status: &str) -> Option<Self> {
        let mask = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        Some(Self {
            blocked: mask("SigBlk:")?,
            ignored: mask("SigIgn:")?,
            caught: mask("SigCgt:")?,
        })
    }

    /// Whether the signal is thrown away on purpose.
    fn ignores(self, signal: Signal) -> bool {
        self.ignored & signal.bit() != 0
    }

    /// Whether nothing is said about the signal, so that the kernel's default action is left.
    fn leaves_to_kernel(self, signal: Signal) -> bool {
        (self.blocked | self.ignored | self.caught) & signal.bit() == 0
    }
}

/// Whether the process neither handles, ignores, blocks nor waits for the signal, so that the
/// kernel's default action is left. When in doubt it is not.
///
/// A thread in sigwait(3) shows the signals that it waits for as *not* blocked (the kernel unblocks
/// them for that long), so it is told by its system call. The masks are read before and after that,
/// since the thread may come back from one wait and go into the next.
pub(super) fn left_to_kernel(pid: Pid, signal: Signal) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())) else {
        return false;
    };
    let left = |task: &Path| Dispositions::read(task).is_some_and(|it| it.leaves_to_kernel(signal));
    tasks.into_iter().all(|task| {
        let Ok(task) = task.map(|task| task.path()) else { return false };
        left(&task) && !waits_for_signals(&task) && left(&task)
    })
}

/// Whether the thread is in the system call of sigwait(3), or may be: `/proc/<pid>/syscall`
/// (`proc_pid_syscall(5)`) starts with the call's number.
fn waits_for_signals(task: &Path) -> bool {
    fs::read_to_string(task.join("syscall")).map_or(true, |call| {
        let number = call.split(' ').next().and_then(|number| number.parse().ok());
        number == Some(Sysno::rt_sigtimedwait.id())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dispositions_are_read_as_the_kernel_prints_them() {
        let status = "Name:\tSigCgt: x\nSigQ:\t0/1\nSigPnd:\t0000000000000000\n\
                      SigBlk:\t0000000000000001\nSigIgn:\t0000000000000002\n\
                      SigCgt:\t0000000000004000\nCapInh:\t0\n";
        let found = Dispositions::parse(status).unwrap();
        for (signal, left, ignored) in [
            (Signal::HUP, false, false),
            (Signal::INT, false, true),
            (Signal::TERM, false, false),
            (Signal::USR1, true, false),
        ] {
            assert_eq!((found.leaves_to_kernel(signal), found.ignores(signal)), (left, ignored));
        }
        assert_eq!(Dispositions::parse("SigBlk:\t0\n"), None);
        assert!(Dispositions::of_self().is_some());
    }
}
