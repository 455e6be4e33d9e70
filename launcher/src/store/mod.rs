//! The store of a host: images by name, and their root filesystems, unpacked once.
//!
//! Decides where an image comes from ([`ImageSource`]), that its bytes are what their digests say,
//! and that a hostile archive can make nothing outside its own folder (`unpack`). Refuses to know
//! what is run from it.
//!
//! ```text
//! <store>/oci-layout index.json blobs/    the images, shared with `coracle` (common::oci::layout)
//! <store>/snapshots/<chain>/root          a root filesystem, read-only, shared by its containers
//! <store>/snapshots/<chain>/record        what was unpacked, and in which boot; mtime: last use
//! <store>/pending/<key>                   being unpacked (flock held) or left by a killed process
//! <store>/sources/<key>                   files outside that were unpacked before: their chain
//! <store>/containers/<id>/{upper,work}    what a container writes
//! ```
//!
//! Whoever uses a snapshot holds a shared `flock` on its folder; whoever removes or makes one holds
//! it exclusively. The folders are 0700: a set-uid program of an image is for its container only
//! (CVE-2021-41091 was the opposite).

mod error;
mod image;
mod private;
mod snapshot;
pub mod unpack;
mod below;
mod source;

pub use error::StoreError;
pub use image::StoredImage;
pub use private::PrivateArea;
pub use snapshot::{Ids, Snapshot};
pub use source::ImageSource;

use std::path::{Path, PathBuf};

/// An opened store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// Opens the store at `path`, making it where there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned() })
    }

    /// The folder of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finds an image and reads its manifest and config, verified. Layers are not read.
    pub fn get(&self, source: &ImageSource) -> Result<StoredImage, StoreError> {
        let _ = source;
        todo!()
    }

    /// The image's root filesystem: unpacked now if it never was, otherwise only leased.
    pub fn unpack(&self, image: &StoredImage) -> Result<Snapshot, StoreError> {
        let _ = image;
        todo!()
    }

    /// Makes `<store>/containers/<id>/{upper,work}` for a container of `snapshot`. `upper` gets
    /// owner and mode of the image's root, because an overlay shows those of its upper folder.
    pub fn create_private(&self, id: &str, snapshot: &Snapshot) -> Result<PrivateArea, StoreError> {
        let _ = (id, snapshot);
        todo!()
    }

    /// Removes `<store>/containers/<id>` with all below it, no link followed, no mount entered.
    /// Whether it was there.
    pub fn remove_private(&self, id: &str) -> Result<bool, StoreError> {
        let _ = id;
        todo!()
    }

    /// Ids that have a private area, sorted.
    pub fn private_ids(&self) -> Result<Vec<String>, StoreError> {
        todo!()
    }
}
