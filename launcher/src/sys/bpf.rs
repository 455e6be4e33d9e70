//! `bpf(2)`, as far as device rules of v2 groups need it.
#![expect(unsafe_code, reason = "this folder is where raw system calls are made")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use syscalls::{Errno, Sysno, syscall};

/// One instruction of eBPF (`struct bpf_insn`, Documentation/bpf/standardization/instruction-set.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation, class and source.
    pub code: u8,
    /// Destination register in the low half, source register in the high half (little endian).
    pub registers: u8,
    /// Jump distance, or displacement in memory.
    pub offset: i16,
    /// Immediate value.
    pub immediate: i32,
}

/// The fields of `union bpf_attr` for `BPF_PROG_LOAD`, up to what is used; the kernel takes the rest as 0.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The fields of `union bpf_attr` for `BPF_PROG_ATTACH`.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

const BPF_PROG_LOAD: usize = 5;
const BPF_PROG_ATTACH: usize = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of groups below are run too, and all must allow.
const BPF_F_ALLOW_MULTI: u32 = 2;

/// Loads a program of `BPF_PROG_TYPE_CGROUP_DEVICE` (Linux 4.15). The descriptor is closed on exec.
///
/// # Errors
/// The kernel's: EPERM without `CAP_SYS_ADMIN`, EINVAL without `CONFIG_CGROUP_BPF`, EACCES when the
/// verifier refuses the program.
pub fn load_device_program(program: &[Instruction]) -> io::Result<OwnedFd> {
    let count = u32::try_from(program.len()).map_err(io::Error::other)?;
    // The program calls no helper of the kernel, so its licence matters to nobody.
    let license = c"MIT";
    let attributes = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..Load::default()
    };
    // SAFETY: the attributes have the layout of the kernel's union and their true size; the two
    // pointers in them come from `program` (with its length) and `license` (with its NUL), which
    // outlive the call. The kernel reads only.
    let answer =
        unsafe { syscall!(Sysno::bpf, BPF_PROG_LOAD, &raw const attributes, size_of::<Load>()) };
    let fd = answer.map_err(error)?;
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a loaded program to the group that `group` is open on. It stays while the group does.
///
/// # Errors
/// The kernel's.
pub fn attach_device_program(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = Attach {
        target: group.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the attributes have the layout of the kernel's union and their true size; both
    // descriptors are borrowed, so open for the whole call. The kernel reads only.
    let answer = unsafe {
        syscall!(Sysno::bpf, BPF_PROG_ATTACH, &raw const attributes, size_of::<Attach>())
    };
    answer.map(drop).map_err(error)
}

fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.into_raw())
}
