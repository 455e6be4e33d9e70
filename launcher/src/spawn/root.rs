//! The container's root is mounted, and in the end entered.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, unmount,
};

use super::handshake::{At, Done};
use super::prepare::{Setup, layer};
use super::{Step, place};
use crate::plan::RootPlan;
use crate::sys;

/// Mounts the root on top of the host's `/` and returns the descriptor of its top folder.
///
/// Device nodes on it cannot be opened: the ones that the container has are mounts of their own (see `devices`).
pub(super) fn mount(setup: &Setup<'_>) -> Done<OwnedFd> {
    let lower = setup.plan.root.lower();
    let tree = match &setup.plan.root {
        RootPlan::Bind { lower } => bind(setup, lower),
        RootPlan::Overlay { lower, writable, .. } => overlay(setup, lower, &layer(writable)),
    }
    .at(Step::MountRoot, lower.display())?;
    place::attach_on_top(&tree).at(Step::MountRoot, lower.display())?;
    Ok(tree)
}

fn bind(setup: &Setup<'_>, lower: &Path) -> Result<OwnedFd, Errno> {
    let tree = setup.tree(lower, false)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
    sys::mount::set_attributes(&tree, attributes.bits().into(), false)?;
    Ok(tree)
}

fn overlay(setup: &Setup<'_>, lower: &Path, layer: &Path) -> Result<OwnedFd, Errno> {
    let mut attached = 0;
    let lower = folder(setup, lower, &mut attached)?;
    let layer = folder(setup, layer, &mut attached)?;
    let below = |name| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&layer, name, flags, Mode::empty())
    };
    let (upper, work) = (below(c"upper")?, below(c"work")?);
    let context = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    // Descriptors' paths: of a known length (a value is cut at 256 bytes) and without the `:` and `,` that a path might
    // have and that mean something here.
    let option = |key: &std::ffi::CStr, fd: &OwnedFd| {
        fsconfig_set_string(context.as_fd(), key, format!("/proc/self/fd/{}", fd.as_raw_fd()))
    };
    option(c"lowerdir", &lower)?;
    option(c"upperdir", &upper)?;
    option(c"workdir", &work)?;
    // No sync when it is unmounted, which costs 300 us on an idle disk and 200 ms on a busy one (Linux 5.10).
    fsconfig_set_flag(context.as_fd(), c"volatile")?;
    if setup.plan.id_maps.is_some() {
        // trusted.* attributes are closed to user namespaces (Linux 5.11).
        fsconfig_set_flag(context.as_fd(), c"userxattr")?;
    }
    fsconfig_create(context.as_fd())?;
    let tree =
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NODEV)?;
    // overlayfs has copies of its own. What stayed attached would end up in the container, with the host's root below.
    for _ in 0..attached {
        unmount(c"/", UnmountFlags::DETACH)?;
    }
    Ok(tree)
}

/// A folder for overlayfs to refer to. One that the launcher prepared is a detached mount, which kernels before 6.15 do
/// not accept: it is attached first, and counted.
fn folder(setup: &Setup<'_>, path: &Path, attached: &mut u32) -> Result<OwnedFd, Errno> {
    if let Some(tree) = setup.prepared(path) {
        place::attach_on_top(tree)?;
        *attached += 1;
        return rustix::io::fcntl_dupfd_cloexec(tree, 3);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// No more writing: the mount points are made.
pub(super) fn seal(setup: &Setup<'_>, root: BorrowedFd<'_>) -> Done {
    if matches!(setup.plan.root, RootPlan::Overlay { sealed: true, .. }) {
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
        sys::mount::set_attributes(root, attributes.bits().into(), false)
            .at(Step::Readonly, "/")?;
    }
    Ok(())
}

/// Makes the mounted root the process's root and lets go of the host's.
pub(super) fn enter(root: BorrowedFd<'_>) -> Done {
    rustix::process::fchdir(root).at(Step::Pivot, "/")?;
    // The old root lands on top of the new one's top folder, and is the one that `.` then means to unmount; no folder is
    // needed for it (pivot_root(2), NOTES).
    rustix::process::pivot_root(c".", c".").at(Step::Pivot, "/")?;
    unmount(c".", UnmountFlags::DETACH).at(Step::Pivot, "/")?;
    rustix::process::chdir(c"/").at(Step::Pivot, "/")?;
    // `/` never shows what is mounted on top of the process's root, but `/..` does: it must be the root again, or the
    // container could reach whatever lies there.
    if mount_of(c"/..").at(Step::Pivot, "/..")? == mount_of(c"/").at(Step::Pivot, "/")? {
        Ok(())
    } else {
        Err(Errno::XDEV).at(Step::Pivot, "/..")
    }
}

/// Which mount a path leads to (Linux 5.8).
fn mount_of(path: &std::ffi::CStr) -> Result<u64, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(statx(CWD, path, flags, StatxFlags::MNT_ID)?.stx_mnt_id)
}
