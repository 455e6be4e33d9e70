//! Mounts, nodes of `/dev`, links and generated files, as values.

use std::path::PathBuf;

use common::tree::ImagePath;
use serde::{Deserialize, Serialize};

use super::{Attributes, IdRange, options};

/// One thing mounted below the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, inside; made where it is missing.
    pub destination: ImagePath,
    /// What.
    pub source: Source,
    /// With which attributes: changed on the detached mount, before anyone can reach it.
    #[serde(default)]
    pub attributes: Attributes,
    /// How mounts and unmounts travel between it and what it is a copy of, made so one after another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub propagation: Vec<Spread>,
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
        /// By which other ids its owners are shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owners: Option<Owners>,
    },
    /// A new instance of a file system.
    New {
        /// `proc`, `tmpfs`, ...
        filesystem: String,
        /// What its `source` column shows, or the device.
        name: String,
        /// Its own options, in order: a key, and a value unless it is a flag.
        options: Vec<(String, Option<String>)>,
        /// Whether it starts with what is at its mount point.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        copy_up: bool,
    },
    /// What is mounted there already, changed.
    Remount {
        /// Changes of its file system, wherever that is mounted. None for the mount alone.
        options: Vec<(String, Option<String>)>,
    },
}

/// By which ids the owners of files are shown (`MOUNT_ATTR_IDMAP`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    /// The maps: `inside` is the id in the file system, `outside` what is shown to the host. `None`: those of the container's user
    /// namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maps: Option<OwnerMaps>,
    /// Of all that is mounted below it, too.
    pub recursive: bool,
}

/// Maps of an idmapped mount's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerMaps {
    /// Users.
    pub uids: Vec<IdRange>,
    /// Groups.
    pub gids: Vec<IdRange>,
}

/// How mounts and unmounts travel (`mount_namespaces(7)`, "Shared subtrees").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Not at all.
    Private,
    /// In, from where the mount was copied, and never out.
    Slave,
    /// Both ways.
    Shared,
    /// Not at all, and it cannot be copied.
    Unbindable,
}

/// A way of propagation for a mount, or for all below it as well. Printed as mount(8)'s word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub struct Spread {
    /// Which.
    pub kind: Propagation,
    /// Of all that is mounted below, too.
    pub recursive: bool,
}

impl Spread {
    /// Private with all below.
    pub(super) const PRIVATE: Self = Self { kind: Propagation::Private, recursive: true };

    /// Whether nothing travels after this.
    pub(super) fn ends_all(self) -> bool {
        self.recursive && matches!(self.kind, Propagation::Private | Propagation::Unbindable)
    }
}

impl From<Spread> for &'static str {
    fn from(spread: Spread) -> Self {
        options::word_of(spread)
    }
}

impl TryFrom<String> for Spread {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match options::meaning(&word) {
            Some(options::Word::Propagation(spread)) => Ok(spread),
            _ => Err(format!("`{word}` is no way of propagation")),
        }
    }
}

/// When the host's folders and files are opened that are shown inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sources {
    /// Each when its turn has come. By then nothing that is mounted travels to the host.
    Late,
    /// By the container's first process, while its copies of the host's mounts are still one with these.
    Early,
    /// By the launcher, before the container exists: root inside might not be allowed to reach them.
    Launcher,
}

/// A node of the container, normally in `/dev`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Inside.
    pub path: ImagePath,
    /// The host's node, which must be the device that is named here; it is what is bound, unless one is made. Not for a FIFO.
    pub source: PathBuf,
    /// What it is.
    pub kind: DeviceKind,
    /// Device number.
    pub major: u32,
    /// Device number.
    pub minor: u32,
    /// How a node of its own is made; `None`: the host's is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Node>,
    /// How the launcher makes one of which this is then a bind: in a user namespace nobody can. Its owners are the host's. Where
    /// the launcher cannot make it, the host's is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lent: Option<Node>,
}

/// A node that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Permissions.
    pub mode: u32,
    /// Owner, inside.
    pub uid: u32,
    /// Group, inside.
    pub gid: u32,
    /// Whether the specification itself asked for it: then something else at its place is an error. A default one gives way to nothing
    /// and is bound over it.
    pub explicit: bool,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Inside. What is there already stays.
    pub path: ImagePath,
    /// What it says.
    pub target: String,
    /// Whether it replaces what is there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
}

/// A file that is written to a file system in memory and bound into place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedFile {
    /// Inside; made where it is missing.
    pub destination: ImagePath,
    /// What it says.
    pub content: String,
}
