//! Signal dispositions and the signal mask of a process that is about to execute a program.

use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

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
