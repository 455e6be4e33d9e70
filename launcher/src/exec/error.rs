//! Why a program was not started in a container, or not waited for.

use std::io;
use std::path::PathBuf;

use common::report::{Diagnostic, ExitCode};

use super::SubgroupError;
use crate::run::StageError;
use crate::runtime::ContainerId;
use crate::spawn::HandleError;
use crate::spec::SpecError;

/// Why a program was not started in a container, or not waited for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the variants say it themselves")]
pub enum ExecError {
    #[error(transparent)]
    Stage(StageError),
    #[error(transparent)]
    Subgroup(#[from] SubgroupError),
    /// (Callers of OCI runtimes look for the first two words.)
    #[error("container paused: `{0}`")]
    Paused(ContainerId),
    #[error("cannot look into the container")]
    Inside(#[source] io::Error),
    #[error("cannot read the process in `{}`", path.display())]
    ReadProcess { path: PathBuf, source: io::Error },
    #[error("`{}` is no process of the runtime specification", path.display())]
    Process { path: PathBuf, source: SpecError },
    #[error("cannot write the runtime specification")]
    Build(#[source] oci_spec::OciSpecError),
    #[error("a detached process with a terminal needs somebody who has its other side")]
    NoConsoleSocket,
    #[error("a console socket is of use only to a detached process with a terminal")]
    UselessConsoleSocket,
    #[error("cannot keep so many descriptors open")]
    Preserved(#[source] io::Error),
    #[error(transparent)]
    Handles(#[from] HandleError),
    #[error("cannot take over the launcher's signals")]
    Signals(#[source] io::Error),
    #[error("cannot open the program's input and output")]
    Streams(#[source] io::Error),
}

impl<E: Into<StageError>> From<E> for ExecError {
    fn from(error: E) -> Self {
        Self::Stage(error.into())
    }
}

impl ExecError {
    /// The stage's own error.
    fn stage(&self) -> Option<&dyn Diagnostic> {
        Some(match self {
            Self::Stage(error) => error,
            Self::Process { source: error, .. } => error,
            _ => return None,
        })
    }
}

impl Diagnostic for ExecError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Paused(id) => Some(format!(
                "`paddle resume {id}` lets it go on; with --ignore-paused the program starts when it does"
            )),
            Self::NoConsoleSocket => {
                Some("name its socket with --console-socket, or leave --detach out".to_owned())
            }
            Self::UselessConsoleSocket => {
                Some("add --detach and --tty, or leave it out".to_owned())
            }
            Self::Preserved(_) => Some("see --preserve-fds: they are counted from 3".to_owned()),
            _ => self.stage().and_then(Diagnostic::hint),
        }
    }

    /// 126 and 127 where the program is at fault, 255 for all else, as callers expect.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Stage(StageError::Spawn(error)) => match error.exit_code() {
                ExitCode::Launcher => ExitCode::Exec,
                code => code,
            },
            _ => ExitCode::Exec,
        }
    }
}
