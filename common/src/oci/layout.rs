//! `ImageLayout`: an OCI image layout in a folder. Blobs appear atomically; nothing is read unverified.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Descriptor, ImageIndex, MediaType, reference::Reference};
use crate::digest::Digest;

/// A folder with `oci-layout`, `index.json` and `blobs/`.
#[derive(Debug)]
pub struct ImageLayout {
    path: PathBuf,
}

/// What was wrong, with which file.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// "read", "create" ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl ImageLayout {
    /// Opens an existing layout.
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        let _ = path;
        todo!()
    }

    /// Opens a layout, making it (and its parents) where there is none.
    pub fn create(path: &Path) -> Result<Self, LayoutError> {
        let _ = path;
        todo!()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of `index.json`.
    pub fn index(&self) -> Result<ImageIndex, LayoutError> {
        todo!()
    }

    /// Named images with their descriptors, sorted by name.
    pub fn images(&self) -> Result<Vec<(Reference, Descriptor)>, LayoutError> {
        todo!()
    }

    /// The manifest descriptor that has this name.
    pub fn find(&self, name: &Reference) -> Result<Option<Descriptor>, LayoutError> {
        let _ = name;
        todo!()
    }

    /// Gives `manifest` this name (taking it from another, whose descriptor is returned), atomically and under the layout's lock.
    pub fn tag(
        &self,
        name: &Reference,
        manifest: Descriptor,
    ) -> Result<Option<Descriptor>, LayoutError> {
        let _ = (name, manifest);
        todo!()
    }

    /// Takes a name away; whether it was there.
    pub fn untag(&self, name: &Reference) -> Result<bool, LayoutError> {
        let _ = name;
        todo!()
    }

    /// A small blob (at most 4 MiB), whole, digest and size verified.
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let _ = descriptor;
        todo!()
    }

    /// A blob as a stream that fails at its end when digest or size differ (so read it to the end).
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, LayoutError> {
        let _ = descriptor;
        todo!()
    }

    /// Starts a new blob in a temporary file of the layout.
    pub fn new_blob(&self) -> Result<BlobWriter, LayoutError> {
        todo!()
    }

    /// Stores a small blob whole.
    pub fn write(&self, media_type: MediaType, bytes: &[u8]) -> Result<Descriptor, LayoutError> {
        let _ = (media_type, bytes);
        todo!()
    }

    /// Where a blob is or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(Digest::ALGORITHM).join(digest.hex())
    }
}

/// A blob being written; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {}

impl BlobWriter {
    /// Syncs nothing, renames into place; the descriptor of what was written.
    pub fn finish(self, media_type: MediaType) -> Result<Descriptor, LayoutError> {
        let _ = media_type;
        todo!()
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let _ = buffer;
        todo!()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
