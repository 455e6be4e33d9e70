//! `Seen`: what stands where, as far as anybody has asked. Folders are held open; everything that is
//! directly in one is looked at once.
//!
//! ```text
//! prefixes   "/lib/x86_64-linux-gnu" -> Position: folder 3, by way of the link /lib
//! folders    3: /usr/lib/x86_64-linux-gnu, open; libz.so.1 -> Link, libc.so.6 -> File, libq.so.5 -> ENOENT
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use common::root::{Folder, Root};
use common::tree::ImagePath;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::{FileId, LinkAt, Target, errno, path_errno};

/// The kernel's limit (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// So many folders are held open; a process may have 1024 descriptors by default.
const MAX_OPEN: usize = 256;

/// So many names without anything are remembered: who asks for more makes them up.
const MAX_ABSENT: usize = 1 << 20;

/// What stands under a name.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Nothing(Errno),
    Folder(usize),
    Link(Arc<LinkAt>),
    File(FileId),
    /// A device, pipe or socket: never opened.
    Special,
}

#[derive(Debug)]
struct Known {
    path: ImagePath,
    parent: usize,
    handle: Option<Arc<Folder>>,
    children: HashMap<Vec<u8>, Node>,
}

/// Where a walk is.
#[derive(Debug, Clone, Default)]
pub(super) struct Position {
    /// Number of the folder.
    pub(super) folder: usize,
    /// Links that were crossed, each once.
    pub(super) links: Vec<Arc<LinkAt>>,
    /// Folders that were entered only to be left by `..`.
    pub(super) left: Vec<ImagePath>,
    /// Links that were crossed, repetitions counted.
    crossed: usize,
}

/// What is at the end of a walk.
#[derive(Debug)]
pub(super) enum End {
    Folder,
    /// This name of the folder.
    Leaf(Vec<u8>, Target),
}

#[derive(Debug)]
pub(super) struct Seen {
    folders: Vec<Known>,
    prefixes: HashMap<Vec<u8>, Position>,
    open: usize,
    absent: usize,
}

impl Seen {
    pub(super) fn new() -> Self {
        let (path, children) = (ImagePath::root(), HashMap::new());
        let root = Known { path, parent: 0, handle: None, children };
        Self { folders: vec![root], prefixes: HashMap::new(), open: 0, absent: 0 }
    }

    pub(super) fn path(&self, folder: usize) -> &ImagePath {
        &self.folders[folder].path
    }

    /// Follows `path` from the root, component by component, as the kernel would inside the root.
    pub(super) fn follow(&mut self, root: &Root, path: &[u8]) -> Result<(Position, End), Errno> {
        let (prefix, name) = split(path);
        let mut position = self.enter(root, prefix)?;
        let end = match name {
            b"" | b"." => End::Folder,
            name => {
                let mut rest = Vec::new();
                let end = self.step(root, &mut position, name, &mut rest)?;
                if rest.is_empty() { end } else { self.advance(root, &mut position, rest)? }
            }
        };
        Ok((position, end))
    }

    /// Whether a link stands at the end of `path`.
    pub(super) fn ends_in_link(&mut self, root: &Root, path: &[u8]) -> bool {
        let (prefix, name) = split(path);
        let Ok(position) = self.enter(root, prefix) else { return false };
        !matches!(name, b"" | b"." | b"..")
            && matches!(self.node(root, position.folder, name), Node::Link(_))
    }

    /// Opens the file at a real path.
    pub(super) fn open_file(&mut self, root: &Root, path: &ImagePath) -> io::Result<File> {
        let bytes = path.as_bytes();
        let slash = bytes.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        match self.prefixes.get(&bytes[..slash]) {
            Some(at) if at.links.is_empty() => {
                self.handle(root, at.folder)?.open_file(&bytes[slash + 1..])
            }
            _ => root.open_file(bytes),
        }
    }

    /// The folder that a prefix leads to, remembered.
    fn enter(&mut self, root: &Root, prefix: &[u8]) -> Result<Position, Errno> {
        if let Some(known) = self.prefixes.get(prefix) {
            return Ok(known.clone());
        }
        let mut position = Position::default();
        match self.advance(root, &mut position, components(prefix))? {
            End::Folder => {
                self.prefixes.insert(prefix.to_vec(), position.clone());
                Ok(position)
            }
            End::Leaf(..) => Err(Errno::NOTDIR),
        }
    }

    fn advance(
        &mut self,
        root: &Root,
        position: &mut Position,
        mut rest: Vec<Vec<u8>>,
    ) -> Result<End, Errno> {
        let mut end = End::Folder;
        while let Some(component) = rest.pop() {
            if matches!(end, End::Leaf(..)) {
                return Err(Errno::NOTDIR);
            }
            end = self.step(root, position, &component, &mut rest)?;
        }
        Ok(end)
    }

    /// Goes on by one component; what a link says is put before the rest, and nothing is reached yet.
    fn step(
        &mut self,
        root: &Root,
        position: &mut Position,
        component: &[u8],
        rest: &mut Vec<Vec<u8>>,
    ) -> Result<End, Errno> {
        if component == b".." {
            if position.folder != 0 {
                let left = &self.folders[position.folder];
                position.left.push(left.path.clone());
                position.folder = left.parent;
            }
            return Ok(End::Folder);
        }
        match self.node(root, position.folder, component) {
            Node::Nothing(errno) => return Err(errno),
            Node::Folder(folder) => position.folder = folder,
            Node::File(id) => return Ok(End::Leaf(component.to_vec(), Target::File(id))),
            Node::Special => return Ok(End::Leaf(component.to_vec(), Target::Special)),
            Node::Link(link) => {
                position.crossed += 1;
                if position.crossed > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                let target = link.target.as_bytes();
                if target.is_empty() {
                    return Err(Errno::NOENT);
                }
                if target.starts_with(b"/") {
                    position.folder = 0;
                }
                rest.extend(components(target));
                if !position.links.iter().any(|known| Arc::ptr_eq(known, &link)) {
                    position.links.push(link);
                }
            }
        }
        Ok(End::Folder)
    }

    fn node(&mut self, root: &Root, folder: usize, name: &[u8]) -> Node {
        if let Some(node) = self.folders[folder].children.get(name) {
            return node.clone();
        }
        let node = self.probe(root, folder, name).unwrap_or_else(Node::Nothing);
        let absent = matches!(node, Node::Nothing(_));
        if !absent || self.absent < MAX_ABSENT {
            self.absent += usize::from(absent);
            self.folders[folder].children.insert(name.to_vec(), node.clone());
        }
        node
    }

    fn probe(&mut self, root: &Root, folder: usize, name: &[u8]) -> Result<Node, Errno> {
        // The kernel is not asked for what it would take for another name.
        if name.contains(&0) {
            return Err(Errno::NOENT);
        }
        let handle = self.handle(root, folder).map_err(|error| errno(&error))?;
        let status = handle.status(name).map_err(|error| errno(&error))?;
        let path = || self.folders[folder].path.join(name).map_err(|error| path_errno(&error));
        Ok(match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                let (number, path, children) = (self.folders.len(), path()?, HashMap::new());
                // Its real path leads to it as well.
                let position = Position { folder: number, ..Position::default() };
                self.prefixes.insert(path.as_bytes().to_vec(), position);
                self.folders.push(Known { path, parent: folder, handle: None, children });
                Node::Folder(number)
            }
            FileType::Symlink => {
                let target = handle.read_link(name).map_err(|error| errno(&error))?.into();
                Node::Link(Arc::new(LinkAt { path: path()?, target }))
            }
            FileType::RegularFile => Node::File(FileId {
                device: status.st_dev,
                inode: status.st_ino,
                size: status.st_size.try_into().unwrap_or(0),
                privileged: status.st_mode & 0o4000 != 0 || status.st_mode & 0o2010 == 0o2010,
            }),
            _ => Node::Special,
        })
    }

    fn handle(&mut self, root: &Root, folder: usize) -> io::Result<Arc<Folder>> {
        let known = &mut self.folders[folder];
        if let Some(handle) = &known.handle {
            return Ok(Arc::clone(handle));
        }
        let handle = Arc::new(root.folder(known.path.as_bytes())?);
        if self.open < MAX_OPEN {
            self.open += 1;
            known.handle = Some(Arc::clone(&handle));
        }
        Ok(handle)
    }
}

/// The folder part of a path, without the last slash, and what follows.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let slash = path.iter().rposition(|&byte| byte == b'/');
    slash.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]))
}

/// Components, last first; empty ones and `.` left out.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|component| !matches!(*component, b"" | b"."))
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}
