//! `Report`: what a check found, and the words for it.

use common::tree::ImagePath;
use serde::Serialize;

use super::Floor;
use crate::elf::{IsaLevel, Name};
use crate::resolve::{Libc, Processor};

/// What a check found. Pure data; in an order that depends on nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Every program and module, in the order of the closure.
    pub scopes: Vec<Scoped>,
    /// What would fail.
    pub problems: Vec<Finding>,
    /// What works and a person should know.
    pub notices: Vec<Notice>,
    /// What is asked of the surroundings.
    pub floor: Floor,
}

/// One program, or one module in the scope of its program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scoped {
    /// The program or module.
    pub program: ImagePath,
    /// Whether it is a module, whose program stands before it.
    pub module: bool,
    /// Whose rules were used.
    pub libc: Libc,
    /// The processor that it is for.
    pub processor: Processor,
    /// Objects whose references were bound: of a module, those that it loads itself.
    pub objects: usize,
    /// References of relocations that were looked up.
    pub symbols: usize,
    /// What the loader said.
    pub loader: Asked,
}

/// Whether the scope's own loader was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "asked", rename_all = "kebab-case")]
pub enum Asked {
    /// It names what we name.
    Agrees {
        /// Names that were compared.
        names: usize,
    },
    /// It does not: there are problems that say where.
    Differs,
    /// It was not asked.
    No {
        /// Why.
        why: String,
    },
}

/// A problem, and the programs in which it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The problem.
    #[serde(flatten)]
    pub problem: Problem,
    /// The programs and modules, sorted. None: the object itself cannot be read.
    pub programs: Vec<ImagePath>,
}

/// Something that would fail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// An object cannot be read.
    #[error("the symbols of `{object}` cannot be read: {why}")]
    Unreadable {
        /// The object.
        object: ImagePath,
        /// Why.
        why: String,
    },
    /// A needed version is not defined by the object that the name led to.
    #[error(
        "`{object}` needs version `{version}` of `{file}`, and `{provider}` does not define it"
    )]
    Version {
        /// Who needs it.
        object: ImagePath,
        /// The name of the object that should define it.
        file: Name,
        /// The object that answers to the name.
        provider: ImagePath,
        /// The version.
        version: Name,
    },
    /// Versions are needed of an object that nobody loads; the loader stops with an assertion.
    #[error("`{object}` needs versions of `{file}`, which nothing loads")]
    NotLoaded {
        /// Who needs them.
        object: ImagePath,
        /// The name of the object.
        file: Name,
    },
    /// Nobody defines a symbol.
    #[error("`{object}` needs the symbol `{symbol}`{}, and nothing that is loaded defines it",
            of(version.as_ref()))]
    Undefined {
        /// Who needs it.
        object: ImagePath,
        /// The symbol.
        symbol: Name,
        /// The version that it must have.
        version: Option<Name>,
    },
    /// The object of the needed version does not have the symbol.
    #[error(
        "`{object}` needs the symbol `{symbol}` of version `{version}`, and `{provider}` does \
             not define it"
    )]
    NotInFile {
        /// Who needs it.
        object: ImagePath,
        /// The symbol.
        symbol: Name,
        /// Its version.
        version: Name,
        /// The object that was linked against.
        provider: ImagePath,
    },
    /// The object of the needed version has the symbol and no versions at all; the loader stops with
    /// an assertion.
    #[error(
        "`{object}` needs the symbol `{symbol}` of version `{version}`, and `{provider}` has it \
             without any version"
    )]
    Unversioned {
        /// Who needs it.
        object: ImagePath,
        /// The symbol.
        symbol: Name,
        /// Its version.
        version: Name,
        /// The object that was linked against.
        provider: ImagePath,
    },
    /// Two parts of glibc are not of one build.
    #[error("`{libc}` ({libc_build}) and `{part}` ({build}) are of different builds of glibc")]
    Builds {
        /// The C library.
        libc: ImagePath,
        /// What it says of its build, or its newest version.
        libc_build: Name,
        /// Another part.
        part: ImagePath,
        /// The same of it.
        build: Name,
    },
    /// The loader finds another file than the search, or only one of both finds any.
    #[error("the loader finds {} as `{name}`, and the search {}", place(theirs.as_ref()),
            place(ours.as_ref()))]
    Disagreement {
        /// The name that was asked for.
        name: Name,
        /// What the search found.
        ours: Option<Name>,
        /// What the loader found.
        theirs: Option<Name>,
    },
    /// The loader gives up where the search does not.
    #[error("the loader gives up: {said}")]
    GivesUp {
        /// What it said.
        said: Name,
    },
}

/// Something that works and may surprise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(tag = "notice", rename_all = "kebab-case")]
pub enum Notice {
    /// A weak version is not there.
    #[error("`{object}` would use version `{version}` of `{provider}`, which does not define it")]
    WeakVersion {
        /// Who asks.
        object: ImagePath,
        /// Who lacks it.
        provider: ImagePath,
        /// The version.
        version: Name,
    },
    /// An object was linked against versions of one that has none; the loader says so at every
    /// start.
    #[error("`{provider}` has no version information, which `{object}` asks for")]
    NoVersions {
        /// Who asks.
        object: ImagePath,
        /// Who has none.
        provider: ImagePath,
    },
    /// An object needs a newer processor than the architecture's first.
    #[error("`{object}` needs a processor of level {level}")]
    Isa {
        /// The object.
        object: ImagePath,
        /// The level.
        level: IsaLevel,
    },
    /// What an object misses whose program is not known.
    #[error("{0}; whatever program opens it would have to")]
    Stranger(Problem),
}

fn of(version: Option<&Name>) -> String {
    version.map(|version| format!(" of version `{version}`")).unwrap_or_default()
}

fn place(path: Option<&Name>) -> String {
    path.map_or_else(|| "nothing".to_owned(), |path| format!("`{path}`"))
}

impl Problem {
    /// What the person can do about symbols that nothing defines.
    pub const UNDEFINED_HINT: &'static str = "install the version of the library that defines it, or \
                                              link the object against the library that does";

    /// What the person can do.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { object, .. } => {
                format!("the file is damaged; install what ships {object} again")
            }
            Self::Version { file, version, .. } => format!(
                "take a {file} that defines {version}, or build against the one that is there"
            ),
            Self::NotLoaded { file, .. } => {
                format!("link the object against {file} again, so that it asks for it")
            }
            Self::Undefined { .. } => {
                "install the version of the library that defines it, or link \
                                       the object against the library that does"
                    .to_owned()
            }
            Self::NotInFile { provider, .. } | Self::Unversioned { provider, .. } => format!(
                "{provider} is another library of that name, or another build of it; install the \
                 one that the object was linked against"
            ),
            Self::Builds { .. } => "take all of glibc from one package".to_owned(),
            Self::Disagreement { .. } | Self::GivesUp { .. } => {
                "`coracle tree` shows where the search looked; if it is wrong, report it".to_owned()
            }
        }
    }
}

impl Report {
    /// Adds a problem of one program.
    pub(super) fn add(&mut self, problem: Problem, program: &ImagePath) {
        if let Some(known) = self.problems.iter_mut().find(|known| known.problem == problem) {
            known.programs.push(program.clone());
            known.programs.sort();
            known.programs.dedup();
            return;
        }
        let at = self.problems.partition_point(|known| known.problem < problem);
        self.problems.insert(at, Finding { problem, programs: vec![program.clone()] });
    }
}
