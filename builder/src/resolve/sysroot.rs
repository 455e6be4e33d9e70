//! `Sysroot`: the root in which everything is looked up. Each path is probed once.
//!
//! Paths are followed component by component, so that every link on the way is known: the image
//! needs them all. What a component is, is remembered for the life of the value; a root that
//! changes meanwhile is not noticed.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use common::root::Root;
use common::tree::{ImagePath, PathError};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::ResolveError;
use crate::elf::Name;

/// The kernel's limit (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// `PATH_MAX`, which counts the closing NUL byte: of whole paths, before they are looked at.
const MAX_PATH: usize = 4096;

/// `/`, or a foreign root.
#[derive(Debug)]
pub struct Sysroot {
    root: Root,
    nodes: Mutex<HashMap<ImagePath, Node>>,
}

/// What stands at a path whose folders are all real.
#[derive(Debug, Clone)]
enum Node {
    Nothing(Errno),
    Folder,
    Link(Name),
    File(FileId),
    /// A device, pipe or socket: never opened.
    Special,
}

/// What tells a file from all others of the host, and the part of its status that matters to loaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Whether it is set-uid, or set-gid with the right to execute.
    pub privileged: bool,
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
        Ok(Self { root: Root::open(folder)?, nodes: Mutex::default() })
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
        let mut walk =
            Walk { real: ImagePath::root(), links: BTreeMap::new(), folders: Vec::new() };
        let mut target = Target::Folder;
        let mut rest = components(path);
        let mut links = 0;
        while let Some(component) = rest.pop() {
            if target != Target::Folder {
                return Err(Errno::NOTDIR);
            }
            if component == b".." {
                if let Some(parent) = walk.real.parent() {
                    walk.folders.push(std::mem::replace(&mut walk.real, parent));
                }
                continue;
            }
            let here = walk.real.join(&component).map_err(|error| path_errno(&error))?;
            match self.node(&here) {
                Node::Nothing(errno) => return Err(errno),
                Node::Folder => walk.real = here,
                Node::File(id) => (walk.real, target) = (here, Target::File(id)),
                Node::Special => (walk.real, target) = (here, Target::Special),
                Node::Link(to) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    if to.as_bytes().is_empty() {
                        return Err(Errno::NOENT);
                    }
                    if to.as_bytes().starts_with(b"/") {
                        walk.real = ImagePath::root();
                    }
                    rest.extend(components(to.as_bytes()));
                    walk.links.insert(here, to);
                }
            }
        }
        Ok((walk, target))
    }

    /// Whether `path` leads to a folder.
    pub fn is_folder(&self, path: &[u8]) -> bool {
        matches!(self.lookup(path), Ok((_, Target::Folder)))
    }

    /// Opens a file for reading.
    pub fn open_file(&self, path: &ImagePath) -> io::Result<File> {
        self.root.open_file(path.as_bytes())
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

    fn node(&self, path: &ImagePath) -> Node {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = nodes.get(path) {
            return node.clone();
        }
        let node = self.probe(path).unwrap_or_else(Node::Nothing);
        nodes.insert(path.clone(), node.clone());
        node
    }

    fn probe(&self, path: &ImagePath) -> Result<Node, Errno> {
        let status = self.root.symlink_metadata(path.as_bytes()).map_err(|e| errno(&e))?;
        Ok(match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => Node::Folder,
            FileType::Symlink => {
                Node::Link(self.root.read_link(path.as_bytes()).map_err(|e| errno(&e))?.into())
            }
            FileType::RegularFile => Node::File(FileId {
                device: status.st_dev,
                inode: status.st_ino,
                privileged: status.st_mode & 0o4000 != 0 || status.st_mode & 0o2010 == 0o2010,
            }),
            _ => Node::Special,
        })
    }
}

/// Components, last first; empty ones and `.` left out.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
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
