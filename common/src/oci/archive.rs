//! An OCI layout in one `.tar` file: read in place (blobs are ranges of the file), written canonically.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::layout::{ImageLayout, LayoutError};
use super::{Descriptor, ImageIndex, reference::Reference};

/// An archive opened for reading; nothing is unpacked.
#[derive(Debug)]
pub struct Archive {
    file: File,
}

impl Archive {
    /// Reads the archive's own headers (not the blobs).
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let _ = path;
        todo!()
    }

    /// Its `index.json`.
    pub fn index(&self) -> &ImageIndex {
        let _ = &self.file;
        todo!()
    }

    /// As [`ImageLayout::read`].
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let _ = descriptor;
        todo!()
    }

    /// As [`ImageLayout::open_blob`].
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        let _ = descriptor;
        todo!()
    }
}

/// Writes one image of `layout`, and nothing else, as an archive: `oci-layout`, `index.json` and its blobs in order of digest.
pub fn write(
    layout: &ImageLayout,
    name: &Reference,
    manifest: &Descriptor,
    out: impl Write,
) -> Result<(), LayoutError> {
    let _ = (layout, name, manifest, out);
    todo!()
}
