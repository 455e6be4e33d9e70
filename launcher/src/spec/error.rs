//! Why an image's configuration and the options do not make a container.

use common::accounts::AccountError;
use common::escape::Escaped;
use common::report::{Diagnostic, ExitCode};

/// Why an image's configuration and the options do not make a container.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Neither the image nor the person names a program.
    #[error("the image names no program to run")]
    NoProgram,
    /// A value holds a NUL byte, which no argument, variable or path can.
    #[error("{what} `{}` has a NUL byte in it", Escaped(.value.as_bytes()))]
    Nul {
        /// `argument`, `environment variable` ...
        what: &'static str,
        /// The value.
        value: String,
    },
    /// The image's `User` is neither a name nor a number that fits.
    #[error("the image's user `{}` is none: USER or USER:GROUP, each a name or a number below 4294967295", Escaped(.0.as_bytes()))]
    User(String),
    /// The image has no such user or group.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A file of the image cannot be read.
    #[error("cannot read the image's `{file}`")]
    Read {
        /// Which.
        file: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of the image is larger than anything sensible (R11: every buffer that an image fills is bounded).
    #[error("the image's `{file}` is larger than {limit} bytes")]
    TooLarge {
        /// Which.
        file: &'static str,
        /// The bound.
        limit: u64,
    },
    /// The image's `WorkingDir` is no path.
    #[error("the image's working directory is unusable")]
    WorkDir(#[source] common::tree::PathError),
    /// Two volumes or tmpfs at one place.
    #[error("two mounts have the destination `{0}`")]
    DuplicateMount(common::tree::ImagePath),
    /// The specification's types refuse what was made of it.
    #[error("cannot write the runtime specification")]
    Build(#[source] oci_spec::OciSpecError),
    /// A file of a bundle cannot be read.
    #[error("cannot read the bundle's `{}`", path.display())]
    Bundle {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A configuration that is no JSON, or not the specification's.
    #[error("the configuration is not what the specification says: {0}")]
    Json(#[source] serde_json::Error),
    /// A version of the specification that is none, or not 1.x.
    #[error("the configuration's version `{}` is none of 1.x", Escaped(.0.as_bytes()))]
    Version(String),
    /// Something of another platform.
    #[error("the configuration has a section `{0}`, which is another platform's")]
    Platform(&'static str),
    /// No root.
    #[error("the configuration has no root")]
    NoRoot,
    /// No arguments.
    #[error("the configuration names no program to run")]
    NoArguments,
    /// A working directory that is none.
    #[error("the working directory `{}` is not absolute", .0.display())]
    Cwd(std::path::PathBuf),
    /// One limit twice.
    #[error("the limit `{0}` is given twice")]
    DuplicateLimit(&'static str),
}

impl Diagnostic for SpecError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoProgram => {
                "name one after the image: paddle run IMAGE PROGRAM [ARGS]".to_owned()
            }
            Self::Account(AccountError::UnknownUser(_) | AccountError::UnknownGroup(_)) => {
                "numbers need no entry in the image: --user 1000:1000".to_owned()
            }
            Self::User(_) | Self::Account(_) => "name another: --user 1000:1000".to_owned(),
            Self::WorkDir(_) => "name another: --workdir /".to_owned(),
            _ => return None,
        })
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Launcher
    }
}
