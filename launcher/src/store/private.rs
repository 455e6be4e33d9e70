//! What one container writes: the upper and work folders of its overlay.

use std::path::PathBuf;

/// `<store>/containers/<id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateArea {
    /// The overlay's `upperdir`.
    pub upper: PathBuf,
    /// The overlay's `workdir`, on the same file system.
    pub work: PathBuf,
}
