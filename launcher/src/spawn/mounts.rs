//! File systems and binds below the root, in the plan's order.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use super::Step;
use super::handshake::{At, Done};
use super::place::{self, Shape};
use super::prepare::Setup;
use crate::plan::{Attributes, Mount, Source};
use crate::sys;

/// Mounts of which later steps need the descriptor: it cannot be redirected by anything in the image (R2).
#[derive(Debug, Default)]
pub(super) struct Known {
    /// procfs of the container.
    pub(super) proc: Option<OwnedFd>,
    /// Its devpts instance.
    pub(super) devpts: Option<OwnedFd>,
}

/// Mounts everything of the plan.
pub(super) fn mount_all(setup: &Setup<'_>, root: BorrowedFd<'_>) -> Done<Known> {
    let mut known = Known::default();
    let mut sealed = Vec::new();
    for mount in &setup.plan.mounts {
        match &mount.source {
            Source::New { filesystem, name, options } => {
                // Mount points may have to be made on it first.
                let late = filesystem == "tmpfs" && mount.attributes.readonly;
                let now =
                    Attributes { readonly: !late && mount.attributes.readonly, ..mount.attributes };
                let fd = new(filesystem, name, options, now)
                    .at(Step::Mount, format_args!("{filesystem} at {}", mount.destination))?;
                let point = match filesystem.as_str() {
                    "proc" | "sysfs" => place::kernel_mount_point(root, &mount.destination)?,
                    _ => place::mount_point(root, &mount.destination, Shape::Folder)?,
                };
                place::attach(&fd, point).at(Step::Mount, &mount.destination)?;
                match filesystem.as_str() {
                    "proc" => known.proc = Some(fd),
                    "devpts" => known.devpts = Some(fd),
                    _ if late => sealed.push((fd, &mount.destination)),
                    _ => {}
                }
            }
            Source::Bind { path, recursive } => {
                let tree = setup.tree(path, *recursive).at(Step::OpenSource, path.display())?;
                bind(&tree, mount, root, *recursive)?;
            }
        }
    }
    for file in &setup.plan.files {
        let tree = setup.tree(&file.path, false).at(Step::OpenSource, file.path.display())?;
        let attributes =
            attributes(Attributes { nosuid: true, nodev: true, ..Attributes::default() });
        sys::mount::set_attributes(&tree, attributes.bits().into(), false)
            .at(Step::Mount, &file.destination)?;
        let point = place::mount_point(root, &file.destination, Shape::File)?;
        place::attach(&tree, point).at(Step::Mount, &file.destination)?;
    }
    for (tmpfs, destination) in sealed {
        let readonly = MountAttrFlags::MOUNT_ATTR_RDONLY;
        sys::mount::set_attributes(tmpfs, readonly.bits().into(), false)
            .at(Step::Readonly, destination)?;
    }
    Ok(known)
}

/// Attributes come before the tree can be reached by anyone (R3).
fn bind(tree: &OwnedFd, mount: &Mount, root: BorrowedFd<'_>, recursive: bool) -> Done {
    let set = attributes(mount.attributes).bits().into();
    sys::mount::set_attributes(tree, set, recursive).at(Step::Mount, &mount.destination)?;
    let shape = place::shape(tree).at(Step::Mount, &mount.destination)?;
    let point = place::mount_point(root, &mount.destination, shape)?;
    place::attach(tree, point).at(Step::Mount, &mount.destination)
}

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
fn attributes(set: Attributes) -> MountAttrFlags {
    let mut flags = MountAttrFlags::empty();
    flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, set.readonly);
    flags.set(MountAttrFlags::MOUNT_ATTR_NOSUID, set.nosuid);
    flags.set(MountAttrFlags::MOUNT_ATTR_NODEV, set.nodev);
    flags.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, set.noexec);
    flags.set(MountAttrFlags::MOUNT_ATTR_NOATIME, set.noatime);
    flags.set(MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW, set.nosymfollow);
    flags
}
