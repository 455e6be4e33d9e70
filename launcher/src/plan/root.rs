//! What the root of the container is made of.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What `/` is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootPlan {
    /// The snapshot itself, read-only.
    Bind {
        /// The unpacked image.
        lower: PathBuf,
    },
    /// The snapshot with a writable layer on top. Mounted `volatile`: nothing in it has to survive a crash
    /// of the host, and unmounting need not wait for the disk.
    Overlay {
        /// The unpacked image.
        lower: PathBuf,
        /// The folder in which `upper` and `work` are made.
        writable: PathBuf,
        /// Sealed once all mount points are made: a read-only root whose image lacks some of them.
        sealed: bool,
    },
}

impl RootPlan {
    /// The unpacked image.
    pub fn lower(&self) -> &std::path::Path {
        match self {
            Self::Bind { lower } | Self::Overlay { lower, .. } => lower,
        }
    }
}
