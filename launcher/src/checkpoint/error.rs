//! Why a container was not written, or not made again.

use std::io;
use std::path::PathBuf;

use common::report::Diagnostic;

use crate::lifecycle::LifecycleError;
use crate::runtime::{ContainerId, RuntimeError};

/// Why a container was not written, or not made again.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CheckpointError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("container `{0}` cannot be written: its program was not started")]
    NotRunning(ContainerId),
    #[error("container `{0}` is of an image; only a bundle's can be written")]
    Image(ContainerId),
    #[error("a process with a terminal cannot be written or made again")]
    Terminal,
    #[error("cannot look at the container's mounts and descriptors")]
    Inside(#[source] io::Error),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot look at the namespace `{}`", path.display())]
    Namespace { path: PathBuf, source: io::Error },
    #[error("criu cannot put processes into a {0} namespace that exists")]
    Joined(String),
    #[error("`{}` is no folder relative to the images", .0.display())]
    Parent(PathBuf),
    #[error("criu is not installed")]
    NoCriu,
    #[error("cannot run criu")]
    Start(#[source] io::Error),
    #[error("criu failed\n{}", said.join("\n"))]
    Criu { log: PathBuf, said: Vec<String> },
    #[error("cannot prepare the root `{}` for criu", path.display())]
    Root { path: PathBuf, source: io::Error },
    #[error("the container is written, but not cleared away")]
    Delete(#[source] Box<LifecycleError>),
}

impl Diagnostic for CheckpointError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Runtime(error) => error.hint(),
            Self::NoCriu => {
                Some("install criu 3.17 or newer, and see that it is on PATH".to_owned())
            }
            Self::Criu { log, .. } => Some(format!("`{}` has all that it says", log.display())),
            Self::Terminal => Some("set process.terminal to false in config.json".to_owned()),
            Self::Image(_) => Some("see `paddle create` for containers of bundles".to_owned()),
            Self::Parent(_) => Some("--parent-path is one such as ../earlier".to_owned()),
            Self::Delete(error) => error.hint(),
            _ => None,
        }
    }
}
