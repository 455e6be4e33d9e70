//! What can go wrong between a bundle and the end of its container.

use std::io;

use common::report::{Diagnostic, ExitCode};

use crate::checkpoint::CheckpointError;
use crate::run::{RunError, StageError};
use crate::runtime::ContainerId;
use crate::spawn::HandleError;

/// A failed step. Says what its stage says.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the first two variants are stages")]
pub enum LifecycleError {
    #[error(transparent)]
    Stage(StageError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Making the container's resources.
    #[error(transparent)]
    Run(#[from] RunError),
    /// `start` of what was started before, or has ended.
    #[error("cannot start container `{id}`: it is {status}, not created")]
    NotCreated { id: ContainerId, status: &'static str },
    /// `start` of a container whose bundle has none.
    #[error("cannot start container `{0}`: its configuration has no process")]
    NoProcess(ContainerId),
    /// A terminal whose controlling side nobody takes.
    #[error("the process wants a terminal, and there is no --console-socket to send it to")]
    NoConsoleSocket,
    /// A console socket for a process without a terminal.
    #[error("--console-socket is given, and the process wants no terminal")]
    NoTerminal,
    /// The caller's sockets and file.
    #[error(transparent)]
    Handles(#[from] HandleError),
    /// More descriptors are to be preserved than a process may have.
    #[error("cannot preserve so many descriptors")]
    Preserve { source: io::Error },
    /// A signal cannot be sent.
    #[error("cannot send a signal to container `{id}`")]
    Signal { id: ContainerId, source: io::Error },
    /// The bundle's root is not there.
    #[error("cannot look at the bundle's root")]
    Root(#[source] io::Error),
    /// The container's first process has gone while it was looked at.
    #[error("cannot identify the container's first process in /proc")]
    Identity(#[source] io::Error),
    /// The caller's signals or streams.
    #[error("cannot take over the launcher's signals and streams")]
    Streams(#[source] io::Error),
}

impl<E: Into<StageError>> From<E> for LifecycleError {
    fn from(error: E) -> Self {
        Self::Stage(error.into())
    }
}

impl LifecycleError {
    /// The stage's own error.
    fn stage(&self) -> Option<&dyn Diagnostic> {
        Some(match self {
            Self::Stage(error) => error,
            Self::Checkpoint(error) => error,
            Self::Run(error) => error,
            _ => return None,
        })
    }
}

impl Diagnostic for LifecycleError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Preserve { .. } => {
                Some("descriptors are counted from 3 on; LISTEN_FDS adds to --preserve-fds".into())
            }
            Self::NotCreated { id, status: "stopped" } => {
                Some(format!("`paddle delete {id}` makes room for a new one"))
            }
            _ => self.stage().and_then(Diagnostic::hint),
        }
    }

    fn exit_code(&self) -> ExitCode {
        self.stage().map_or(ExitCode::Failed, Diagnostic::exit_code)
    }
}
