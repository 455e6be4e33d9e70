//! `Snapshot`: a lease on an unpacked root filesystem.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use common::digest::Digest;

/// Whose files a snapshot has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// The numeric owners of the image: root unpacked it.
    Kept,
    /// All files belong to the user that unpacked it (uid, gid), who is root in a user namespace.
    Squashed,
}

/// An unpacked root filesystem, which nobody removes while this value lives (a shared `flock`).
#[derive(Debug)]
pub struct Snapshot {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
    pub(super) root: OwnedFd,
    pub(super) ids: Ids,
    pub(super) lease: OwnedFd,
}

impl Snapshot {
    /// The chain id of the layers (image-spec config.md, "Layer ChainID").
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The folder that becomes `/`. For messages and for mount options that have no fd form.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same folder as an `O_PATH` descriptor (close-on-exec).
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Whether owners are those of the image.
    pub fn ids(&self) -> Ids {
        self.ids
    }

    /// The descriptor that holds the lease; it is given back when the last copy of it is closed.
    pub fn lease(&self) -> BorrowedFd<'_> {
        self.lease.as_fd()
    }
}
