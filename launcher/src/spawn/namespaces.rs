//! Namespaces of the kernel's interface: flags of those made new, joining of those that exist.

use std::path::Path;

use nix::libc;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::plan::{NamespaceKind, Plan};

impl NamespaceKind {
    /// Its `CLONE_NEW*`.
    pub(super) fn flag(self) -> u64 {
        let flag = match self {
            Self::User => libc::CLONE_NEWUSER,
            Self::Mount => libc::CLONE_NEWNS,
            Self::Pid => libc::CLONE_NEWPID,
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::Uts => libc::CLONE_NEWUTS,
            Self::Network => libc::CLONE_NEWNET,
            Self::Cgroup => libc::CLONE_NEWCGROUP,
        };
        u64::from(flag.unsigned_abs())
    }

    fn link(self) -> LinkNameSpaceType {
        match self {
            Self::User => LinkNameSpaceType::User,
            Self::Mount => LinkNameSpaceType::Mount,
            Self::Pid => LinkNameSpaceType::ProcessID,
            Self::Ipc => LinkNameSpaceType::InterProcessCommunication,
            Self::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
            Self::Network => LinkNameSpaceType::Network,
            Self::Cgroup => LinkNameSpaceType::ControlGroup,
        }
    }
}

impl Plan {
    /// The flags of all namespaces that clone3 makes. The cgroup namespace is made later, by the child.
    pub(super) fn clone_flags(&self) -> u64 {
        self.namespaces
            .iter()
            .filter(|namespace| namespace.path.is_none() && namespace.kind != NamespaceKind::Cgroup)
            .fold(0, |flags, namespace| flags | namespace.kind.flag())
    }

    /// Those that are joined.
    pub(super) fn joined(&self) -> impl Iterator<Item = (NamespaceKind, &Path)> {
        self.namespaces
            .iter()
            .filter_map(|namespace| Some((namespace.kind, namespace.path.as_deref()?)))
    }
}

/// Joins a namespace; one of another kind is EINVAL.
pub(super) fn join(kind: NamespaceKind, path: &Path) -> Result<(), Errno> {
    let link = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&link), Some(kind.link()))
}
