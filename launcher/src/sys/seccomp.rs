//! seccomp(2): loading a filter.

use std::os::fd::{FromRawFd, OwnedFd};

use nix::libc::sock_filter;
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

/// A filter in the kernel's layout, ready to be loaded without allocating.
#[derive(Debug)]
pub struct Filter {
    instructions: Vec<sock_filter>,
    flags: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    filter: *const sock_filter,
}

const SET_MODE_FILTER: usize = 1;

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` (Linux 5.0).
pub const NEW_LISTENER: u32 = 1 << 3;

impl Filter {
    /// From instructions of classic BPF, each `(code, jt, jf, k)`, and `SECCOMP_FILTER_FLAG_*`.
    pub fn new(instructions: impl Iterator<Item = (u16, u8, u8, u32)>, flags: u32) -> Self {
        let instructions = instructions.map(|(code, jt, jf, k)| sock_filter { code, jt, jf, k });
        Self { instructions: instructions.collect(), flags }
    }

    /// Puts this process and all it will start under the filter, for good. Needs `no_new_privs` or `CAP_SYS_ADMIN`.
    ///
    /// With `SECCOMP_FILTER_FLAG_NEW_LISTENER` the answer is the listener, close-on-exec.
    ///
    /// # Errors
    ///
    /// What seccomp says: `EINVAL` for a program that the kernel's checker refuses, also one longer than 4096
    /// instructions, and for flags that it does not know.
    pub fn load(&self) -> Result<Option<OwnedFd>, Errno> {
        let length = u16::try_from(self.instructions.len()).or(Err(Errno::INVAL))?;
        let program = Program { length, filter: self.instructions.as_ptr() };
        // SAFETY: `program` points to `length` instructions of the kernel's layout (libc's type for it); both outlive the
        // call, which copies them.
        let answer = checked(unsafe {
            syscall!(Sysno::seccomp, SET_MODE_FILTER, self.flags, &raw const program)
        })?;
        if self.flags & NEW_LISTENER == 0 {
            return Ok(None);
        }
        let number = i32::try_from(answer).or(Err(Errno::RANGE))?;
        // SAFETY: with this flag the answer is a descriptor that was just made, and nobody else owns.
        Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
    }
}

/// Which of these `SECCOMP_FILTER_FLAG_*` the kernel knows. Nothing is loaded: a filter at no address is EFAULT where the
/// flags are known, and EINVAL where they are not (seccomp(2), "NOTES").
pub fn knows(flags: u32) -> bool {
    // SAFETY: the null pointer is refused before anything is changed.
    let answer = checked(unsafe { syscall!(Sysno::seccomp, SET_MODE_FILTER, flags, 0) });
    answer == Err(Errno::FAULT)
}
