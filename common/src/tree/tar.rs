//! Tar in both directions.
//!
//! [`write()`] makes the canonical form: sorted, ustar, PAX only where ustar cannot say it. [`Reader`]
//! is the one strict parser of untrusted tar (rules U3 and U7 of docs/security.md): where two parsers
//! could read an archive differently, it is refused.
//!
//! ```text
//! entry    [PAX header block, its records padded] header block, content padded     512 bytes a block
//! archive  entry* zero block, zero block
//! ```

use std::io::{self, Read};

use super::{ImagePath, Inode, Metadata, Tree};

mod error;
mod header;
mod pax;
mod reader;
mod writer;

pub use error::{Problem, TarError};
pub use reader::{Limits, Reader};
pub use writer::{Writer, write};

/// Everything in a tar is in blocks of so many bytes.
const BLOCK: usize = 512;

/// One entry's header, as far as it was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it goes; the root itself is `/`.
    pub path: ImagePath,
    /// Owner, mode, time, extended attributes.
    pub metadata: Metadata,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Directory,
    /// A regular file; the reader yields this many bytes.
    File {
        /// Bytes of content.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it says, any bytes without NUL.
        target: Vec<u8>,
    },
    /// A further name for an earlier regular file of the same archive.
    Hardlink {
        /// The earlier name.
        target: ImagePath,
    },
}

/// Reads a whole archive as a tree; `keep` makes of each file's bytes what the tree shall hold. A path
/// that comes twice is refused, and so is a hard link to anything but an earlier file (rule U4).
pub fn read<R: Read, C>(
    reader: &mut Reader<R>,
    mut keep: impl FnMut(&ImagePath, &mut dyn Read) -> io::Result<C>,
) -> Result<Tree<C>, TarError> {
    let mut tree = Tree::new();
    while let Some(Entry { path, metadata, kind }) = reader.next_entry()? {
        let inode = match kind {
            EntryKind::Directory => Inode::Directory(metadata),
            EntryKind::Symlink { target } => Inode::Symlink { metadata, target },
            EntryKind::File { size } => {
                Inode::File { metadata, size, content: keep(&path, reader)? }
            }
            EntryKind::Hardlink { target } => {
                if !matches!(tree.get(&target), Some(Inode::File { .. })) {
                    return Err(reader.refuse(&path, Problem::HardlinkTarget(target)));
                }
                Inode::Hardlink { target }
            }
        };
        if tree.insert(path.clone(), inode).is_some() {
            return Err(reader.refuse(&path, Problem::Twice));
        }
    }
    Ok(tree)
}
