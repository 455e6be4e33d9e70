//! A file system in memory for what the container needs while it starts and nobody keeps: the files that are
//! generated for it, the layer in which a read-only root gets its mount points, and a place for mounts that have to be
//! attached somewhere before they can be layers.
//!
//! Nothing of it is ever on a disk, so nothing has to be removed: it dies with the host's mounts when the container enters
//! its root. What it holds counts as the container's memory.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, UnmountFlags, open_tree, unmount};

use super::step::{At, Done};
use super::{Step, filesystem, place};
use crate::plan::{Change, GeneratedFile};

/// More than generated files and mount points ever take; the program can fill what is left of it by writing `/etc/hosts`.
const SIZE: &str = "4m";

/// The file system.
#[derive(Debug)]
pub(super) struct Scratch {
    tmpfs: OwnedFd,
    /// It lies on the host's `/`, between that and the container's root to be.
    on_root: bool,
}

impl Scratch {
    /// Mounts it: on `spot`, a folder of the host that nobody looks at by path again, or else on `/`. (It has to be
    /// attached: mounts can be copied from a detached one, and layers be on one, only since Linux 6.15.)
    pub(super) fn mount(spot: Option<BorrowedFd<'_>>) -> Done<Self> {
        let option = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        let options = [option("mode", "755"), option("size", SIZE)];
        let tmpfs = filesystem::new("tmpfs", "tmpfs", &options, Change::SCRATCH)
            .map_err(|refused| refused.errno)
            .and_then(|tmpfs| {
                match spot {
                    Some(spot) => place::attach(&tmpfs, spot),
                    None => place::attach_on_top(&tmpfs),
                }?;
                Ok(tmpfs)
            })
            .at(Step::Mount, "a file system in memory")?;
        Ok(Self { tmpfs, on_root: spot.is_none() })
    }

    /// Writes a generated file and returns a detached mount of nothing else.
    pub(super) fn file(&self, index: usize, file: &GeneratedFile) -> Result<OwnedFd, Errno> {
        let name = index.to_string();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let written = openat(&self.tmpfs, &name, flags, Mode::from_raw_mode(0o644))?;
        let mut left = file.content.as_bytes();
        while !left.is_empty() {
            let count = rustix::io::write(&written, left)?;
            left = left.get(count..).unwrap_or_default();
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(&self.tmpfs, &name, flags)
    }

    /// A folder in which overlayfs finds `upper` and `work`.
    pub(super) fn layer(&self) -> Result<OwnedFd, Errno> {
        mkdirat(&self.tmpfs, c"upper", Mode::from_raw_mode(0o755))?;
        mkdirat(&self.tmpfs, c"work", Mode::RWXU)?;
        rustix::io::fcntl_dupfd_cloexec(&self.tmpfs, 3)
    }

    /// Attaches a detached mount, so that it can be a layer.
    pub(super) fn hold(&self, name: &str, tree: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        mkdirat(&self.tmpfs, name, Mode::RWXU)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        place::attach(tree, openat(&self.tmpfs, name, flags, Mode::empty())?)?;
        rustix::io::fcntl_dupfd_cloexec(tree, 3)
    }

    /// Unmounts it, with all that it holds, where it would come to lie between the host's root and the container's:
    /// the unmounting of the host's would unmount this alone, and leave the host's root within reach of `/..`.
    pub(super) fn leave(&self) -> Done {
        if self.on_root {
            unmount(c"/", UnmountFlags::DETACH).at(Step::Mount, "a file system in memory")?;
        }
        Ok(())
    }
}
