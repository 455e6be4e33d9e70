//! `Sysroot`: the root in which everything is looked up. Each path is probed once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use common::root::Root;
use common::tree::ImagePath;

use crate::elf::Name;

/// `/`, or a foreign root.
#[derive(Debug)]
pub struct Sysroot {
    root: Root,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The path with all links resolved inside the root.
    pub real: ImagePath,
    /// Links on the way and what they say.
    pub links: BTreeMap<ImagePath, Name>,
    /// Folders that were entered only to be left by `..`.
    pub folders: Vec<ImagePath>,
}

impl Sysroot {
    /// A folder as a root; `/` for the host itself.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self { root: Root::open(folder)? })
    }

    /// The root, for whoever copies files out of it.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Follows `path` component by component, as the kernel would inside the root.
    pub fn walk(&self, path: &[u8]) -> io::Result<Walk> {
        let _ = path;
        todo!()
    }

    /// Opens a file for reading.
    pub fn open_file(&self, path: &ImagePath) -> io::Result<File> {
        self.root.open_file(path.as_bytes())
    }

    /// The file that `what` means on the command line: a path, or a name that is looked up in the
    /// folders of `path` (joined by `:`).
    pub fn locate(&self, what: &[u8], path: &[u8]) -> Result<ImagePath, super::ResolveError> {
        let _ = (what, path);
        todo!()
    }
}
