//! loop(4): a file as a block device, for kernels that can mount a file system from no other.
#![expect(unsafe_code, reason = "this folder is where raw system calls are made")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::{checked, raw};

const LOOP_CTL_GET_FREE: usize = 0x4c82;
const LOOP_CONFIGURE: usize = 0x4c0a;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
/// Devices to try: another process may take the free one first.
const TRIES: usize = 16;

/// `struct loop_config` (linux/loop.h, Linux 5.8) with its `struct loop_info64`, of which only the flags are set.
#[repr(C)]
struct Configuration {
    file: u32,
    block_size: u32,
    /// Device, inode, rdevice, offset, size limit.
    unused: [u64; 5],
    /// Number, encryption type and key size.
    numbers: [u32; 3],
    flags: u32,
    /// File name, crypt name and key: 160 bytes; two words of `init`; then eight reserved ones.
    rest: [u64; 20 + 2 + 8],
}

/// A block device with the bytes of `file`, which can only be read. It is free again when the last user is gone: the
/// descriptor, and what was mounted from it.
pub fn attach(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let control = open(c"/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let configuration = Configuration {
        file: u32::try_from(file.as_raw_fd()).or(Err(Errno::BADF))?,
        block_size: 0,
        unused: [0; 5],
        numbers: [0; 3],
        flags: READ_ONLY | AUTOCLEAR,
        rest: [0; 30],
    };
    for _ in 0..TRIES {
        // SAFETY: takes no pointer, and changes no memory of ours.
        let free = unsafe { syscall!(Sysno::ioctl, raw(control.as_fd()), LOOP_CTL_GET_FREE, 0) };
        let device = open(format!("/dev/loop{}", checked(free)?), flags, Mode::empty())?;
        // SAFETY: `configuration` is a `struct loop_config`, whose size is checked below; the kernel only reads it, and
        // it outlives the call.
        let configured = unsafe {
            syscall!(
                Sysno::ioctl,
                raw(device.as_fd()),
                LOOP_CONFIGURE,
                std::ptr::from_ref(&configuration)
            )
        };
        match checked(configured) {
            Ok(_) => return Ok(device),
            Err(Errno::BUSY) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::BUSY)
}

const _: () = assert!(size_of::<Configuration>() == 304, "sizeof(struct loop_config)");
