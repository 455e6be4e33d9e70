//! `Closure`: what would be loaded, from where, and why. Pure data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use common::tree::ImagePath;
use serde::Serialize;

use super::hwcaps::Processor;
use super::{Attempt, How, Missing, Refused, Relation, Warning};
use crate::elf::{Name, Object, Priority};

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
    pub object: Arc<Object>,
}

/// One program, or one module in the context of its program, as the loader sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Program {
    /// Path as requested.
    pub path: ImagePath,
    /// How it came to be resolved.
    pub origin: Origin,
    /// Number of the request that led to it.
    pub request: usize,
    /// Whose rules were used.
    pub libc: Libc,
    /// The processor that its loader ran on.
    pub processor: Processor,
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

impl Program {
    /// Whose rules were used, and the processor where it is not the baseline.
    pub fn rules(&self) -> String {
        if self.processor.is_baseline() {
            return self.libc.to_string();
        }
        format!("{}, {}", self.libc, self.processor)
    }
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
    /// An object says in its `.note.dlopen` that it opens it.
    Note {
        /// Real path of the object.
        by: ImagePath,
        /// The feature.
        feature: String,
        /// How much is lost without it.
        priority: Priority,
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
    /// The subdirectory of the folder that it was found in, where it is a variant for some processors
    /// (`glibc-hwcaps/x86-64-v3`).
    pub variant: Option<Name>,
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

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
            Self::Static => "static",
        })
    }
}
