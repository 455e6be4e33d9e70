//! The host's side of the binds, as detached copies of mounts: opened before something that would make it impossible later.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::step::{At, Done};
use super::{Step, place};
use crate::plan::{Plan, RootPlan, Source, Sources};
use crate::store::erofs;

/// Detached copies, each of what the plan's entry of the same index shows. Empty where they are made when their turn comes.
#[derive(Debug, Default)]
pub(super) struct Trees {
    root: Option<OwnedFd>,
    writable: Option<OwnedFd>,
    mounts: Vec<Option<OwnedFd>>,
}

impl Trees {
    /// Opens all of the plan, if `now` is when it wants that.
    pub(super) fn open(plan: &Plan, now: Sources) -> Done<Self> {
        let mounted = mount_lower(plan, now)?;
        if plan.sources != now {
            return Ok(Self { root: mounted, ..Self::default() });
        }
        let root = plan.root.lower();
        let recursive = matches!(plan.root, RootPlan::Folder { .. });
        let tree = match mounted {
            Some(mounted) => mounted,
            None => place::tree(root, recursive).at(Step::OpenSource, root.display())?,
        };
        let writable = match plan.root.writable() {
            Some(path) => Some(place::tree(path, false).at(Step::OpenSource, path.display())?),
            None => None,
        };
        let mounts = plan.mounts.iter().map(|mount| match &mount.source {
            Source::Bind { path, recursive, .. } => {
                place::tree(path, *recursive).map(Some).at(Step::OpenSource, path.display())
            }
            Source::New { .. } | Source::Remount { .. } => Ok(None),
        });
        Ok(Self { root: Some(tree), writable, mounts: mounts.collect::<Done<_>>()? })
    }

    /// The copy of the root's folder.
    pub(super) fn root(&self) -> Option<BorrowedFd<'_>> {
        self.root.as_ref().map(AsFd::as_fd)
    }

    /// The copy of the folder that the writable layer is in.
    pub(super) fn writable(&self) -> Option<BorrowedFd<'_>> {
        self.writable.as_ref().map(AsFd::as_fd)
    }

    /// The copy that a mount shows.
    pub(super) fn mount(&self, index: usize) -> Option<BorrowedFd<'_>> {
        self.mounts.get(index).and_then(|tree| tree.as_ref()).map(AsFd::as_fd)
    }

    /// The copy that a mount shows, or one made now.
    pub(super) fn take(
        &self,
        index: usize,
        path: &std::path::Path,
        recursive: bool,
    ) -> Result<OwnedFd, Errno> {
        match self.mount(index) {
            // Copied once more, which Linux can since 6.15: mount tables are in the order of copies, and callers compare it with that
            // of the specification.
            Some(tree) => place::tree_of(tree, recursive)
                .or_else(|_| rustix::io::fcntl_dupfd_cloexec(tree, 3)),
            None => place::tree(path, recursive),
        }
    }
}

/// An image that is a file, mounted by the launcher: in a user namespace that cannot be done.
fn mount_lower(plan: &Plan, now: Sources) -> Done<Option<OwnedFd>> {
    if plan.lower.is_folder() || now != Sources::Launcher {
        return Ok(None);
    }
    let lower = plan.root.lower();
    let file = File::open(lower).at(Step::OpenSource, lower.display())?;
    erofs::mount_from(file.as_fd()).map(Some).at(Step::MountRoot, lower.display())
}
