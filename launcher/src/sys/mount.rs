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
const MS_UNBINDABLE: u64 = 1 << 17;
const MS_PRIVATE: u64 = 1 << 18;
const MS_SLAVE: u64 = 1 << 19;
const MS_SHARED: u64 = 1 << 20;

/// How mounts and unmounts travel (`mount_namespaces(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// Not at all.
    Private,
    /// In only.
    Slave,
    /// Both ways.
    Shared,
    /// Not at all, and no copies.
    Unbindable,
}

/// Whether a change is one of the mount alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The mount alone.
    One,
    /// It and all that is mounted below it.
    All,
}

/// Sets attributes (`MOUNT_ATTR_*`) of the mount that `mount` is the root of.
pub fn set_attributes(mount: impl AsFd, set: u64, extent: Extent) -> Result<(), Errno> {
    change(mount, set, 0, None, extent)
}

/// Clears attributes (`MOUNT_ATTR_*`) of the mount that `mount` is the root of, then sets some, and changes how mounts and
/// unmounts travel, in one step.
pub fn change(
    mount: impl AsFd,
    set: u64,
    clear: u64,
    travel: Option<Travel>,
    extent: Extent,
) -> Result<(), Errno> {
    let propagation = match travel {
        None => 0,
        Some(Travel::Private) => MS_PRIVATE,
        Some(Travel::Slave) => MS_SLAVE,
        Some(Travel::Shared) => MS_SHARED,
        Some(Travel::Unbindable) => MS_UNBINDABLE,
    };
    let attributes = MountAttr { set, clear, propagation, ..MountAttr::default() };
    apply(mount.as_fd(), &attributes, extent)
}

/// Shows a detached mount with its owners mapped by a user namespace (idmapped mount).
pub fn map_ids(mount: impl AsFd, user_namespace: impl AsFd, extent: Extent) -> Result<(), Errno> {
    let attributes = MountAttr {
        set: MOUNT_ATTR_IDMAP,
        user_namespace: u64::try_from(user_namespace.as_fd().as_raw_fd()).or(Err(Errno::BADF))?,
        ..MountAttr::default()
    };
    apply(mount.as_fd(), &attributes, extent)
}

fn apply(mount: BorrowedFd<'_>, attributes: &MountAttr, extent: Extent) -> Result<(), Errno> {
    let flags = AT_EMPTY_PATH | if extent == Extent::All { AT_RECURSIVE } else { 0 };
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
