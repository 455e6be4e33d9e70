//! What `IMAGE|EXE` on a command line means: an image, or an executable that no image is needed for.
//!
//! ```text
//! --sysroot given                    executable (a path or name inside that root)
//! curl, curl:8   in the store        image
//! /x  ./x  x/y   a folder            image (an OCI layout)
//!                ELF or `#!` file    executable
//!                any other file      image (an OCI archive)
//! curl           in this folder, and an OCI layout or a tar file: image
//!                on PATH             executable
//! ```
//! A path is never a name of the store, a name without a slash never a program of the working folder. So
//! a person who means the program and has an image of its name says its path.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use common::escape::Escaped;
use common::report::{Diagnostic, ExitCode};

use crate::image::ImageError;
use crate::image::read::{self, Opened};
use crate::resolve::Sysroot;
use crate::spec::DEFAULT_PATH;

/// What was named.
#[derive(Debug)]
pub(super) enum Subject {
    /// An image, opened.
    Image(Box<Opened>),
    /// An executable; the resolver takes the name as it was typed.
    Executable,
}

/// Why a name means nothing.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// There is nothing of that name.
    #[error("there is neither an image nor a program `{what}`")]
    Nothing {
        /// The name, escaped.
        what: String,
    },
    /// A file that looks like neither.
    #[error("`{what}` is neither a program nor an image")]
    Neither {
        /// The name, escaped.
        what: String,
    },
    /// The image cannot be opened.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Diagnostic for SubjectError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Nothing { .. } => Some(
                "`coracle images` lists what is in the store; a program is found on PATH, or named \
                 by its path"
                    .to_owned(),
            ),
            Self::Neither { .. } => Some(
                "a program is an ELF file or a script with a `#!` line, an image an OCI archive or \
                 folder"
                    .to_owned(),
            ),
            Self::Image(error) => error.hint(),
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Image(error) => error.exit_code(),
            Self::Nothing { .. } | Self::Neither { .. } => ExitCode::Failed,
        }
    }
}

/// Decides what `what` is. `store` is the folder of the store, where there is a place for one;
/// `sysroot` what `--sysroot` says.
pub(super) fn subject(
    what: &OsStr,
    store: Option<&Path>,
    sysroot: Option<&Path>,
) -> Result<Subject, SubjectError> {
    if sysroot.is_some() {
        return Ok(Subject::Executable);
    }
    let image = |opened| Ok(Subject::Image(Box::new(opened)));
    if let Some(opened) = what.to_str().map_or(Ok(None), |name| read::named(name, store))? {
        return image(opened);
    }
    let path = Path::new(what);
    if what.as_bytes().contains(&b'/') {
        return match start(path) {
            Start::Nothing => Err(SubjectError::Nothing { what: shown(what) }),
            Start::Executable => Ok(Subject::Executable),
            Start::Folder | Start::Tar => image(read::at(path)?),
            Start::Other => match read::at(path) {
                Ok(opened) => image(opened),
                // A compressed archive, say: then there is something to be done.
                Err(error) if error.hint().is_some() => Err(error.into()),
                Err(_) => Err(SubjectError::Neither { what: shown(what) }),
            },
        };
    }
    match start(path) {
        Start::Folder if path.join("oci-layout").is_file() => image(read::at(path)?),
        Start::Tar => image(read::at(path)?),
        _ if on_path(what) => Ok(Subject::Executable),
        _ => Err(SubjectError::Nothing { what: shown(what) }),
    }
}

/// What the first bytes of a file say.
enum Start {
    Nothing,
    Folder,
    Executable,
    Tar,
    Other,
}

/// Where the magic of a tar header stands (`ustar`, POSIX pax, "ustar Header Block").
const TAR_MAGIC: usize = 257;

fn start(path: &Path) -> Start {
    let Ok(status) = path.metadata() else { return Start::Nothing };
    if status.is_dir() {
        return Start::Folder;
    }
    // A pipe is not opened: that would wait for a writer.
    if !status.is_file() {
        return Start::Other;
    }
    let mut bytes = [0; TAR_MAGIC + 5];
    let known = File::open(path).and_then(|file| file.read_at(&mut bytes, 0)).unwrap_or(0);
    let bytes = &bytes[..known];
    if bytes.starts_with(b"\x7fELF") || bytes.starts_with(b"#!") {
        Start::Executable
    } else if bytes.ends_with(b"ustar") && known == TAR_MAGIC + 5 {
        Start::Tar
    } else {
        Start::Other
    }
}

/// Whether a name stands in a folder of PATH, as the resolver will look for it.
fn on_path(name: &OsStr) -> bool {
    let path = std::env::var_os("PATH");
    let path = path.as_ref().map_or(DEFAULT_PATH.as_bytes(), |path| path.as_bytes());
    Sysroot::open(Path::new("/")).is_ok_and(|root| root.locate(name.as_bytes(), path).is_ok())
}

fn shown(what: &OsStr) -> String {
    Escaped(what.as_bytes()).to_string()
}
