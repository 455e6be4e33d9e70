//! Which namespaces are the container's own (namespaces(7)).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Spec};
use serde::{Deserialize, Serialize};

use super::PlanError;

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
    /// The clocks that count from the start of the system (Linux 5.6).
    Time,
}

impl NamespaceKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::Mount,
        Self::Pid,
        Self::Ipc,
        Self::Uts,
        Self::Network,
        Self::Cgroup,
        Self::Time,
    ];

    /// The specification's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Mount => "mount",
            Self::Pid => "pid",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Network => "network",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<LinuxNamespaceType> for NamespaceKind {
    fn from(kind: LinuxNamespaceType) -> Self {
        match kind {
            LinuxNamespaceType::User => Self::User,
            LinuxNamespaceType::Mount => Self::Mount,
            LinuxNamespaceType::Pid => Self::Pid,
            LinuxNamespaceType::Ipc => Self::Ipc,
            LinuxNamespaceType::Uts => Self::Uts,
            LinuxNamespaceType::Network => Self::Network,
            LinuxNamespaceType::Cgroup => Self::Cgroup,
            LinuxNamespaceType::Time => Self::Time,
        }
    }
}

/// How a clock of a new time namespace differs from the host's (`time_namespaces(7)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOffset {
    /// Seconds.
    pub seconds: i64,
    /// And nanoseconds.
    pub nanoseconds: u32,
}

/// The kinds of those that `spec` wants to be new, unchecked: what can be begun with before all else is decided.
pub fn new_namespaces(spec: &Spec) -> Vec<NamespaceKind> {
    let wanted = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
    let named =
        |one: &LinuxNamespace| one.path().as_ref().is_some_and(|path| !path.as_os_str().is_empty());
    let new = wanted.unwrap_or_default().iter().filter(|one| !named(one));
    new.map(|one| NamespaceKind::from(one.typ())).collect()
}

/// The specification's namespaces, each kind once.
pub(super) fn all(spec: &Spec) -> Result<Vec<Namespace>, PlanError> {
    let wanted = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
    let mut all: Vec<Namespace> = Vec::new();
    for namespace in wanted.unwrap_or_default() {
        let kind = NamespaceKind::from(namespace.typ());
        if all.iter().any(|known| known.kind == kind) {
            return Err(PlanError::DuplicateNamespace(kind));
        }
        // An empty path is none: so the encoders of other languages write what is not there.
        let path = namespace.path().clone().filter(|path| !path.as_os_str().is_empty());
        if let Some(path) = path.as_ref().filter(|path| !path.is_absolute()) {
            return Err(PlanError::NamespacePath { kind, path: path.clone() });
        }
        all.push(Namespace { kind, path });
    }
    Ok(all)
}

/// The specification's clock offsets, which only a new time namespace can have.
pub(super) fn time_offsets(
    spec: &Spec,
    namespaces: &[Namespace],
) -> Result<BTreeMap<String, TimeOffset>, PlanError> {
    let wanted = spec.linux().as_ref().and_then(|linux| linux.time_offsets().as_ref());
    let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    if !namespaces.iter().any(|one| one.kind == NamespaceKind::Time && one.path.is_none()) {
        return Err(PlanError::TimeOffsets);
    }
    let wanted: BTreeMap<_, _> = wanted.iter().collect();
    wanted
        .into_iter()
        .map(|(clock, offset)| {
            let (seconds, nanoseconds) =
                (offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
            if !matches!(clock.as_str(), "monotonic" | "boottime") || nanoseconds >= 1_000_000_000 {
                return Err(PlanError::Clock(clock.clone()));
            }
            Ok((clock.clone(), TimeOffset { seconds, nanoseconds }))
        })
        .collect()
}

impl super::Plan {
    /// Whether the container gets a new namespace of this kind.
    pub fn has_new(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|namespace| namespace.kind == kind && namespace.path.is_none())
    }

    /// Whether the container has a namespace of this kind that is not the launcher's, new or joined.
    pub fn has(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|namespace| namespace.kind == kind)
    }

    /// The new ones by name, for a message.
    pub fn namespace_names(&self) -> String {
        let new = self.namespaces.iter().filter(|namespace| namespace.path.is_none());
        new.map(|namespace| namespace.kind.name()).collect::<Vec<_>>().join(" ")
    }
}
