//! `Sysroot`: the root in which everything is looked up. Each path is probed once.
//!
//! Paths are followed component by component, so that every link on the way is known: the image
//! needs them all. What a component is, is remembered for the life of the value (`seen.rs`); a root
//! that changes meanwhile is not noticed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::root::Root;
use common::tree::{ImagePath, PathError};
use rustix::io::Errno;

use super::ResolveError;
use crate::elf::Name;

mod seen;

use seen::{End, Seen};

/// `PATH_MAX`, which counts the closing NUL byte: of whole paths, before they are looked at.
const MAX_PATH: usize = 4096;

/// `/`, or a foreign root.
#[derive(Debug)]
pub struct Sysroot {
    root: Root,
    seen: Mutex<Seen>,
}

/// A symbolic link, where it stands and what it says.
#[derive(Debug, PartialEq, Eq)]
pub struct LinkAt {
    /// Where; its folder has no links in it.
    pub path: ImagePath,
    /// What it says, byte for byte.
    pub target: Name,
}

/// What tells a file from all others of the host, and the part of its status that matters to loaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Whether it is set-uid, or set-gid with the right to execute.
    pub privileged: bool,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The path with all links resolved inside the root.
    pub real: ImagePath,
    /// Links on the way, each once, in the order they were crossed.
    pub links: Vec<Arc<LinkAt>>,
    /// Folders that were entered only to be left by `..`.
    pub folders: Vec<ImagePath>,
}

/// What a path leads to, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A folder.
    Folder,
    /// A regular file.
    File(FileId),
    /// A device, pipe or socket.
    Special,
}

impl Sysroot {
    /// A folder as a root; `/` for the host itself.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self { root: Root::open(folder)?, seen: Mutex::new(Seen::new()) })
    }

    /// The root, for whoever copies files out of it.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Follows `path` component by component, as the kernel would inside the root. Relative and
    /// absolute mean the same.
    pub fn walk(&self, path: &[u8]) -> io::Result<Walk> {
        Ok(self.lookup(path)?.0)
    }

    /// Follows `path`, and says what is there.
    ///
    /// # Errors
    /// What the kernel would say: `ENOENT`, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, `EACCES`.
    pub fn lookup(&self, path: &[u8]) -> Result<(Walk, Target), Errno> {
        if path.len() >= MAX_PATH {
            return Err(Errno::NAMETOOLONG);
        }
        let mut seen = self.seen();
        let (position, end) = seen.follow(&self.root, path)?;
        let folder = seen.path(position.folder);
        let (real, target) = match end {
            End::Folder => (folder.clone(), Target::Folder),
            End::Leaf(name, target) => {
                (folder.join(&name).map_err(|error| path_errno(&error))?, target)
            }
        };
        Ok((Walk { real, links: position.links, folders: position.left }, target))
    }

    /// Whether `path` leads to a folder.
    pub fn is_folder(&self, path: &[u8]) -> bool {
        matches!(self.lookup(path), Ok((_, Target::Folder)))
    }

    /// Whether a link stands at the end of `path`, wherever it leads. Asks the kernel nothing that a
    /// lookup of `path` has not asked.
    pub(super) fn ends_in_link(&self, path: &[u8]) -> bool {
        self.seen().ends_in_link(&self.root, path)
    }

    /// Opens a file for reading, by its real path.
    pub fn open_file(&self, path: &ImagePath) -> io::Result<File> {
        self.seen().open_file(&self.root, path)
    }

    /// Whether a file's first bytes are these.
    pub(super) fn starts_with(&self, path: &ImagePath, magic: &[u8]) -> bool {
        let mut bytes = vec![0; magic.len()];
        let Ok(mut file) = self.root.open_file(path.as_bytes()) else { return false };
        io::Read::read_exact(&mut file, &mut bytes).is_ok() && bytes == magic
    }

    /// A panic elsewhere leaves it whole: it only grows.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file that `what` means on the command line: a path, or a name that is looked up in the
    /// folders of `path` (joined by `:`). With all folders above it resolved; itself it may be a link.
    pub fn locate(&self, what: &[u8], path: &[u8]) -> Result<ImagePath, ResolveError> {
        if what.contains(&b'/') {
            return self.named(what).map_err(|errno| ResolveError::Open {
                path: Name::from(what),
                source: errno.into(),
            });
        }
        path.split(|&byte| byte == b':')
            .filter(|folder| folder.starts_with(b"/"))
            .find_map(|folder| {
                let file = self.named(&[folder, b"/", what].concat()).ok()?;
                let (_, target) = self.lookup(file.as_bytes()).ok()?;
                matches!(target, Target::File(_)).then_some(file)
            })
            .ok_or_else(|| ResolveError::NotOnPath { name: what.into(), path: path.into() })
    }

    /// The path with the folders above its last component resolved.
    fn named(&self, path: &[u8]) -> Result<ImagePath, Errno> {
        let (walk, _) = self.lookup(path)?;
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1);
        let start = path[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
        match &path[start..end] {
            b"" | b"." | b".." => Ok(walk.real),
            name => {
                self.lookup(&path[..start])?.0.real.join(name).map_err(|error| path_errno(&error))
            }
        }
    }
}

/// The number behind an error of the root; what carries none is told as a failed read.
pub(super) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

fn path_errno(error: &PathError) -> Errno {
    match error {
        PathError::TooLong(_) => Errno::NAMETOOLONG,
        PathError::Relative(_) | PathError::Parent(_) | PathError::Nul(_) => Errno::NOENT,
    }
}
