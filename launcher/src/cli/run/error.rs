//! What is wrong with the options of `paddle run` beyond what clap sees.

use std::io;
use std::path::PathBuf;

use common::report::{Diagnostic, ExitCode};

use crate::spec::ParseError;

/// An option whose value turns out wrong only after parsing.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    #[error("`run` has no option `{0}`")]
    UnknownOption(String),
    #[error("the argument `{0}` is not UTF-8, which the runtime specification cannot hold")]
    NotText(String),
    #[error("cannot read the variables in `{}`", path.display())]
    EnvFile { path: PathBuf, source: io::Error },
    #[error("`{}` holds a line that is no variable", path.display())]
    EnvLine { path: PathBuf, source: ParseError },
    #[error(transparent)]
    Id(crate::runtime::IdError),
    #[error("`{0}` stands behind the container's id")]
    AfterId(String),
    #[error("`{0}` is for images, and a bundle is to be run")]
    ImageOption(String),
    #[error("no bundle is named, and there is no `{}` in this folder", file.display())]
    NoBundle { file: PathBuf },
    #[error("cannot draw a random name")]
    Random(#[source] io::Error),
}

impl Diagnostic for UsageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownOption(_) => {
                Some("options stand before the image; `paddle run --help` lists them".to_owned())
            }
            Self::NotText(_) | Self::Random(_) | Self::Id(_) => None,
            Self::AfterId(_) => Some(
                "options stand before the id; the program is in the bundle's config.json"
                    .to_owned(),
            ),
            Self::ImageOption(_) => Some(
                "what it would say is in the bundle's configuration; `paddle run --help` lists both kinds"
                    .to_owned(),
            ),
            Self::NoBundle { .. } => Some(
                "--bundle names one; a container of an image is waited for, and has no files that tell of it".to_owned(),
            ),
            Self::EnvFile { .. } | Self::EnvLine { .. } => {
                Some("it holds one NAME=VALUE, or NAME of the caller's, in each line".to_owned())
            }
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Random(_) => ExitCode::Launcher,
            _ => ExitCode::Usage,
        }
    }
}
