//! What the standard library does at the start of a program that has its `main`, for one that has not.

use nix::libc;
use rustix::fs::{Mode, OFlags};

/// Sees to it that descriptors 0 to 2 are open, so that no file that is opened gets one of these numbers and is written
/// to by messages; and that writing to a pipe that nobody reads is an error, not an end.
pub fn prepare() {
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if rustix::io::fcntl_getfd(stream).is_ok() {
            continue;
        }
        // It gets the lowest number that is free: this one. Not close-on-exec, as these are not.
        match rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty()) {
            Ok(null) => std::mem::forget(null),
            Err(_) => std::process::abort(),
        }
    }
    // SAFETY: ignoring a signal runs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}
