//! The few system calls that `rustix` and `nix` lack or do not offer safely, each as a thin safe wrapper. The only place
//! of this program with `unsafe`, but for the name of the function that the C library calls.
//!
//! A wrapper hard-wires the safe flags (close-on-exec, no following of links) and returns the kernel's
//! [`Errno`] untouched: what it *means* is said by the stage that knows what it was doing.
//! Wrappers that run between clone and exec do not allocate.
#![allow(unsafe_code, reason = "this folder is where system calls are wrapped")]

pub mod beside;
pub mod bpf;
pub mod clone;
pub mod exec;
pub mod image;
pub mod keyring;
pub mod loopback;
pub mod mount;
pub mod net;
pub mod pidfd;
pub mod probe;
pub mod schedule;
pub mod seccomp;
pub mod shared;
pub mod signal;
pub mod start;

use rustix::io::Errno;

/// The result of a raw system call in `rustix`'s terms.
fn checked(result: Result<usize, syscalls::Errno>) -> Result<usize, Errno> {
    result.map_err(|errno| Errno::from_raw_os_error(errno.into_raw()))
}

/// A descriptor as a system call's argument; descriptors are never negative here.
fn raw(fd: std::os::fd::BorrowedFd<'_>) -> usize {
    // `BorrowedFd` is never -1; nothing else is negative that is open.
    usize::try_from(std::os::fd::AsRawFd::as_raw_fd(&fd)).unwrap_or(usize::MAX)
}
