//! seccomp(2): loading a filter.

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::checked;

/// One instruction of classic BPF (`struct sock_filter`, linux/filter.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    filter: *const Instruction,
}

const SET_MODE_FILTER: usize = 1;

/// Puts this process and all it will start under a filter, for good. Needs no_new_privs or CAP_SYS_ADMIN.
///
/// # Errors
///
/// What seccomp says: `EINVAL` for a program that the kernel's checker refuses, also one longer than 4096 instructions.
pub fn load(program: &[Instruction]) -> Result<(), Errno> {
    let length = u16::try_from(program.len()).or(Err(Errno::INVAL))?;
    let program = Program { length, filter: program.as_ptr() };
    // SAFETY: `program` points to `length` instructions of the kernel's layout (repr(C)); both outlive the call,
    // which copies them.
    checked(unsafe { syscall!(Sysno::seccomp, SET_MODE_FILTER, 0, &raw const program) }).map(drop)
}
