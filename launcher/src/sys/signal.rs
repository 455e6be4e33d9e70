//! Signal dispositions and the signal mask of a process that is about to execute a program, and what process 1 does
//! with signals: by number, real-time ones included (`nix` and `rustix` have names only).

use std::mem::size_of;

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::io::Errno;
use rustix::process::Pid;
use syscalls::{Sysno, syscall};

/// Waits for any signal, all of which the caller has blocked, and takes it.
pub fn wait() -> Result<i32, Errno> {
    take(u64::MAX)
}

/// The same for this one alone.
pub fn wait_for(signal: i32) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| take(1 << (signal - 1))).map(drop)
}

fn take(set: u64) -> Result<i32, Errno> {
    // SAFETY: the kernel's signal set is 64 bits wide, which is the size passed; it outlives the call. The null pointers
    // say that nothing more is to be told of the signal, and that there is no limit of time (rt_sigtimedwait(2)).
    let signal = super::checked(unsafe {
        syscall!(Sysno::rt_sigtimedwait, &raw const set, 0, 0, size_of::<u64>())
    })?;
    i32::try_from(signal).or(Err(Errno::RANGE))
}

/// kill(2).
pub fn send(process: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill touches no memory.
    super::checked(unsafe { syscall!(Sysno::kill, process.as_raw_nonzero().get(), signal) })
        .map(drop)
}

/// What a process does about a signal until it executes a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// What it does about it afterwards: the default.
    Default,
    /// It ends where that is the default, though it be process 1, for which the kernel drops what it does not handle
    /// (`pid_namespaces(7)`). Signals of its own faults are left to the kernel, which ends it by them.
    End,
}

/// Signals whose default is not to end a process, and those of faults (signal(7)).
const NOT_ENDING: [i32; 14] = [
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

/// With the status by which shells tell of a signal.
extern "C" fn end(signal: i32) {
    super::clone::exit_now(128 + signal)
}

/// Unblocks all signals and gives each its default disposition, in a process that has still to wait for its program's exec
/// another one until then. exec resets handlers by itself but keeps *ignored* signals, and Rust's start-up ignores SIGPIPE: a
/// program that inherits that does not die when its reader goes away.
pub fn reset(until: Until) {
    let ends = until == Until::End && rustix::process::getpid().is_init();
    for signal in 1..=64 {
        let handled = ends && !NOT_ENDING.contains(&signal);
        let action = if handled { end as *const () as usize } else { libc::SIG_DFL };
        // SAFETY: SIG_DFL installs no code, and `end` does nothing but to leave by `_exit`, which is safe in a handler
        // (signal-safety(7)). SIGKILL, SIGSTOP and the two that libc keeps for itself fail with EINVAL, which changes
        // nothing.
        unsafe { libc::signal(signal, action) };
    }
    // Cannot fail with these arguments (sigprocmask(2)).
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}
