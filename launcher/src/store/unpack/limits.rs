//! How much an image may ask for (U6).

use std::fmt;

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
    /// Bytes of content for each packed byte of a layer, beyond its first 64 MiB.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            entries: 1 << 20,
            // One descriptor each while unpacking; 1024 is the usual limit of a process.
            depth: 256,
            // deflate cannot do better than 1032, and no real file system comes near it.
            ratio: 500,
        }
    }
}

/// Content that a layer may have whatever its packed size: files of zeros are legitimate.
const FREE: u64 = 64 << 20;

/// Which of the [`Limits`], with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::bytes`]
    Bytes(u64),
    /// [`Limits::entries`]
    Entries(u64),
    /// [`Limits::depth`]
    Depth(usize),
    /// [`Limits::ratio`]
    Ratio(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(value) => write!(f, "{value} bytes in an image"),
            Self::Entries(value) => write!(f, "{value} entries in an image"),
            Self::Depth(value) => write!(f, "{value} components in a path"),
            Self::Ratio(value) => write!(f, "{value} bytes for each packed byte"),
        }
    }
}

/// What is left of the limits.
#[derive(Debug)]
pub(in crate::store) struct Budget {
    limits: Limits,
    bytes: u64,
    entries: u64,
    /// Content bytes that the current layer may still have by the ratio.
    layer: u64,
}

impl Budget {
    pub(in crate::store) fn new(limits: Limits) -> Self {
        Self { limits, bytes: limits.bytes, entries: limits.entries, layer: 0 }
    }

    /// A layer of `packed` bytes begins.
    pub(in crate::store) fn start_layer(&mut self, packed: u64) {
        self.layer = packed.saturating_mul(self.limits.ratio).saturating_add(FREE);
    }

    /// Bytes that the current layer's archive can have at most, headers and padding included.
    pub(in crate::store) fn archive(&self) -> u64 {
        // A header, its PAX extension and padding stay below 4 KiB an entry on average.
        self.bytes.min(self.layer).saturating_add(self.entries.saturating_mul(4096)).max(FREE)
    }

    /// Takes an entry from what is left.
    pub(super) fn admit(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let Limits { depth, bytes, ratio, .. } = self.limits;
        let fail = |limit| UnpackError::TooMuch { path: entry.path.clone(), limit };
        self.count(1).map_err(fail)?;
        if entry.path.components().count() > depth {
            return Err(fail(Limit::Depth(depth)));
        }
        if let EntryKind::File { size } = entry.kind {
            self.bytes = self.bytes.checked_sub(size).ok_or_else(|| fail(Limit::Bytes(bytes)))?;
            self.layer = self.layer.checked_sub(size).ok_or_else(|| fail(Limit::Ratio(ratio)))?;
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
