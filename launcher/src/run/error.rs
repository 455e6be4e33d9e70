//! What can go wrong between a typed image name and the end of its program.

use std::io;

use common::report::{Diagnostic, ExitCode};

use super::StageError;
use crate::store::StoreError;
use crate::supervise::SignalError;

/// A failed stage. Says what the stage says.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the first two variants are stages; the others say it themselves")]
pub enum RunError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stage(StageError),
    #[error("`{label}` is a file system, which the kernel itself would have to read")]
    Erofs { label: String },
    #[error("the image's stop signal is unusable")]
    StopSignal(#[source] SignalError),
    #[error("cannot take over the launcher's signals")]
    Signals(#[source] io::Error),
    #[error("cannot open the program's input and output")]
    Streams(#[source] io::Error),
    #[error("cannot mark the container's writable layer as used")]
    Private(#[source] io::Error),
    #[error("cannot identify the container's first process in /proc")]
    Identity(#[source] io::Error),
}

impl<E: Into<StageError>> From<E> for RunError {
    fn from(error: E) -> Self {
        Self::Stage(error.into())
    }
}

impl RunError {
    /// The stage's own error.
    fn stage(&self) -> Option<&dyn Diagnostic> {
        Some(match self {
            Self::Stage(error) => error,
            Self::Store(error) => error,
            Self::Erofs { .. }
            | Self::StopSignal(_)
            | Self::Signals(_)
            | Self::Streams(_)
            | Self::Private(_)
            | Self::Identity(_) => return None,
        })
    }
}

impl Diagnostic for RunError {
    fn hint(&self) -> Option<String> {
        if matches!(self, Self::Erofs { .. }) {
            return Some(
                "a file system that was made to, can attack the kernel: `--allow-erofs` if you trust \
                 its maker, else have the image as an archive"
                    .to_owned(),
            );
        }
        self.stage().and_then(Diagnostic::hint)
    }

    /// 126 and 127 where the program is at fault, 125 for all else.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Stage(StageError::Spawn(error)) => error.exit_code(),
            _ => ExitCode::Launcher,
        }
    }
}
