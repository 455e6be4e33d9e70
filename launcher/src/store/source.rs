//! `ImageSource`: what a person typed where an image is expected.

use std::ffi::OsString;

/// A name in the store, or a path to an OCI archive, an OCI layout folder or a rootfs tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    text: OsString,
}

impl From<OsString> for ImageSource {
    fn from(text: OsString) -> Self {
        Self { text }
    }
}
