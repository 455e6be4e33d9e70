//! Which namespaces are the container's own (namespaces(7)).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One namespace of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// What it separates.
    pub kind: NamespaceKind,
    /// `None`: a new one. Otherwise an existing one to join, as a path of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

/// What a namespace separates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// User and group ids, and what capabilities reach.
    User,
    /// Mounts.
    Mount,
    /// Process ids.
    Pid,
    /// System V objects and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// Network devices, addresses, ports.
    Network,
    /// The visible root of the cgroup tree.
    Cgroup,
}

impl super::Plan {
    /// Whether the container gets a new namespace of this kind.
    pub fn has_new(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|namespace| namespace.kind == kind && namespace.path.is_none())
    }

    /// The new ones by name, for a message.
    pub fn namespace_names(&self) -> String {
        let new = self.namespaces.iter().filter(|namespace| namespace.path.is_none());
        new.map(|namespace| format!("{:?}", namespace.kind).to_lowercase())
            .collect::<Vec<_>>()
            .join(" ")
    }
}
