//! What can go wrong with cgroups, and what a person can do about it.

use std::io;
use std::path::PathBuf;

use common::report::{Diagnostic, ExitCode};

use super::systemd::ManagerError;
use super::{Limit, hint};
use crate::host::{Controller, HostError, Version};

/// Why the groups cannot be planned, made, used or removed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The host's layout cannot be found.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A limit needs a controller that cannot be had.
    #[error("cannot keep the {limit}: the cgroup controller `{controller}` {why}")]
    NoController {
        /// What was asked for.
        limit: Limit,
        /// What it needs.
        controller: Controller,
        /// Why it cannot be had.
        why: Unavailable,
    },
    /// The interface on this host has nothing like that limit.
    #[error("cannot keep the {limit}: cgroup {} has no such limit", match version { Version::V1 => "v1", Version::V2 => "v2" })]
    NoEquivalent {
        /// What was asked for.
        limit: Limit,
        /// The interface.
        version: Version,
    },
    /// A value that no kernel would take.
    #[error("the {limit} `{value}` {why}")]
    Value {
        /// What was asked for.
        limit: Limit,
        /// The value.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A path that is no group's.
    #[error("the cgroup path `{}` names no group", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The group is there already.
    #[error("the cgroup `{}` exists already", path.display())]
    Exists {
        /// Its folder.
        path: PathBuf,
    },
    /// The group is there, and somebody lives in it.
    #[error("the cgroup `{}` is not empty: {count} {} in it", path.display(), if *count == 1 { "process is" } else { "processes are" })]
    Occupied {
        /// Its folder.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// The group is there, and what would join it could not run.
    #[error("the cgroup `{}` is frozen", path.display())]
    Frozen {
        /// Its folder.
        path: PathBuf,
    },
    /// A limit, and no groups to keep it.
    #[error("cannot keep the {limit}: cgroups are disabled (--cgroup-manager disabled)")]
    Disabled {
        /// What was asked for.
        limit: Limit,
    },
    /// A limit that would kill at once.
    #[error("the {limit} of {value} bytes is not above what the container uses, {used} bytes")]
    InUse {
        /// What was asked for.
        limit: Limit,
        /// The value.
        value: i64,
        /// What is used now.
        used: i64,
    },
    /// Controllers of whole processes in a subtree of threads.
    #[error("cannot enable `{controllers}` in the cgroup `{}`, whose type is `{kind}`", path.display())]
    Threaded {
        /// The folder whose children need them.
        path: PathBuf,
        /// What was written.
        controllers: String,
        /// What `cgroup.type` says.
        kind: String,
    },
    /// A path for the systemd driver in another form than it needs.
    #[error("the cgroup path `{}` is no scope for systemd", path.display())]
    SystemdPath {
        /// The path.
        path: PathBuf,
    },
    /// An annotation that asks for a property in a way that means nothing.
    #[error("the annotation `{annotation}` is no property of systemd")]
    Annotation {
        /// Key and value.
        annotation: String,
    },
    /// A user's systemd manages nothing on this host.
    #[error("a user's systemd has no control groups on a host with cgroup v1")]
    UserScope,
    /// systemd does not do what it is asked.
    #[error("the scope `{unit}` cannot {what}")]
    Systemd {
        /// What was asked.
        what: &'static str,
        /// The scope.
        unit: String,
        /// What went wrong.
        source: ManagerError,
    },
    /// systemd put the scope somewhere else than its slice says.
    #[error("systemd put the scope `{unit}` at `{}`, not at `{}`", path.display(), expected.display())]
    Elsewhere {
        /// The scope.
        unit: String,
        /// Where it is.
        path: PathBuf,
        /// Where it was expected.
        expected: PathBuf,
    },
    /// Running out of memory cannot be watched without the controller.
    #[error("the container has no memory cgroup")]
    NoMemory,
    /// A folder cannot be made.
    #[error("cannot make the cgroup `{}`", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Controllers cannot be enabled for children.
    #[error("cannot enable `{controllers}` in the cgroup `{}`", path.display())]
    Enable {
        /// The folder whose children need them.
        path: PathBuf,
        /// What was written.
        controllers: String,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel has none of the files of a limit.
    #[error("cannot keep the {limit}: this kernel has no `{}`", path.display())]
    Missing {
        /// What was asked for.
        limit: Limit,
        /// The file that is not there.
        path: PathBuf,
    },
    /// The kernel refuses a value.
    #[error("cannot set the {limit}: writing `{value}` to `{}` failed", path.display())]
    Write {
        /// What was asked for.
        limit: Limit,
        /// The file.
        path: PathBuf,
        /// The value.
        value: String,
        /// What the system said.
        source: io::Error,
    },
    /// The device program cannot be loaded or attached.
    #[error("cannot load the device rules of the cgroup `{}`", path.display())]
    Devices {
        /// The group.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A device rule that says nothing.
    #[error("the device rule `{rule}` {why}")]
    DeviceRule {
        /// The rule as it was read.
        rule: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file of the group cannot be read or written in passing.
    #[error("cannot use `{}`", path.display())]
    Access {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the group does not say what it should.
    #[error("`{}` cannot be understood", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
    },
    /// A process in the group cannot be killed.
    #[error("cannot kill process {pid} of the cgroup `{}`", path.display())]
    Kill {
        /// The process.
        pid: u32,
        /// The group.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The group does not reach the state within its time.
    #[error("the cgroup `{}` is not {state} after {seconds} seconds", path.display())]
    Timeout {
        /// The group.
        path: PathBuf,
        /// `empty`, `frozen`, `thawed`, `killed`.
        state: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// Freezing was asked of groups without a freezer.
    #[error("the container has no freezer cgroup")]
    NoFreezer,
}

/// Why a controller cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// No mounted hierarchy has it.
    NotMounted,
    /// Its hierarchy has no group that we may write.
    NotDelegated {
        /// Our own group.
        own: PathBuf,
    },
    /// The group that we may write does not have it for its children.
    NotEnabled {
        /// That group.
        group: PathBuf,
    },
    /// The container's groups do not have it, and cannot get it now.
    NotJoined,
    /// The group has it, but processes live in the group itself.
    Occupied {
        /// That group.
        group: PathBuf,
    },
}

impl std::fmt::Display for Unavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotMounted => f.write_str("is not mounted"),
            Self::NotDelegated { own } => {
                write!(f, "is not delegated to this user (own group `{}`)", own.display())
            }
            Self::NotEnabled { group } => {
                write!(f, "is not delegated to the group `{}`", group.display())
            }
            Self::NotJoined => f.write_str("is not among those of the container"),
            Self::Occupied { group } => write!(
                f,
                "cannot be enabled in the group `{}`, in which processes live",
                group.display()
            ),
        }
    }
}

impl Diagnostic for CgroupError {
    fn hint(&self) -> Option<String> {
        hint::of(self)
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Launcher
    }
}
