//! The walk that remembers: which links does a path cross, and where does it really end?
//!
//! The kernel answers only the second question. This walk goes component by component and agrees
//! with it (`path_resolution(7)`): links are followed everywhere, absolute ones start over at the root,
//! `..` stops there, the 41st link is `ELOOP`. One exception: a real path longer than 4096 bytes,
//! which the kernel can reach through links, is `ENAMETOOLONG` here.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, PROC_SUPER_MAGIC, fstat, fstatfs};
use rustix::io::Errno;

use super::{MAX_PATH, Root, read_link_at};
use crate::tree::{ImagePath, PathError};

/// `MAXSYMLINKS` of the kernel: so many links are followed, one more is `ELOOP`.
const MAX_LINKS: usize = 40;

/// Where a path really ends, and every link on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The end: no component of it is a link, and something stands there.
    pub real: ImagePath,
    /// In the order they were crossed, each once: where the link stands (its parents real) and what
    /// it says, byte for byte.
    pub links: Vec<(ImagePath, Vec<u8>)>,
}

/// Folders and links met so far, by their real path. Files are not kept: there are too many, and each
/// is asked for once.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<ImagePath, Node>>);

#[derive(Debug, Clone)]
enum Node {
    Folder,
    Link(Vec<u8>),
    Leaf,
}

impl Root {
    /// Where `path` really ends, links followed, and each link that was crossed, linked folders such
    /// as `/lib -> usr/lib` included. Errors carry the error number that the kernel has for this path.
    ///
    /// Folders and links are remembered for the life of this `Root`, so it is for trees that hold
    /// still. It never decides what is opened: the answer is again a path below the root.
    pub fn resolve_chain(&self, path: &[u8]) -> io::Result<Resolution> {
        if path.contains(&0) {
            return Err(Errno::INVAL.into());
        }
        if path.len() >= MAX_PATH {
            return Err(Errno::NAMETOOLONG.into());
        }
        let mut walk = Walk::new(path);
        while let Some(component) = walk.todo.pop() {
            if !walk.folder {
                return Err(Errno::NOTDIR.into());
            }
            match component.as_slice() {
                b"" | b"." => {}
                b".." => walk.here = walk.here.parent().unwrap_or_else(ImagePath::root),
                name => {
                    let next = walk.here.join(name).map_err(|error| errno(&error))?;
                    match self.look(&next)? {
                        Node::Folder => walk.here = next,
                        Node::Leaf => (walk.here, walk.folder) = (next, false),
                        Node::Link(target) => walk.cross(next, target)?,
                    }
                }
            }
        }
        Ok(Resolution { real: walk.here, links: walk.links })
    }

    /// What stands at `path`, whose parents are real.
    fn look(&self, path: &ImagePath) -> io::Result<Node> {
        if let Some(node) = self.seen.get(path) {
            return Ok(node);
        }
        let fd = self.resolve_nofollow(path.as_bytes())?;
        let node = if let Some(target) = read_link_at(&fd)? {
            // Some links of procfs are doors, not texts. The kernel knows which: it refuses them.
            if fstatfs(&fd)?.f_type == PROC_SUPER_MAGIC {
                match self.resolve(path.as_bytes()) {
                    Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                        return Err(error);
                    }
                    _ => {}
                }
            }
            Node::Link(target)
        } else if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Directory {
            Node::Folder
        } else {
            return Ok(Node::Leaf);
        };
        self.seen.insert(path, node.clone());
        Ok(node)
    }
}

/// How far the walk has come.
struct Walk {
    /// Real, and there.
    here: ImagePath,
    /// Whether `here` is a folder.
    folder: bool,
    /// Components still to go, the next one last.
    todo: Vec<Vec<u8>>,
    /// Links followed, repetitions counted.
    crossed: usize,
    links: Vec<(ImagePath, Vec<u8>)>,
}

impl Walk {
    fn new(path: &[u8]) -> Self {
        let mut walk = Self {
            here: ImagePath::root(),
            folder: true,
            todo: Vec::new(),
            crossed: 0,
            links: Vec::new(),
        };
        walk.push(path);
        walk
    }

    /// Empty components stay: behind a file, even a trailing slash is `ENOTDIR`.
    fn push(&mut self, path: &[u8]) {
        self.todo.extend(path.split(|&b| b == b'/').rev().map(<[u8]>::to_vec));
    }

    fn cross(&mut self, link: ImagePath, target: Vec<u8>) -> io::Result<()> {
        self.crossed += 1;
        if self.crossed > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        if target.is_empty() {
            return Err(Errno::NOENT.into());
        }
        if target.starts_with(b"/") {
            self.here = ImagePath::root();
        }
        self.push(&target);
        if !self.links.iter().any(|(known, _)| *known == link) {
            self.links.push((link, target));
        }
        Ok(())
    }
}

impl Seen {
    /// A panic elsewhere leaves the map whole: entries are only ever added.
    fn get(&self, path: &ImagePath) -> Option<Node> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn insert(&self, path: &ImagePath, node: Node) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), node);
    }
}

fn errno(error: &PathError) -> io::Error {
    match error {
        PathError::TooLong(_) => Errno::NAMETOOLONG.into(),
        PathError::Relative(_) | PathError::Parent(_) | PathError::Nul(_) => Errno::INVAL.into(),
    }
}
