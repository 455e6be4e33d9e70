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
    let all = u64::MAX;
    // SAFETY: the kernel's signal set is 64 bits wide, which is the size passed; it outlives the call. The null pointers
    // say that nothing more is to be told of the signal, and that there is no limit of time (rt_sigtimedwait(2)).
    let signal = super::checked(unsafe {
        syscall!(Sysno::rt_sigtimedwait, &raw const all, 0, 0, size_of::<u64>())
    })?;
    i32::try_from(signal).or(Err(Errno::RANGE))
}

/// kill(2).
pub fn send(process: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill touches no memory.
    super::checked(unsafe { syscall!(Sysno::kill, process.as_raw_nonzero().get(), signal) })
        .map(drop)
}

/// Gives every signal its default disposition and unblocks all. exec resets handlers by itself but keeps *ignored*
/// signals, and Rust's start-up ignores SIGPIPE: a program that inherits that does not die when its reader goes away.
pub fn reset() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no code. SIGKILL, SIGSTOP and the two that libc keeps for itself fail with EINVAL,
        // which changes nothing.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // Cannot fail with these arguments (sigprocmask(2)).
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}
