//! execve(2) with everything prepared beforehand, and the sweep of descriptors before it.

use std::ffi::{CStr, CString, NulError, c_char};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

/// A NULL-terminated array of strings, as exec wants its arguments and environment.
#[derive(Debug)]
pub struct Strings {
    /// Owns what `pointers` points to.
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    /// From texts, none of which may have a NUL byte in it.
    pub fn new<I>(texts: I) -> Result<Self, NulError>
    where
        I: IntoIterator,
        I::Item: Into<Vec<u8>>,
    {
        let strings: Vec<CString> =
            texts.into_iter().map(CString::new).collect::<Result<_, _>>()?;
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Self { strings, pointers })
    }

    /// The strings.
    pub fn get(&self) -> &[CString] {
        &self.strings
    }
}

/// Executes `path`; returns only to say why it did not.
pub fn exec(path: &CStr, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: `path` is NUL-terminated; the arrays are NULL-terminated and point to strings that `Strings` owns and
    // never changes.
    let result = checked(unsafe {
        syscall!(
            Sysno::execve,
            path.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr()
        )
    });
    result.err().unwrap_or(Errno::NOEXEC)
}

const CLOSE_RANGE_CLOEXEC: usize = 4;

/// Marks every descriptor from `first` on close-on-exec, so that none outlives exec by accident (CVE-2024-21626).
///
/// On Linux 5.10 and older, which lack the flag, each possible descriptor is marked by itself.
pub fn close_from_on_exec(first: u32) -> Result<(), Errno> {
    // SAFETY: marking descriptors close-on-exec touches no memory and closes nothing now.
    match checked(unsafe { syscall!(Sysno::close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) }) {
        Err(Errno::NOSYS | Errno::INVAL) => mark_each(first),
        other => other.map(drop),
    }
}

fn mark_each(first: u32) -> Result<(), Errno> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let last = limit.unwrap_or(1 << 20).min(1 << 20);
    for fd in u64::from(first)..last {
        // SAFETY: as above; a number that is no descriptor fails with EBADF.
        match checked(unsafe { syscall!(Sysno::fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC) }) {
            Ok(_) | Err(Errno::BADF) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Closes every descriptor from `first` on but those of `kept`, which is sorted on the way.
///
/// Only for a process that was forked to become a program: no owner of a descriptor that is closed here may ever be
/// dropped or used again. (Both hold where it is called: what follows are `kept` ones alone, and the process ends by exec
/// or `_exit`.)
///
/// # Errors
///
/// What `close_range(2)` says; on Linux 5.8 and older, which lack it, each possible descriptor is closed by itself.
pub fn close_all_but(first: u32, kept: &mut [RawFd]) -> Result<(), Errno> {
    kept.sort_unstable();
    let mut from = first;
    for fd in kept.iter().filter_map(|&fd| u32::try_from(fd).ok()) {
        if fd >= from {
            if fd > from {
                close_range(from, fd - 1)?;
            }
            from = fd + 1;
        }
    }
    close_range(from, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: the one caller of `close_all_but` upholds that no owner of these is used again (see there).
    match checked(unsafe { syscall!(Sysno::close_range, first, last, 0) }) {
        Err(Errno::NOSYS) => {
            let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
            let end = limit.unwrap_or(1 << 20).min(1 << 20).min(u64::from(last) + 1);
            for fd in u64::from(first)..end {
                // SAFETY: as above; a number that is no descriptor fails with EBADF, which changes nothing.
                let _ = unsafe { syscall!(Sysno::close, fd) };
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Executes the file behind a descriptor; returns only to say why it did not.
pub fn exec_descriptor(file: impl AsFd, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: as for `exec`; the path is empty and NUL-terminated.
    let result = checked(unsafe {
        syscall!(
            Sysno::execveat,
            super::raw(file.as_fd()),
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH
        )
    });
    result.err().unwrap_or(Errno::NOEXEC)
}

/// Takes ownership of a descriptor that was left open across exec for this process and named to it by number.
///
/// # Errors
///
/// `EBADF` when there is none.
pub fn inherited(number: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: fcntl with F_GETFD touches no memory.
    checked(unsafe { syscall!(Sysno::fcntl, number, libc::F_GETFD) })?;
    // SAFETY: it is open, and this process, just started, has not given it an owner: the one caller asks once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
