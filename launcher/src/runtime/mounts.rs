//! Mounts of a container that has no mount namespace: the only ones that outlive its processes.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use super::Mounted;

/// More than one start ever puts on top of another.
const MOST: usize = 16;

/// Which mount a path leads to (Linux 5.8).
pub fn mount_at(path: &Path) -> io::Result<u64> {
    Ok(statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID)?.stx_mnt_id)
}

/// Unmounts what came on top, with all that is mounted below it.
pub(super) fn clear(mounted: &Mounted) -> io::Result<()> {
    for _ in 0..MOST {
        match mount_at(&mounted.path) {
            Ok(found) if found == mounted.before => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        match unmount(&mounted.path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Nothing is mounted right there any more.
            Err(Errno::INVAL) => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}
