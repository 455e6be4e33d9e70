//! `Closure`: what would be loaded, from where, and why. Pure data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use common::tree::ImagePath;
use serde::Serialize;

use crate::elf::{Name, Object};

/// The closure of all requests. Files that an image needs: every `files()` path, plus `links` (each
/// before anything below it).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Closure {
    /// Every distinct object (by device and inode), in the order of first load.
    pub objects: Vec<Found>,
    /// Scripts, by real path.
    pub scripts: Vec<ImagePath>,
    /// One scope per request (a script has one per program it starts), in order of the requests.
    pub programs: Vec<Program>,
    /// Every symbolic link that lies on the way to a file, folder links included, by its path.
    pub links: BTreeMap<ImagePath, Link>,
    /// Folders that must exist although nothing of the closure lies in them (`X/../lib` needs `X`).
    pub folders: Vec<ImagePath>,
    /// Other files that the loader reads: `/etc/ld.so.preload`, musl's path file.
    pub configuration: Vec<ImagePath>,
    /// What no place had.
    pub missing: Vec<Missing>,
    /// What was found and cannot be loaded.
    pub refused: Vec<Refused>,
    /// What works here and may surprise.
    pub warnings: Vec<Warning>,
}

impl Closure {
    /// Real paths of all files: objects, scripts, configuration. Sorted, each once.
    pub fn files(&self) -> Vec<&ImagePath> {
        let mut files: Vec<_> = self
            .objects
            .iter()
            .map(|found| &found.path)
            .chain(&self.scripts)
            .chain(&self.configuration)
            .collect();
        files.sort();
        files.dedup();
        files
    }

    /// System directories of all loaders, each once.
    pub fn system_folders(&self) -> Vec<Name> {
        let mut all: Vec<Name> = Vec::new();
        for folder in self.programs.iter().flat_map(|program| &program.system_folders) {
            if !all.contains(folder) {
                all.push(folder.clone());
            }
        }
        all
    }

    /// Every path that has to exist: the files, and the links that lead to them. Sorted, so that a
    /// link stands before what lies below it.
    pub fn paths(&self) -> BTreeSet<&ImagePath> {
        self.files().into_iter().chain(self.links.keys()).collect()
    }

    /// Whether nothing is missing and nothing was refused.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.refused.is_empty()
    }
}

/// A link as it stands in the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What it says, byte for byte.
    pub target: Name,
}

/// An object that was opened.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// Its path with all links resolved inside the root.
    pub path: ImagePath,
    /// What its headers say.
    pub object: Object,
}

/// One program, or one module in the context of its program, as the loader sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Program {
    /// Path as requested.
    pub path: ImagePath,
    /// How it came to be resolved.
    pub origin: Origin,
    /// Whose rules were used.
    pub libc: Libc,
    /// The directories that are compiled into its loader: found there, a library needs no cache.
    pub system_folders: Vec<Name>,
    /// For a module or library: the index in [`Closure::programs`] of the program that opens it.
    pub context: Option<usize>,
    /// What is loaded, in load order. Of a program, the first is itself. Of a module, the loads of
    /// its program come first (they are not repeated here): a load number below
    /// `first` is one of the program's.
    pub loads: Vec<Load>,
    /// Number of the first load: 0 for a program, for a module the length of its program's `loads`.
    pub first: usize,
}

/// How a program came to be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// It was requested.
    Request {
        /// Index in the slice of requests.
        index: usize,
    },
    /// The `#!` line of a script names it.
    Shebang {
        /// The script.
        script: ImagePath,
    },
    /// The `#!` line of a script gives its name to `env`.
    Env {
        /// The script.
        script: ImagePath,
    },
}

/// Whose search rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Libc {
    /// The GNU C library.
    Glibc,
    /// musl.
    Musl,
    /// No loader at all: a static program.
    Static,
}

/// An object's first load in a scope.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// Index in [`Closure::objects`].
    pub object: usize,
    /// The name under which it was asked for first.
    pub name: Name,
    /// The path by which it was opened, links and `..` unresolved.
    pub opened: Name,
    /// Why it was asked for.
    pub relation: Relation,
    /// Number of the load that asked first; `None` for the program itself and what comes from outside.
    pub by: Option<usize>,
    /// How it was found.
    pub how: How,
    /// What was tried before it was found.
    pub tried: Vec<Attempt>,
    /// What it asks for itself, in order.
    pub dependencies: Vec<Dependency>,
}

/// One thing that an object asks for.
#[derive(Debug, Clone, Serialize)]
pub struct Dependency {
    /// The name as it stands in the object.
    pub name: Name,
    /// Why it asks.
    pub relation: Relation,
    /// Number of the load that answers; `None`: missing or refused.
    pub load: Option<usize>,
    /// Whether that load had happened before this was asked (soname table, or same file).
    pub already: bool,
}

/// Why an object is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is what was requested.
    Program,
    /// It is opened at run time, by path or by name.
    Module,
    /// `PT_INTERP`.
    Interpreter,
    /// `/etc/ld.so.preload`, or an explicit preload.
    Preload,
    /// `DT_NEEDED`.
    Needed,
    /// `DT_AUXILIARY`; may be missing.
    Auxiliary,
    /// `DT_FILTER`.
    Filter,
    /// `DT_AUDIT` or `DT_DEPAUDIT`.
    Audit,
}

/// How an object was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// By its path: a request, an interpreter, or a name with a slash.
    Path,
    /// `DT_RPATH` of an object: the requester, or one up its chain of loaders.
    Rpath {
        /// Path by which the object with the tag was opened.
        of: Name,
        /// The folder, expanded.
        folder: Name,
    },
    /// The given library path.
    LibraryPath {
        /// The folder, expanded.
        folder: Name,
    },
    /// `DT_RUNPATH` of the requester (with musl: of it or one up its chain).
    Runpath {
        /// Path by which the object with the tag was opened.
        of: Name,
        /// The folder, expanded.
        folder: Name,
    },
    /// `/etc/ld.so.cache`.
    Cache,
    /// A folder of musl's path file.
    PathFile {
        /// The folder.
        folder: Name,
    },
    /// A folder that is compiled into the loader.
    SystemFolder {
        /// The folder.
        folder: Name,
    },
}

/// A place that was tried and not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The path.
    pub path: Name,
    /// Why it was looked at.
    pub how: How,
    /// Why it was not taken.
    pub reason: Reason,
}

/// Why a place was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Nothing of that name.
    #[error("no such file")]
    Absent,
    /// A link that leads nowhere.
    #[error("a dangling link")]
    Dangling,
    /// No right to read it.
    #[error("not readable")]
    Denied,
    /// Part of the path is a file.
    #[error("part of the path is not a folder")]
    NotFolder,
    /// Links that lead to themselves; the rest of this list of folders is not searched.
    #[error("a loop of links")]
    Loop,
    /// An object of another class; the loader goes on.
    #[error("an object for another word size")]
    OtherClass,
    /// An object for another machine; the loader goes on.
    #[error("an object for another machine")]
    OtherMachine,
    /// In a system directory, which the requester forbids (`DF_1_NODEFLIB`).
    #[error("the requester refuses system directories")]
    NoDefault,
    /// A token has no value, or is not allowed here.
    #[error("its tokens have no value")]
    Token,
    /// Relative to whatever folder the program is started in.
    #[error("relative to the working directory")]
    Relative,
    /// Another error number.
    #[error("error {0}")]
    Errno(i32),
}

/// A name that no place had.
#[derive(Debug, Clone, Serialize)]
pub struct Missing {
    /// The name.
    pub name: Name,
    /// Real path of the object that needs it; `None` when it was asked for from outside.
    pub needed_by: Option<ImagePath>,
    /// Why it is asked for.
    pub relation: Relation,
    /// Path of the program in whose scope it is missing.
    pub program: ImagePath,
    /// Every place tried, in order.
    pub tried: Vec<Attempt>,
}

/// A file that was found and that the loader would stop at.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// The name that was asked for.
    pub name: Name,
    /// The file.
    pub path: Name,
    /// Real path of the object that needs it.
    pub needed_by: Option<ImagePath>,
    /// Path of the program in whose scope it is refused.
    pub program: ImagePath,
    /// What is wrong with it, as a fragment.
    pub why: String,
}

/// Something that works and may surprise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// A search path has an empty or relative element, which means the folder that the program is
    /// started in. It was not searched.
    RelativeFolder {
        /// The list of folders, as it stands in an object or was given.
        list: Name,
    },
    /// The loader's own list of system directories could not be read; a distribution's usual one was used.
    SystemFoldersGuessed {
        /// The loader.
        interpreter: Name,
    },
    /// `/etc/ld.so.cache` exists and is broken; the loader ignores it, and so did the search.
    BrokenCache,
    /// `/etc/ld.so.preload` names an object that is not there; the loader says so at every start, and goes on.
    PreloadIgnored {
        /// The object.
        name: Name,
    },
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("by its path"),
            Self::Rpath { of, .. } => write!(f, "RPATH of {of}"),
            Self::LibraryPath { .. } => f.write_str("library path"),
            Self::Runpath { of, .. } => write!(f, "RUNPATH of {of}"),
            Self::Cache => f.write_str("ld.so.cache"),
            Self::PathFile { .. } => f.write_str("path file"),
            Self::SystemFolder { .. } => f.write_str("system directory"),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "program",
            Self::Module => "opened at run time",
            Self::Interpreter => "interpreter",
            Self::Preload => "preload",
            Self::Needed => "needed",
            Self::Auxiliary => "auxiliary",
            Self::Filter => "filter",
            Self::Audit => "audit",
        })
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
            Self::Static => "static",
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RelativeFolder { list } => write!(
                f,
                "the search path `{list}` has an element that means the working directory; it was \
                 not searched"
            ),
            Self::SystemFoldersGuessed { interpreter } => write!(
                f,
                "the system directories could not be read from `{interpreter}`; usual ones were \
                 searched"
            ),
            Self::BrokenCache => f.write_str(
                "`/etc/ld.so.cache` is broken; the loader ignores it, so it was ignored",
            ),
            Self::PreloadIgnored { name } => write!(
                f,
                "`/etc/ld.so.preload` names `{name}`, which cannot be loaded; the loader ignores it"
            ),
        }
    }
}
