//! The container's root is mounted, and in the end entered.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, unmount,
};

use super::prepare::Setup;
use super::scratch::Scratch;
use super::sources::Trees;
use super::step::{At, Done};
use super::{Step, mounts, no_pivot, place};
use crate::plan::{NamespaceKind, Plan, Propagation, RootPlan, Spread};
use crate::sys;
use crate::sys::mount::{Extent, Travel};

/// What is mounted first.
#[derive(Debug)]
pub(super) struct Mounted {
    /// The top folder of the root.
    pub(super) root: OwnedFd,
    /// A detached mount for each of the plan's generated files.
    pub(super) files: Vec<OwnedFd>,
}

/// Mounts the root on top of the unpacked image, or of the host's `/`.
///
/// Device nodes on an image's cannot be opened: the ones that the container has are mounts of their own (see `devices`).
pub(super) fn mount(setup: &Setup<'_>, trees: &Trees) -> Done<Mounted> {
    let path = setup.plan.root.lower();
    if let RootPlan::Folder { .. } = setup.plan.root {
        return folder_itself(setup.plan, trees, path).at(Step::MountRoot, path.display());
    }
    let lower = match trees.root().or_else(|| setup.trees.root()) {
        Some(tree) => Lower::Prepared(tree),
        None => Lower::Folder(folder(path).at(Step::MountRoot, path.display())?),
    };
    let scratch = Scratch::mount(match &lower {
        Lower::Folder(folder) => Some(folder.as_fd()),
        Lower::Prepared(_) => None,
    })?;
    let files = setup.plan.files.iter().enumerate();
    let files = files
        .map(|(index, file)| scratch.file(index, file).at(Step::Mount, &file.destination))
        .collect::<Done<Vec<_>>>()?;
    let root = match &setup.plan.root {
        RootPlan::Folder { .. } | RootPlan::Bind { .. } => bind(&lower),
        RootPlan::Sealed { .. } => {
            scratch.layer().and_then(|layer| overlay(setup, &lower, &layer, &scratch))
        }
        RootPlan::Overlay { writable, .. } => match trees.writable() {
            Some(tree) => scratch.hold("layer", tree),
            None => folder(writable),
        }
        .and_then(|layer| overlay(setup, &lower, &layer, &scratch)),
    };
    let root = root.at(Step::MountRoot, path.display())?;
    scratch.leave()?;
    match &lower {
        // Not on `/`, where a volume of the host's root would show it instead of that.
        Lower::Folder(folder) => place::attach(&root, folder),
        // The volumes are copied already.
        Lower::Prepared(_) => place::attach_on_top(&root),
    }
    .at(Step::MountRoot, path.display())?;
    Ok(Mounted { root, files })
}

/// A bundle's folder as it is, with what is mounted in it: a mount of its own, so that no property of the mount that the folder lies on
/// matters. It goes on top of that folder, where hooks look for it by the path that their state names.
fn folder_itself(plan: &Plan, trees: &Trees, path: &Path) -> Result<Mounted, Errno> {
    let root = match trees.root() {
        Some(tree) => rustix::io::fcntl_dupfd_cloexec(tree, 3)?,
        None => place::tree(path, true)?,
    };
    let receives = plan.propagation.is_some_and(|spread| spread.kind == Propagation::Slave);
    let travel = if receives { Travel::Slave } else { Travel::Private };
    sys::mount::change(&root, 0, 0, Some(travel), Extent::All)?;
    if !plan.has(NamespaceKind::Mount) {
        // Attached, it would be the host's: it stays a tree of its own that only its processes hold.
        return Ok(Mounted { root, files: Vec::new() });
    }
    match folder(path) {
        Ok(folder) => place::attach(&root, folder)?,
        // Root inside may not pass through the folders above it.
        Err(Errno::ACCESS) => place::attach_on_top(&root)?,
        Err(errno) => return Err(errno),
    }
    Ok(Mounted { root, files: Vec::new() })
}

/// The unpacked image.
#[derive(Debug)]
enum Lower<'a> {
    /// Opened by its path.
    Folder(OwnedFd),
    /// A detached mount that the launcher made of it.
    Prepared(BorrowedFd<'a>),
}

fn bind(lower: &Lower<'_>) -> Result<OwnedFd, Errno> {
    let tree = match lower {
        Lower::Folder(folder) => place::tree_of(folder, false)?,
        Lower::Prepared(tree) => rustix::io::fcntl_dupfd_cloexec(tree, 3)?,
    };
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
    sys::mount::change(&tree, attributes.bits().into(), 0, Some(Travel::Private), Extent::One)?;
    Ok(tree)
}

fn overlay(
    setup: &Setup<'_>,
    lower: &Lower<'_>,
    layer: &OwnedFd,
    scratch: &Scratch,
) -> Result<OwnedFd, Errno> {
    let lower = match lower {
        Lower::Folder(folder) => rustix::io::fcntl_dupfd_cloexec(folder, 3)?,
        Lower::Prepared(tree) => scratch.hold("lower", *tree)?,
    };
    let below = |name| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(layer, name, flags, Mode::empty())
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
    if setup.plan.root.writable().is_some() {
        // No sync when it is unmounted, which costs 300 us on an idle disk and 200 ms on a busy one (Linux 5.10).
        fsconfig_set_flag(context.as_fd(), c"volatile")?;
    }
    if setup.plan.id_maps.is_some() {
        // trusted.* attributes are closed to user namespaces (Linux 5.11).
        fsconfig_set_flag(context.as_fd(), c"userxattr")?;
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NODEV)
}

fn folder(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// No more writing: the mount points are made.
pub(super) fn seal(setup: &Setup<'_>, root: BorrowedFd<'_>) -> Done {
    if matches!(setup.plan.root, RootPlan::Sealed { .. } | RootPlan::Folder { readonly: true, .. })
    {
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
        sys::mount::set_attributes(root, attributes.bits().into(), Extent::One)
            .at(Step::Readonly, "/")?;
    }
    Ok(())
}

/// Makes the mounted root the process's root and lets go of the host's.
pub(super) fn enter(plan: &Plan, root: BorrowedFd<'_>) -> Done {
    rustix::process::fchdir(root).at(Step::Pivot, "/")?;
    if !plan.has_new(NamespaceKind::Mount) {
        // The mounts are not the container's alone: nobody else's root may change.
        rustix::process::chroot(c".").at(Step::Pivot, "/")?;
    } else if plan.no_pivot {
        no_pivot::enter(root)?;
    } else {
        // The old root lands on top of the new one's top folder, and is the one that `.` then means to unmount; no folder is
        // needed for it (pivot_root(2), NOTES).
        rustix::process::pivot_root(c".", c".").at(Step::Pivot, "/")?;
        unmount(c".", UnmountFlags::DETACH).at(Step::Pivot, "/")?;
    }
    rustix::process::chdir(c"/").at(Step::Pivot, "/")?;
    // `/` never shows what is mounted on top of the process's root, but `/..` does: it must be the root again, or the
    // container could reach whatever lies there.
    if plan.has_new(NamespaceKind::Mount)
        && mount_of(c"/..").at(Step::Pivot, "/..")? != mount_of(c"/").at(Step::Pivot, "/")?
    {
        return Err(Errno::XDEV).at(Step::Pivot, "/..");
    }
    match plan.propagation {
        // Only now: what is mounted until then is nobody else's business.
        Some(Spread {
            kind: kind @ (Propagation::Shared | Propagation::Unbindable),
            recursive,
        }) => {
            let extent = if recursive { Extent::All } else { Extent::One };
            sys::mount::change(root, 0, 0, Some(mounts::kernel(kind)), extent)
                .at(Step::Propagation, "/")
        }
        _ => Ok(()),
    }
}

/// Which mount a path leads to (Linux 5.8).
fn mount_of(path: &std::ffi::CStr) -> Result<u64, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(statx(CWD, path, flags, StatxFlags::MNT_ID)?.stx_mnt_id)
}
