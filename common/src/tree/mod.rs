//! A root filesystem as a value: paths to inodes, without an opinion where contents come from.
//!
//! [`tar`] turns a tree into canonical bytes and reads untrusted tar; [`dump`] prints one line per
//! path, for people and for tests.

use std::collections::BTreeMap;

pub mod dump;
mod path;
pub mod tar;

pub use path::{ImagePath, PathError};

/// A root filesystem. Parents sort before their children. `C` says where a file's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree<C> {
    entries: BTreeMap<ImagePath, Inode<C>>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inode<C> {
    /// A folder.
    Directory(Metadata),
    /// A regular file of `size` bytes.
    File {
        /// Owner, mode, time, extended attributes.
        metadata: Metadata,
        /// Number of bytes in `content`.
        size: u64,
        /// Where the bytes are.
        content: C,
    },
    /// A symbolic link; `target` is kept byte for byte.
    Symlink {
        /// Owner and time (a link's mode means nothing on Linux and is 0777).
        metadata: Metadata,
        /// What the link says.
        target: Vec<u8>,
    },
    /// Another name of the regular file at `target`, which sorts before it.
    Hardlink {
        /// The first name of the file.
        target: ImagePath,
    },
}

/// What an inode has besides its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Permission bits with set-uid, set-gid and sticky: `0o0000..=0o7777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub mtime: i64,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<C> Default for Tree<C> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<C> Tree<C> {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `inode` at `path`; returns what stood there before.
    pub fn insert(&mut self, path: ImagePath, inode: Inode<C>) -> Option<Inode<C>> {
        self.entries.insert(path, inode)
    }

    /// What stands at `path`, links not followed.
    pub fn get(&self, path: &ImagePath) -> Option<&Inode<C>> {
        self.entries.get(path)
    }

    /// All entries, parents before children, otherwise in byte order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&ImagePath, &Inode<C>)> {
        self.entries.iter()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
