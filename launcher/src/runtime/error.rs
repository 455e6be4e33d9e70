//! What can go wrong with the state on disk.

use std::io;
use std::path::PathBuf;

use common::report::Diagnostic;

use super::ContainerId;
use crate::store::StoreError;

/// A failed action on the state of containers.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A file operation failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// "read", "create" ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The folder of all states can be changed by others.
    #[error("refusing to keep state in `{}`: {why}", path.display())]
    Untrusted {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The name is taken. (Callers of OCI runtimes look for exactly these words.)
    #[error("container with given ID already exists: `{0}`")]
    Exists(ContainerId),
    /// There is no such container.
    #[error("container `{0}` does not exist")]
    Missing(ContainerId),
    /// A container that lives was to be removed.
    #[error("container `{id}` is {status}")]
    Running {
        /// Which.
        id: ContainerId,
        /// Created, or running.
        status: &'static str,
    },
    /// Somebody else is at the container.
    #[error("container `{id}` is {status}, and another command looks after it")]
    Held {
        /// Which.
        id: ContainerId,
        /// Where it is in its life.
        status: &'static str,
    },
    /// The container has no process. (Callers of OCI runtimes look for exactly these words.)
    #[error("container not running: `{id}` is {status}")]
    NotRunning {
        /// Which.
        id: ContainerId,
        /// Where it is in its life.
        status: &'static str,
    },
    /// A container did not end though it was killed.
    #[error("container `{0}` was killed but does not end")]
    Unkillable(ContainerId),
    /// `state.json` is not one of ours.
    #[error("`{}` is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// The store cannot be looked through.
    #[error(transparent)]
    Store(StoreError),
    /// What a dead container left cannot be removed.
    #[error("cannot clean up after container `{id}`")]
    CleanUp {
        /// Whose remains.
        id: ContainerId,
        /// What failed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RuntimeError {
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(rustix::io::Errno) -> Self {
        let path = path.into();
        move |errno| Self::Io { action, path, source: errno.into() }
    }
}

impl Diagnostic for RuntimeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(format!(
                    "choose a folder of your own with --root, or set XDG_RUNTIME_DIR (`{}` is \
                     another user's)",
                    path.display()
                ))
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("set XDG_RUNTIME_DIR, or choose an existing folder with --root".to_owned())
            }
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some(format!("free some space below `{}`, or move it with --root", path.display()))
            }
            Self::Store(error) => error.hint(),
            Self::Io { .. }
            | Self::CleanUp { .. }
            | Self::Held { .. }
            | Self::NotRunning { .. } => None,
            Self::Untrusted { .. } => {
                Some("choose another folder with --root, or make it yours alone (0700)".to_owned())
            }
            Self::Exists(id) => {
                Some(format!("choose another --name, or remove it with `paddle rm -f {id}`"))
            }
            Self::Missing(_) => Some("`paddle ps -a` lists all containers".to_owned()),
            Self::Running { id, .. } => Some(format!("`paddle rm -f {id}` kills and removes it")),
            Self::Unkillable(id) => Some(format!(
                "a process of it hangs in the kernel (a dead network mount?); try `paddle rm -f \
                 {id}` again later"
            )),
            Self::Damaged { path, .. } => {
                let folder = path.parent().unwrap_or(path);
                Some(format!("if nothing of it runs any more, remove `{}`", folder.display()))
            }
        }
    }
}
