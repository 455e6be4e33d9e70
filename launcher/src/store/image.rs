//! `StoredImage`: manifest and config of an image, verified; its layers still packed.

use common::digest::Digest;
use common::oci::ImageConfiguration;

/// An image that can be unpacked.
#[derive(Debug)]
pub struct StoredImage {
    pub(super) label: String,
    pub(super) digest: Option<Digest>,
    pub(super) config: ImageConfiguration,
}

impl StoredImage {
    /// How a person calls it: `curl:latest`, `./curl.tar`. Escaped, so that it can be printed.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Digest of the manifest; a plain rootfs tarball has none.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The image's configuration. For a rootfs tarball: this host's platform and nothing else.
    pub fn config(&self) -> &ImageConfiguration {
        &self.config
    }
}
