//! seccomp(2): loading a filter.

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;
use crate::plan::seccomp::Program as Filter;

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    filter: *const crate::plan::seccomp::Instruction,
}

const SET_MODE_FILTER: usize = 1;

/// Puts this process and all it will start under a filter, for good. Needs `no_new_privs` or `CAP_SYS_ADMIN`.
///
/// # Errors
///
/// What seccomp says: `EINVAL` for a program that the kernel's checker refuses, also one longer than 4096 instructions.
pub fn load(filter: &Filter) -> Result<(), Errno> {
    let length = u16::try_from(filter.instructions.len()).or(Err(Errno::INVAL))?;
    let program = Program { length, filter: filter.instructions.as_ptr() };
    // SAFETY: `program` points to `length` instructions of the kernel's layout (repr(C)); both outlive the call,
    // which copies them.
    checked(unsafe { syscall!(Sysno::seccomp, SET_MODE_FILTER, filter.flags, &raw const program) })
        .map(drop)
}
