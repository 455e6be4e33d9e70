//! Tar in both directions.
//!
//! [`write`] makes the canonical form: sorted, ustar, PAX only where ustar cannot say it. [`Reader`] is the one
//! strict parser of untrusted tar (rules U3 and U7 of docs/security.md).

use std::io::{self, Read, Write};

use super::{ImagePath, Metadata, Tree};

/// Writes `tree` in canonical form, contents by `open`, and ends with two zero blocks.
pub fn write<C, R: Read>(
    tree: &Tree<C>,
    open: impl FnMut(&ImagePath, &C) -> io::Result<R>,
    out: impl Write,
) -> Result<(), TarError> {
    let _ = (tree, open, out);
    todo!()
}

/// Reads entries one after the other from untrusted bytes.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
}

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

/// What was wrong with an archive, and where.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// Reading or writing failed.
    #[error("cannot read or write the archive")]
    Io(#[from] io::Error),
}

impl<R: Read> Reader<R> {
    /// Starts at the first header.
    pub fn new(inner: R) -> Self {
        Self { inner }
    }

    /// The next entry; what was left unread of the one before is skipped. `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let _ = &mut self.inner;
        todo!()
    }
}

/// The content of the current entry, `Ok(0)` at its end.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}
