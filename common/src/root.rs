//! `Root`: a directory descriptor below which every path is resolved.
//!
//! No path inside an image or a foreign root is ever handed to the kernel as a bare string: absolute
//! links are re-rooted, `..` is clamped, magic links are refused (`openat2` with `RESOLVE_IN_ROOT |
//! RESOLVE_NO_MAGICLINKS`; where the kernel lacks it or a filter hides it, libpathrs walks in user space).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A directory as a root.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    /// How it was named; only for messages.
    label: PathBuf,
}

impl Root {
    /// Opens a host folder as a root.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let _ = folder;
        todo!()
    }

    /// A root from a descriptor that is already open; `label` names it in messages.
    pub fn from_fd(fd: OwnedFd, label: PathBuf) -> Self {
        Self { fd, label }
    }

    /// How the root was named.
    pub fn label(&self) -> &Path {
        &self.label
    }

    /// Opens for reading, links followed inside the root. Relative and absolute mean the same.
    pub fn open_file(&self, path: &[u8]) -> io::Result<File> {
        let _ = path;
        todo!()
    }

    /// Opens as `O_PATH`, links followed inside the root.
    pub fn resolve(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let _ = path;
        todo!()
    }

    /// Opens as `O_PATH`, the last component not followed.
    pub fn resolve_nofollow(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let _ = path;
        todo!()
    }

    /// What the link at `path` says.
    pub fn read_link(&self, path: &[u8]) -> io::Result<Vec<u8>> {
        let _ = path;
        todo!()
    }

    /// Status of what `path` leads to, links followed.
    pub fn metadata(&self, path: &[u8]) -> io::Result<rustix::fs::Stat> {
        let _ = path;
        todo!()
    }

    /// Status of `path` itself.
    pub fn symlink_metadata(&self, path: &[u8]) -> io::Result<rustix::fs::Stat> {
        let _ = path;
        todo!()
    }

    /// Names in the folder at `path`, sorted by bytes, without `.` and `..`.
    pub fn read_dir(&self, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let _ = path;
        todo!()
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
