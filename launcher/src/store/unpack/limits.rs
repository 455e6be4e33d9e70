//! How much an image may ask for (U6).

use std::fmt;

use common::oci::compression;
use common::tree::ImagePath;
use common::tree::tar::{Entry, EntryKind};

use super::UnpackError;

/// Limits of one image, all its layers together. The defaults are far above any image that packs an
/// application, and far below what fills a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of content of all files.
    pub bytes: u64,
    /// Entries, with the folders that they imply.
    pub entries: u64,
    /// Components of a path.
    pub depth: usize,
    /// Unpacked bytes for each packed byte of a layer, beyond its first 64 MiB.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            entries: 1 << 20,
            // One descriptor each while unpacking; 1024 is the usual limit of a process.
            depth: 256,
            ratio: compression::Limits::default().ratio,
        }
    }
}

/// Which of the [`Limits`], with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::bytes`]
    Bytes(u64),
    /// [`Limits::entries`]
    Entries(u64),
    /// [`Limits::depth`]
    Depth(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(value) => write!(f, "{value} bytes in an image"),
            Self::Entries(value) => write!(f, "{value} entries in an image"),
            Self::Depth(value) => write!(f, "{value} components in a path"),
        }
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub(in crate::store) struct Budget {
    limits: Limits,
    bytes: u64,
    entries: u64,
}

impl Budget {
    pub(in crate::store) fn new(limits: Limits) -> Self {
        Self { limits, bytes: limits.bytes, entries: limits.entries }
    }

    /// Bytes that the next layer's archive can have at most, headers and padding included.
    pub(in crate::store) fn archive(&self) -> u64 {
        // A header, its extension and the padding rarely need more than 4 KiB an entry.
        self.bytes.saturating_add(self.entries.saturating_mul(4096))
    }

    /// [`Limits::ratio`]
    pub(in crate::store) fn ratio(&self) -> u64 {
        self.limits.ratio
    }

    /// Bytes and entries so far.
    pub(in crate::store) fn used(&self) -> (u64, u64) {
        (self.limits.bytes - self.bytes, self.limits.entries - self.entries)
    }

    /// Takes an entry from what is left.
    pub(super) fn admit(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let Limits { depth, bytes, .. } = self.limits;
        let fail = |limit| UnpackError::TooMuch { path: entry.path.clone(), limit };
        self.count(1).map_err(fail)?;
        if entry.path.components().count() > depth {
            return Err(fail(Limit::Depth(depth)));
        }
        if let EntryKind::File { size } = entry.kind {
            self.bytes = self.bytes.checked_sub(size).ok_or_else(|| fail(Limit::Bytes(bytes)))?;
        }
        Ok(())
    }

    /// Takes folders that `path` implied from what is left.
    pub(super) fn implied(&mut self, count: u64, path: &ImagePath) -> Result<(), UnpackError> {
        self.count(count).map_err(|limit| UnpackError::TooMuch { path: path.clone(), limit })
    }

    fn count(&mut self, count: u64) -> Result<(), Limit> {
        let limit = Limit::Entries(self.limits.entries);
        self.entries = self.entries.checked_sub(count).ok_or(limit)?;
        Ok(())
    }
}
