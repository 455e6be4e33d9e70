//! execve(2) with everything prepared beforehand, and the sweep of descriptors before it.

use std::ffi::{CStr, CString, NulError, c_char};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

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
