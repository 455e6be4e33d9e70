//! The descriptors of its own that a caller wants the program to keep: they are known by their numbers.

use std::io;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, RawFd};

use rustix::fs::MemfdFlags;

/// Sees to it that none of the `count` descriptors from 3 on becomes this program's: whichever the caller left out is taken by an
/// empty file in memory for as long as this program lives, and is closed when the container's is executed. To be called before
/// anything is opened.
///
/// # Errors
/// More than this process may have.
pub fn keep_places(count: u32) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let end = RawFd::try_from(count).ok().and_then(|count| count.checked_add(3));
    let end = end.ok_or(io::ErrorKind::InvalidInput)?;
    loop {
        // The kernel gives the lowest number that is free.
        let place = rustix::fs::memfd_create("unused", MemfdFlags::CLOEXEC)?;
        if place.as_raw_fd() >= end {
            return Ok(());
        }
        let _ = place.into_raw_fd();
    }
}
