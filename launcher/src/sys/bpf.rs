//! `bpf(2)`, as far as device rules of v2 groups need it.
#![expect(unsafe_code, reason = "this folder is where raw system calls are made")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

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
    name: [u8; 16],
}

/// The fields of `union bpf_attr` for `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// The fields of `union bpf_attr` for `BPF_PROG_QUERY`.
#[repr(C)]
struct Query {
    target: u32,
    kind: u32,
    flags: u32,
    found_flags: u32,
    ids: u64,
    count: u32,
}

/// The fields of `union bpf_attr` for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// The fields of `union bpf_attr` for `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct Inquiry {
    program: u32,
    room: u32,
    answer: u64,
}

/// `struct bpf_prog_info` up to the name (Linux 4.15); the kernel fills in as much as it is given room for.
#[repr(C)]
#[derive(Default)]
struct Info {
    before: [u64; 8],
    name: [u8; 16],
}

const INFO: u32 = 80;
const _: () = assert!(size_of::<Info>() == INFO as usize);

const BPF_PROG_LOAD: usize = 5;
const BPF_PROG_ATTACH: usize = 8;
const BPF_PROG_DETACH: usize = 9;
const BPF_PROG_GET_FD_BY_ID: usize = 13;
const BPF_OBJ_GET_INFO_BY_FD: usize = 15;
const BPF_PROG_QUERY: usize = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
/// Programs of groups below are run too, and all must allow.
const BPF_F_ALLOW_MULTI: u32 = 2;
/// By which our programs are known among those that others have attached to the same group.
const NAME: [u8; 16] = *b"paddle_devices\0\0";
/// The kernel allows 64 on one group (`BPF_CGROUP_MAX_PROGS`).
const MOST: usize = 64;

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
        name: NAME,
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
    change(BPF_PROG_ATTACH, group, program, BPF_F_ALLOW_MULTI)
}

/// Attaches a loaded program in place of the ones of ours that are attached; those of others stay.
///
/// # Errors
/// The kernel's.
pub fn replace_device_program(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let old = attached(group)?;
    // First the new one: for a moment both decide, never none.
    attach_device_program(group, program)?;
    for old in old {
        change(BPF_PROG_DETACH, group, old.as_fd(), 0)?;
    }
    Ok(())
}

fn change(
    command: usize,
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    flags: u32,
) -> io::Result<()> {
    let attributes = Attach {
        target: group.as_raw_fd().cast_unsigned(),
        program: program.as_raw_fd().cast_unsigned(),
        kind: BPF_CGROUP_DEVICE,
        flags,
    };
    // SAFETY: the attributes have the layout of the kernel's union and their true size; both
    // descriptors are borrowed, so open for the whole call. The kernel reads only.
    let answer =
        unsafe { syscall!(Sysno::bpf, command, &raw const attributes, size_of::<Attach>()) };
    answer.map(drop).map_err(error)
}

/// Our programs on that very group.
fn attached(group: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; MOST];
    let mut attributes = Query {
        target: group.as_raw_fd().cast_unsigned(),
        kind: BPF_CGROUP_DEVICE,
        flags: 0,
        found_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: 64,
    };
    // SAFETY: the attributes have the layout of the kernel's union and their true size. The kernel writes at most `count`
    // ids to `ids`, which has room for them and outlives the call, and their number to `attributes`.
    let answer =
        unsafe { syscall!(Sysno::bpf, BPF_PROG_QUERY, &raw mut attributes, size_of::<Query>()) };
    answer.map_err(error)?;
    let count = usize::try_from(attributes.count).map_err(io::Error::other)?;
    // One that is detached meanwhile is not found any more.
    let open = ids.iter().take(count).filter_map(|&id| program_by_id(id).ok());
    Ok(open.filter(|program| is_ours(program.as_fd())).collect())
}

fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let attributes = ById { id, next: 0, flags: 0 };
    // SAFETY: the attributes have the layout of the kernel's union and their true size. The kernel reads only.
    let answer = unsafe {
        syscall!(Sysno::bpf, BPF_PROG_GET_FD_BY_ID, &raw const attributes, size_of::<ById>())
    };
    let fd = RawFd::try_from(answer.map_err(error)?).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn is_ours(program: BorrowedFd<'_>) -> bool {
    let mut info = Info::default();
    let attributes = Inquiry {
        program: program.as_raw_fd().cast_unsigned(),
        room: INFO,
        answer: &raw mut info as u64,
    };
    // SAFETY: the attributes have the layout of the kernel's union and their true size. The kernel writes at most
    // `room` bytes to `info`, which is that long, plain numbers, and outlives the call.
    let answer = unsafe {
        syscall!(Sysno::bpf, BPF_OBJ_GET_INFO_BY_FD, &raw const attributes, size_of::<Inquiry>())
    };
    answer.is_ok() && info.name == NAME
}

fn error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.into_raw())
}
