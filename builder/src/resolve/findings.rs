//! How names were found, where else they were looked for, and what a closure lacks: the words in
//! which it is told.

use std::collections::HashSet;
use std::fmt;

use common::escape::Escaped;
use common::tree::ImagePath;
use serde::Serialize;

use super::Clue;
use crate::elf::Name;

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
            Self::FeatureAbsent { by, feature, names } => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                write!(
                    f,
                    "`{by}` goes without its feature `{}`: {} is not there",
                    Escaped(feature.as_bytes()),
                    names.join(" or ")
                )
            }
            Self::NoSuchFeature { name } => {
                write!(f, "no object has a feature `{}`", Escaped(name.as_bytes()))
            }
        }
    }
}

impl Relation {
    /// One word, as in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Module => "module",
            Self::Interpreter => "interpreter",
            Self::Preload => "preload",
            Self::Needed => "needed",
            Self::Auxiliary => "auxiliary",
            Self::Filter => "filter",
            Self::Audit => "audit",
        }
    }

    /// What stands between a missing name and who asks for it.
    fn to_whom(self) -> &'static str {
        match self {
            Self::Program => "which is",
            Self::Module => "opened at run time by",
            Self::Interpreter => "the interpreter of",
            Self::Preload => "to be preloaded into",
            Self::Needed => "needed by",
            Self::Auxiliary => "an auxiliary of",
            Self::Filter => "a filter of",
            Self::Audit => "an auditor of",
        }
    }
}

/// The name and who needs it; then, on a line each, the program if that is another, and every place
/// tried.
impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, needed_by, relation, program, tried, .. } = self;
        let by = needed_by.as_ref().unwrap_or(program);
        write!(f, "`{name}` is missing, {} `{by}`", relation.to_whom())?;
        if by != program {
            write!(f, "\n  in `{program}`, which loads `{by}`")?;
        }
        let mut told = HashSet::new();
        for Attempt { path, how, reason } in tried {
            let line = format!("\n  tried `{path}` ({how}): {reason}");
            if !told.contains(&line) {
                f.write_str(&line)?;
                told.insert(line);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, path, needed_by, program, why, .. } = self;
        let by = needed_by.as_ref().unwrap_or(program);
        write!(f, "`{path}` cannot be loaded as `{name}`, needed by `{by}`: {why}")
    }
}

impl Missing {
    /// What the person can do.
    pub fn hint(&self) -> String {
        let name = &self.name;
        if self.relation == Relation::Interpreter {
            return "install the C library that the program was built for, or name its root with \
                    --sysroot"
                .to_owned();
        }
        if let Some(clue) = &self.clue {
            return clue.hint(name);
        }
        if let Some(hint) = self.tried.iter().find_map(|attempt| attempt.hint(name)) {
            return hint;
        }
        if name.has_slash() {
            return format!("install the package that ships {name}");
        }
        format!("install the package that ships {name}, or name its folder with --library-path")
    }
}

impl Clue {
    fn hint(&self, name: &Name) -> String {
        match self {
            Self::Uncached { path, cache } => {
                let cache = if *cache { "is older" } else { "is missing" };
                format!(
                    "`{path}` lies in a folder of /etc/ld.so.conf, which the loader never reads, and \
                     the root's ld.so.cache {cache}: run `ldconfig -r ROOT`, or name its folder with \
                     --library-path"
                )
            }
            Self::OtherArchitecture { path } => other_architecture(path, name),
        }
    }
}

fn other_architecture(path: &Name, name: &Name) -> String {
    format!(
        "`{path}` is for another architecture; install the package that ships {name} for the \
         program's"
    )
}

impl Attempt {
    /// What can be done so that `name` is taken from this place.
    fn hint(&self, name: &Name) -> Option<String> {
        let Self { path, how, reason } = self;
        Some(match reason {
            Reason::Dangling => {
                format!("`{path}` is a link that leads nowhere; install its package again")
            }
            Reason::Denied => format!("`{path}` cannot be read; build as a user who may read it"),
            Reason::Relative => format!(
                "`{path}` means the folder that the program is started in, which an image cannot \
                 promise; link the program with a name, not a path"
            ),
            Reason::OtherClass | Reason::OtherMachine => other_architecture(path, name),
            Reason::Absent if *how == How::Cache => format!(
                "ld.so.cache says `{path}`, which is gone; install its package again, or run \
                 `ldconfig -r ROOT`"
            ),
            _ => return None,
        })
    }
}

impl Refused {
    /// What the person can do.
    pub const HINT: &'static str = "the loader would stop at this file; repair or remove it, or \
                                    put another before it with --library-path";
}
