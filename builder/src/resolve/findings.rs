//! How names were found, where else they were looked for, and what a closure lacks.

use common::tree::ImagePath;
use serde::Serialize;

use super::Clue;
use crate::elf::Name;

mod words;

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
    /// Nothing more is looked at.
    #[error("not looked for: too many places were looked at already")]
    GivenUp,
    /// Another error number.
    #[error("error {0}")]
    Errno(i32),
    /// It would do. Only where a search goes on behind what it found ([`super::explain()`]).
    #[error("it fits")]
    Fits,
    /// The loader would stop at it. Only where a search goes on behind it.
    #[error("it cannot be loaded")]
    Unloadable,
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
    /// Number of the request that led there.
    #[serde(skip)]
    pub request: usize,
    /// Every place tried, in order.
    pub tried: Vec<Attempt>,
    /// Where the root has it all the same.
    pub clue: Option<Clue>,
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
    /// Number of the request that led there.
    #[serde(skip)]
    pub request: usize,
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
    /// The loader's own list of system directories could not be read; a distribution's usual one
    /// was used.
    SystemFoldersGuessed {
        /// The loader.
        interpreter: Name,
    },
    /// `/etc/ld.so.cache` exists and is broken; the loader ignores it, and so did the search.
    BrokenCache,
    /// `/etc/ld.so.preload` names an object that is not there; the loader says so at every start,
    /// and goes on.
    PreloadIgnored {
        /// The object.
        name: Name,
    },
    /// What an object recommends in its `.note.dlopen` is nowhere.
    FeatureAbsent {
        /// Real path of the object.
        by: ImagePath,
        /// The feature.
        feature: String,
        /// The libraries of which one would do.
        names: Vec<Name>,
    },
    /// A feature was named that no object has.
    NoSuchFeature {
        /// Its name.
        name: String,
    },
}
