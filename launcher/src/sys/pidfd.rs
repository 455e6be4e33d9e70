//! Signals to a process by its descriptor, real-time ones included (`rustix` has names only).

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

/// `pidfd_send_signal(2)` (Linux 5.1), as `kill(2)` would.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: `pidfd` is open for the duration of the call (it is borrowed); the third argument is
    // a null `siginfo_t *`, which the call accepts, so no memory is read or written.
    let result = unsafe { syscall!(Sysno::pidfd_send_signal, super::raw(pidfd), signal, 0, 0) };
    super::checked(result).map(drop)
}
