//! Memory that a process shares with the children that it forks: how a child that will execute another program can leave
//! a note behind.

use std::sync::atomic::AtomicU64;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// `count` words, all zero, shared with every child forked from now on, for the life of this process.
///
/// # Errors
///
/// What mmap says: no memory.
pub fn words(count: usize) -> Result<&'static [AtomicU64], Errno> {
    let bytes = count.checked_mul(size_of::<AtomicU64>()).ok_or(Errno::OVERFLOW)?;
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: with a null address the kernel chooses a place where nothing is.
    let place = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, access, MapFlags::SHARED)? };
    // SAFETY: the mapping is `bytes` long, aligned to a page, zero, which is a valid atomic, is never unmapped, and
    // nothing but these words refers to it.
    Ok(unsafe { std::slice::from_raw_parts(place.cast::<AtomicU64>(), count) })
}
