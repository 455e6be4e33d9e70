//! Why there is no plan.

use common::accounts::AccountError;
use common::report::{Diagnostic, ExitCode};
use common::tree::{ImagePath, PathError};

use crate::elf::Name;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Two different things for one path.
    #[error("two different things would stand at `{path}`: {one}, and {other}")]
    Conflict {
        /// The path.
        path: ImagePath,
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// Two programs from outside the system folders have the same name.
    #[error("`{one}` and `{other}` would both become `{to}`")]
    SameName {
        /// Where both would go.
        to: ImagePath,
        /// One program.
        one: ImagePath,
        /// The other.
        other: ImagePath,
    },
    /// Something would stand below what is no folder.
    #[error("`{path}` cannot be below `{file}`, which is not a folder")]
    NotFolder {
        /// What was to be placed.
        path: ImagePath,
        /// What is in the way.
        file: ImagePath,
    },
    /// A pattern leaves out what a program needs.
    #[error("`{path}` cannot be left out by `{pattern}`: {because}")]
    Excluded {
        /// The path.
        path: ImagePath,
        /// The pattern.
        pattern: String,
        /// Who needs it.
        because: String,
    },
    /// A `files` table matches nothing.
    #[error("`{0}` of the recipe matches no file")]
    NoMatch(String),
    /// A `files` table matches several, and its destination is one.
    #[error(
        "`{source_text}` of the recipe matches {count} files, and `{destination}` is one place"
    )]
    ManyMatches {
        /// The source as written.
        source_text: String,
        /// How many.
        count: usize,
        /// The destination.
        destination: ImagePath,
    },
    /// A path that was put together is none.
    #[error("`{of}` cannot be placed")]
    Path {
        /// What was to be placed.
        of: ImagePath,
        /// What is wrong.
        source: PathError,
    },
    /// The user or group to run as is unknown.
    #[error(transparent)]
    NoUser(#[from] AccountError),
    /// The configuration of an image is text, and this path is none.
    #[error("`{0}` is not UTF-8, which an image's configuration must be")]
    NotText(ImagePath),
    /// musl finds libraries in three folders or by a path file, and this one would be in neither.
    #[error("`{path}` was found by the library path, and musl would not find it in the image")]
    MuslLibraryPath {
        /// The library.
        path: Name,
    },
    /// Programs of several architectures.
    #[error("`{one}` is for {one_machine}, and `{other}` is for {other_machine}")]
    Architectures {
        /// A program.
        one: ImagePath,
        /// What it is for.
        one_machine: String,
        /// Another.
        other: ImagePath,
        /// What that is for.
        other_machine: String,
    },
    /// OCI has no name for this architecture.
    #[error("`{path}` is for {machine}, for which images have no name")]
    Machine {
        /// The program.
        path: ImagePath,
        /// What it is for.
        machine: String,
    },
}

impl Diagnostic for PlanError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Conflict { .. } => "give one of them another destination, or leave it out",
            Self::SameName { .. } => "rename one, or pack them as two images",
            Self::NoUser(_) => "use a number: `user = \"1000:1000\"`",
            Self::Excluded { .. } => {
                "patterns are for files that rules and recipes bring; make the pattern narrower, or \
                 leave out what needs the file as well"
            }
            Self::ManyMatches { .. } => "end the destination with `/` to mean a folder",
            Self::NoMatch(_) => {
                "relative sources start at the recipe's folder, absolute ones at the root"
            }
            Self::Architectures { .. } => "an image is for one architecture; build one for each",
            Self::MuslLibraryPath { .. } => {
                "put it into /lib, /usr/local/lib or /usr/lib of the root, or link with an rpath"
            }
            Self::NotText(_) => "give it a destination that is UTF-8",
            Self::NotFolder { .. } | Self::Path { .. } | Self::Machine { .. } => return None,
        };
        Some(text.to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Failed
    }
}
