//! How user and group ids inside a user namespace correspond to those outside (user_namespaces(7)).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The maps of a new user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// Users; id 0 inside is always among them.
    pub uids: Vec<IdRange>,
    /// Groups; likewise.
    pub gids: Vec<IdRange>,
    /// Who writes them.
    pub writer: MapWriter,
    /// `setgroups` is denied before the group map is written: the kernel demands it of an ordinary user, who
    /// could otherwise drop a group that a file's mode denies access to (CVE-2014-8989).
    pub deny_setgroups: bool,
    /// Whether the snapshot is shown through an idmapped mount, so that its root's files belong to the
    /// root inside. (Launched by root; an ordinary user owns his snapshots already.)
    pub idmapped_root: bool,
}

/// `count` ids from `inside` on are those from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// First id in the namespace.
    pub inside: u32,
    /// First id in the launcher's namespace.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Who writes the maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapWriter {
    /// The launcher itself: it is root, or maps only its own id.
    Launcher,
    /// `newuidmap` and `newgidmap`, which are set-uid and ask `/etc/subuid` and `/etc/subgid`.
    Helpers {
        /// Path of `newuidmap`.
        newuidmap: PathBuf,
        /// Path of `newgidmap`.
        newgidmap: PathBuf,
    },
}

impl IdMaps {
    /// The user outside who is root inside.
    pub fn root_uid(&self) -> Option<u32> {
        outside(&self.uids, 0)
    }

    /// The group outside that is root's inside.
    pub fn root_gid(&self) -> Option<u32> {
        outside(&self.gids, 0)
    }
}

/// The id outside that stands for `inside`.
pub(super) fn outside(ranges: &[IdRange], inside: u32) -> Option<u32> {
    ranges.iter().find_map(|range| {
        let offset = inside.checked_sub(range.inside)?;
        (offset < range.count).then(|| range.outside.checked_add(offset)).flatten()
    })
}
