//! The OCI image format: references, descriptors and canonical JSON, the image layout as a folder
//! and as one archive file.
//!
//! Types of the specification come from the `oci-spec` crate; what is ours is how they become bytes
//! (canonically, [`json`]) and how bytes are trusted (never before their digest was verified).
//!
//! ```text
//! <layout>/oci-layout             {"imageLayoutVersion":"1.0.0"}
//! <layout>/index.json             names -> manifests (org.opencontainers.image.ref.name)
//! <layout>/blobs/sha256/<hex>     manifests, configs, layers
//! ```

pub mod archive;
pub mod blobs;
pub mod compression;
mod error;
mod gunzip;
pub mod json;
pub mod layout;
pub mod media_type;
pub mod reference;
pub mod select;

pub use oci_spec::image::{
    Config, Descriptor, History, ImageConfiguration, ImageIndex, ImageManifest, MediaType,
    Platform, RootFs,
};
