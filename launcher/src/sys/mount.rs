//! `mount_setattr(2)`: attributes of detached mounts.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;
use syscalls::{Sysno, syscall};

use super::{checked, raw};

/// `struct mount_attr` (linux/mount.h, Linux 5.12).
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const AT_EMPTY_PATH: usize = 0x1000;
const AT_RECURSIVE: usize = 0x8000;
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
/// `MOUNT_ATTR__ATIME`.
const ATIME: u64 = 0x70;
const MS_PRIVATE: u64 = 1 << 18;

/// Sets attributes (`MOUNT_ATTR_*`) of the mount that `mount` is the root of, `recursive`ly of those below it too, and makes
/// it private: it neither sends nor receives mounts.
pub fn set_attributes(mount: impl AsFd, set: u64, recursive: bool) -> Result<(), Errno> {
    // Of the ways to keep access times exactly one is in force: setting one means clearing the field.
    let clear = if set & ATIME == 0 { 0 } else { ATIME };
    let attributes = MountAttr { set, clear, propagation: MS_PRIVATE, ..MountAttr::default() };
    apply(mount.as_fd(), &attributes, recursive)
}

/// Shows a detached mount with its owners mapped by a user namespace (idmapped mount).
pub fn map_ids(mount: impl AsFd, user_namespace: impl AsFd) -> Result<(), Errno> {
    let attributes = MountAttr {
        set: MOUNT_ATTR_IDMAP,
        user_namespace: u64::try_from(user_namespace.as_fd().as_raw_fd()).or(Err(Errno::BADF))?,
        ..MountAttr::default()
    };
    apply(mount.as_fd(), &attributes, false)
}

fn apply(mount: BorrowedFd<'_>, attributes: &MountAttr, recursive: bool) -> Result<(), Errno> {
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the empty path is NUL-terminated and `attributes` is a `struct mount_attr` of the size passed; both
    // outlive the call.
    checked(unsafe {
        syscall!(
            Sysno::mount_setattr,
            raw(mount),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<MountAttr>()
        )
    })
    .map(drop)
}
