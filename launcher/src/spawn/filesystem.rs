//! New instances of file systems, detached: what they are mounted with is set before anyone can reach them (R3).

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use crate::plan::Attributes;

/// A detached new instance of a file system.
pub(super) fn new(
    filesystem: &str,
    name: &str,
    options: &[(String, Option<String>)],
    set: Attributes,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), c"source", name)?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(context.as_fd(), key.as_str(), value.as_str())?,
            None => fsconfig_set_flag(context.as_fd(), key.as_str())?,
        }
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes(set))
}

/// In the kernel's bits.
pub(super) fn attributes(set: Attributes) -> MountAttrFlags {
    let mut flags = MountAttrFlags::empty();
    flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, set.readonly);
    flags.set(MountAttrFlags::MOUNT_ATTR_NOSUID, set.nosuid);
    flags.set(MountAttrFlags::MOUNT_ATTR_NODEV, set.nodev);
    flags.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, set.noexec);
    flags.set(MountAttrFlags::MOUNT_ATTR_NOATIME, set.noatime);
    flags.set(MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, set.nosymfollow);
    flags
}
