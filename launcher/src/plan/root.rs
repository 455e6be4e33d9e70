//! What the root of the container is made of.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Propagation;

/// What `/` is.
///
/// A layer on the disk is dear: each file and folder that is made on ext4 steps over those deleted in
/// the last minute, and each removal may wait for the journal (together 3 ms a container on an idle
/// machine, 8 on a busy one). So there is one only where the program's own files have to go somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootPlan {
    /// A bundle's own folder, with all that is mounted in it.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Whether nothing of it can be written, once the mount points are made.
        readonly: bool,
    },
    /// The snapshot itself, read-only.
    Bind {
        /// The unpacked image.
        lower: PathBuf,
    },
    /// The snapshot under a layer in memory, in which missing mount points are made; read-only after that.
    Sealed {
        /// The unpacked image.
        lower: PathBuf,
    },
    /// The snapshot under a writable layer on the disk. Mounted `volatile`: nothing in it has to survive a
    /// crash of the host, and unmounting need not wait for the disk.
    Overlay {
        /// The unpacked image.
        lower: PathBuf,
        /// The folder in which `upper` and `work` are made.
        writable: PathBuf,
    },
}

impl super::Plan {
    /// Whether copies of the host's mounts see what the host mounts on these later.
    pub(crate) fn receives_mounts(&self) -> bool {
        self.propagation.is_none_or(|spread| spread.kind == Propagation::Slave)
    }
}

impl RootPlan {
    /// The unpacked image.
    pub fn lower(&self) -> &Path {
        match self {
            Self::Folder { path, .. } => path,
            Self::Bind { lower } | Self::Sealed { lower } | Self::Overlay { lower, .. } => lower,
        }
    }

    /// Whether what is mounted below it comes along.
    pub fn is_recursive(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }

    /// The folder on the disk that receives what the program writes; `None` where it can write nothing.
    pub fn writable(&self) -> Option<&Path> {
        match self {
            Self::Overlay { writable, .. } => Some(writable),
            Self::Folder { .. } | Self::Bind { .. } | Self::Sealed { .. } => None,
        }
    }
}
