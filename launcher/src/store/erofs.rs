//! EROFS: a root filesystem that is one file. It is mounted as it is, so that there is nothing to unpack.
//!
//! ```text
//! 0     not used (a boot sector, say)
//! 1024  superblock; its first four bytes are 0xE0F5E1E2, least significant first
//! ```
//!
//! Nothing else of it is read here: the kernel reads it, as root, which is why nobody gets it by default
//! (`--allow-erofs`, docs/security.md). Only the host's root may mount it. Each mount has a cache of its own: containers
//! of one such image do not share their pages, as those of an unpacked one do.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use super::StoreError;
use crate::sys::loopback;

/// `EROFS_SUPER_OFFSET` and `EROFS_SUPER_MAGIC_V1` (`fs/erofs/erofs_fs.h`).
const MAGIC: (u64, [u8; 4]) = (1024, [0xe2, 0xe1, 0xf5, 0xe0]);

/// Whether a file is one, by its magic number.
pub(super) fn is_erofs(file: &File) -> io::Result<bool> {
    let mut found = [0; 4];
    match file.read_exact_at(&mut found, MAGIC.0) {
        Ok(()) => Ok(found == MAGIC.1),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Mounts the file system in `file`: detached, read-only, and no device can be opened through it. `path` is for messages.
pub(super) fn mount(file: &File, path: &Path) -> Result<OwnedFd, StoreError> {
    mount_from(file.as_fd())
        .map_err(|error| StoreError::Erofs { path: path.to_owned(), source: error.into() })
}

/// As `mount`, with the kernel's own error.
pub fn mount_from(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    match mount_source(file) {
        // Linux before 6.12, or one without EROFS_FS_BACKED_BY_FILE.
        Err(Errno::NOTBLK) => mount_on_loop_device(file),
        mounted => mounted,
    }
}

/// As [`mount_from`] where the kernel mounts from block devices only.
pub fn mount_on_loop_device(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // The mount keeps the device; the device keeps the file.
    mount_source(loopback::attach(file)?.as_fd())
}

fn mount_source(source: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let context = fsopen(c"erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // By descriptor: what is mounted is what was opened, and the value is never too long.
    let source = format!("/proc/self/fd/{}", source.as_raw_fd());
    fsconfig_set_string(context.as_fd(), c"source", source)?;
    fsconfig_set_flag(context.as_fd(), c"ro")?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// The file of a snapshot that is mounted, in its folder.
pub(super) const FILE: &str = "root.erofs";

/// Makes that file.
pub(super) fn create(folder: BorrowedFd<'_>) -> Result<File, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, FILE, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}
