//! Mounts, nodes of `/dev` and generated files, as values.

use std::path::PathBuf;

use common::tree::ImagePath;
use serde::{Deserialize, Serialize};

/// One thing mounted below the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, inside; made where it is missing.
    pub destination: ImagePath,
    /// What.
    pub source: Source,
    /// With which attributes: set on the detached mount, before anyone can reach it.
    #[serde(default)]
    pub attributes: Attributes,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A folder or file of the host.
    Bind {
        /// Absolute, on the host; links in it are followed, as the person who typed it expects.
        path: PathBuf,
        /// With everything that is mounted below it.
        recursive: bool,
    },
    /// A new instance of a file system.
    New {
        /// `proc`, `tmpfs`, ...
        filesystem: String,
        /// What its `source` column shows.
        name: String,
        /// Its own options, in order: a key, and a value unless it is a flag.
        options: Vec<(String, Option<String>)>,
    },
}

/// Attributes of a mount (`mount_setattr(2)`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "independent flags of the kernel's interface")]
pub struct Attributes {
    /// Cannot be written.
    pub readonly: bool,
    /// Set-uid and file capabilities have no effect.
    pub nosuid: bool,
    /// Device nodes cannot be opened.
    pub nodev: bool,
    /// Nothing on it can be executed.
    pub noexec: bool,
    /// Access times are not kept.
    pub noatime: bool,
    /// Links are not followed.
    pub nosymfollow: bool,
}

/// A node of `/dev`: a bind of the host's, which must be the device that is named here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Inside.
    pub path: ImagePath,
    /// On the host.
    pub source: PathBuf,
    /// Character or block.
    pub kind: DeviceKind,
    /// Device number.
    pub major: u32,
    /// Device number.
    pub minor: u32,
}

/// Character or block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A character device.
    Character,
    /// A block device.
    Block,
}

/// A file that is written to a file system in memory and bound into place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedFile {
    /// Inside; made where it is missing.
    pub destination: ImagePath,
    /// What it says.
    pub content: String,
}
