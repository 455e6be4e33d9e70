//! File systems and binds below the root, in the plan's order.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::mount::MountAttrFlags;

use super::place::{self, Shape};
use super::prepare::Setup;
use super::step::{At, Done};
use super::{Step, filesystem};
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
pub(super) fn mount_all(
    setup: &Setup<'_>,
    files: Vec<OwnedFd>,
    root: BorrowedFd<'_>,
) -> Done<Known> {
    let mut known = Known::default();
    let mut sealed = Vec::new();
    for mount in &setup.plan.mounts {
        match &mount.source {
            Source::New { filesystem, name, options } => {
                // Mount points may have to be made on it first.
                let late = filesystem == "tmpfs" && mount.attributes.readonly;
                let now =
                    Attributes { readonly: !late && mount.attributes.readonly, ..mount.attributes };
                let fd = filesystem::new(filesystem, name, options, now)
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
    for (file, tree) in setup.plan.files.iter().zip(files) {
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
    let set = filesystem::attributes(mount.attributes).bits().into();
    sys::mount::set_attributes(tree, set, recursive).at(Step::Mount, &mount.destination)?;
    let shape = place::shape(tree).at(Step::Mount, &mount.destination)?;
    let point = place::mount_point(root, &mount.destination, shape)?;
    place::attach(tree, point).at(Step::Mount, &mount.destination)
}
