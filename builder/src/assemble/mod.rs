//! `Plan` -> [`Tree`]: normalised metadata, and for each file a [`Content`] that says where its
//! bytes are.
//!
//! Decides modes, owners and times; makes the few generated files. Refuses to read what it copies:
//! contents go from the root into the layer as a stream, by [`Contents`].

use std::fs::File;
use std::io::{self, Cursor, Read, Seek as _, SeekFrom};

use common::root::Root;
use common::tree::{ImagePath, Inode, Metadata, Tree};

pub mod generated;
mod ld_cache;
mod metadata;
pub mod strip;

pub use metadata::{Epoch, EpochError};

use crate::elf::Name;
use crate::interrupt::Interrupt;
use crate::plan::{Node, Plan, Source};
use crate::spec::least::Strip;

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In the root.
    Root {
        /// Path, all links resolved.
        path: ImagePath,
        /// Bytes.
        size: u64,
    },
    /// In a file of the root.
    Part {
        /// Path, all links resolved.
        path: ImagePath,
        /// Bytes before.
        offset: u64,
        /// Bytes.
        size: u64,
    },
    /// In the recipe's folder.
    Context {
        /// Path, relative.
        path: Name,
        /// Bytes.
        size: u64,
    },
    /// Those of another without sections that no loader maps.
    Stripped {
        /// The whole file: in the root or the recipe's folder.
        of: Box<Content>,
        /// Bytes that are left.
        size: u64,
        /// What is left out.
        how: Strip,
    },
    /// Here.
    Bytes(Vec<u8>),
}

/// The tree that a plan describes.
pub fn assemble(plan: &Plan, epoch: Epoch) -> Tree<Content> {
    let mut tree = Tree::new();
    for (path, entry) in &plan.entries {
        let metadata = |mode| metadata::metadata(mode, epoch);
        let inode = match &entry.node {
            Node::Folder { mode } => Inode::Directory(metadata(*mode)),
            Node::Volume { mode, uid, gid } => {
                Inode::Directory(Metadata { uid: *uid, gid: *gid, ..metadata(*mode) })
            }
            Node::Link { target } => {
                Inode::Symlink { metadata: metadata(0o777), target: target.as_bytes().to_vec() }
            }
            Node::HardLink { target } => Inode::Hardlink { target: target.clone() },
            Node::File { mode, source } => {
                let (size, content) = content(source);
                Inode::File { metadata: metadata(*mode), size, content }
            }
        };
        tree.insert(path.clone(), inode);
    }
    tree
}

fn content(source: &Source) -> (u64, Content) {
    match source {
        Source::Root { path, size } => (*size, Content::Root { path: path.clone(), size: *size }),
        Source::Part { path, offset, size } => {
            (*size, Content::Part { path: path.clone(), offset: *offset, size: *size })
        }
        Source::Context { path, size } => {
            (*size, Content::Context { path: path.clone(), size: *size })
        }
        Source::Generated { what } => {
            let bytes = generated::bytes(what);
            (bytes.len() as u64, Content::Bytes(bytes))
        }
        Source::Stripped { of, size, how } => {
            let of = Box::new(content(of).1);
            (*size, Content::Stripped { of, size: *size, how: *how })
        }
    }
}

/// Opens contents.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The root that files are copied from.
    pub root: &'a Root,
    /// The recipe's folder.
    pub context: Option<&'a Root>,
    /// Who may end it early: bytes then end with an error.
    pub interrupt: &'a Interrupt,
}

/// A file whose bytes could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It cannot be opened or read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: Name,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// It has another size than when it was planned.
    #[error("`{path}` changed while it was packed: it had {planned} bytes, and now has {found}")]
    Changed {
        /// The file.
        path: Name,
        /// Bytes when planned.
        planned: u64,
        /// Bytes now.
        found: u64,
    },
}

impl From<ContentError> for io::Error {
    fn from(error: ContentError) -> Self {
        Self::other(error)
    }
}

impl Contents<'_> {
    /// The bytes of a file. Fails at open or at its end when the size is not the planned one.
    pub fn open(&self, content: &Content) -> io::Result<Box<dyn Read>> {
        self.interrupt.check()?;
        let (whole, stripped) = match content {
            Content::Bytes(bytes) => return Ok(Box::new(Cursor::new(bytes.clone()))),
            Content::Part { path, offset, size } => return self.part(path, *offset, *size),
            Content::Stripped { of, size, how } => (&**of, Some((*size, *how))),
            whole => (whole, None),
        };
        let (path, planned, file) = self.open_file(whole)?;
        if let Some((size, how)) = stripped {
            return Ok(Box::new(strip::open(&path, file, how, size, self.interrupt)?));
        }
        let interrupt = self.interrupt.clone();
        Ok(Box::new(Steady { path, file, planned, read: 0, interrupt }))
    }

    /// A file of the root or the recipe's folder, which has the size that was planned: its name, its
    /// size, and it.
    fn open_file(&self, content: &Content) -> Result<(Name, u64, File), ContentError> {
        let absent = || Err(io::ErrorKind::NotFound.into());
        let (name, planned, file) = match content {
            Content::Root { path, size } => {
                (Name::from(path.as_bytes()), *size, self.root.open_file(path.as_bytes()))
            }
            Content::Context { path, size } => {
                let file = self.context.map(|context| context.open_file(path.as_bytes()));
                (path.clone(), *size, file.unwrap_or_else(absent))
            }
            // Neither is kept anywhere as it is.
            Content::Part { size, .. } | Content::Stripped { size, .. } => {
                (Name::default(), *size, absent())
            }
            Content::Bytes(bytes) => (Name::default(), bytes.len() as u64, absent()),
        };
        let read = |error| ContentError::Read { path: name.clone(), error };
        let file = file.map_err(read)?;
        let found = file.metadata().map_err(read)?.len();
        if found != planned {
            return Err(ContentError::Changed { path: name, planned, found });
        }
        Ok((name, planned, file))
    }

    /// Some bytes of a file. Ends with an error where the file ends before them.
    fn part(&self, path: &ImagePath, offset: u64, size: u64) -> io::Result<Box<dyn Read>> {
        let name = Name::from(path.as_bytes());
        let read = |error| ContentError::Read { path: name.clone(), error };
        let mut file = self.root.open_file(path.as_bytes()).map_err(read)?;
        file.seek(SeekFrom::Start(offset)).map_err(read)?;
        let interrupt = self.interrupt.clone();
        let part = Steady { path: name, file: file.take(size), planned: size, read: 0, interrupt };
        Ok(Box::new(part))
    }
}

/// A file that must have the size that was planned.
struct Steady<R> {
    path: Name,
    file: R,
    planned: u64,
    read: u64,
    interrupt: Interrupt,
}

impl<R: Read> Read for Steady<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check()?;
        let count = self
            .file
            .read(buffer)
            .map_err(|error| ContentError::Read { path: self.path.clone(), error })?;
        self.read += count as u64;
        let ended = count == 0 && !buffer.is_empty();
        if self.read > self.planned || ended && self.read != self.planned {
            let path = self.path.clone();
            return Err(
                ContentError::Changed { path, planned: self.planned, found: self.read }.into()
            );
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f"), "12345").unwrap();
        let root = Root::open(folder.path()).unwrap();
        let interrupt = Interrupt::default();
        let contents = Contents { root: &root, context: None, interrupt: &interrupt };
        let content = |size| Content::Root { path: ImagePath::new("/f").unwrap(), size };
        let mut text = String::new();
        contents.open(&content(5)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "12345");
        let error = contents.open(&content(4)).err().unwrap();
        assert_eq!(
            error.to_string(),
            "`/f` changed while it was packed: it had 4 bytes, and now has 5"
        );
        // It shrinks between open and read.
        let mut reader = contents.open(&content(5)).unwrap();
        std::fs::write(folder.path().join("f"), "123").unwrap();
        let error = reader.read_to_string(&mut text).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/f` changed while it was packed: it had 5 bytes, and now has 3"
        );
    }
}
