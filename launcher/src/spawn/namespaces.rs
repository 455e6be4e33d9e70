//! Namespaces of the kernel's interface: their flags, and links to those that exist.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::libc;
use rustix::fs::{Mode, OFlags};
use rustix::thread::LinkNameSpaceType;

use super::Step;
use super::step::{At, Done};
use crate::plan::{NamespaceKind, Plan};

impl NamespaceKind {
    /// Its `CLONE_NEW*`.
    pub(crate) fn flag(self) -> u64 {
        let flag = match self {
            Self::User => libc::CLONE_NEWUSER,
            Self::Mount => libc::CLONE_NEWNS,
            Self::Pid => libc::CLONE_NEWPID,
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::Uts => libc::CLONE_NEWUTS,
            Self::Network => libc::CLONE_NEWNET,
            Self::Cgroup => libc::CLONE_NEWCGROUP,
            Self::Time => libc::CLONE_NEWTIME,
        };
        u64::from(flag.unsigned_abs())
    }

    /// Its name for setns(2).
    pub(super) fn link(self) -> LinkNameSpaceType {
        match self {
            Self::User => LinkNameSpaceType::User,
            Self::Mount => LinkNameSpaceType::Mount,
            Self::Pid => LinkNameSpaceType::ProcessID,
            Self::Ipc => LinkNameSpaceType::InterProcessCommunication,
            Self::Uts => LinkNameSpaceType::HostNameAndNISDomainName,
            Self::Network => LinkNameSpaceType::Network,
            Self::Cgroup => LinkNameSpaceType::ControlGroup,
            Self::Time => LinkNameSpaceType::Time,
        }
    }
}

impl Plan {
    /// Those that are joined.
    pub(super) fn joined(&self) -> impl Iterator<Item = (NamespaceKind, &Path)> {
        self.namespaces
            .iter()
            .filter_map(|namespace| Some((namespace.kind, namespace.path.as_deref()?)))
    }

    /// Where one that is joined was found, for a message.
    pub(super) fn path_of(&self, kind: NamespaceKind) -> String {
        let path = self.joined().find(|(known, _)| *known == kind).map(|(_, path)| path);
        path.unwrap_or(Path::new("")).display().to_string()
    }
}

/// Opens those that are joined, by the launcher's eyes and with its rights. Joining a mount namespace changes what paths
/// mean, so that one comes last.
pub(super) fn open_joined(plan: &Plan) -> Done<Vec<(NamespaceKind, OwnedFd)>> {
    let mut all = plan
        .joined()
        .map(|(kind, path)| {
            rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map(|link| (kind, link))
                .at(Step::JoinNamespace, path.display())
        })
        .collect::<Done<Vec<_>>>()?;
    all.sort_by_key(|(kind, _)| *kind == NamespaceKind::Mount);
    Ok(all)
}
