//! Which files the dynamic loader would open for a program, and why each.
//!
//! Decides the closure, by the rules of the loader that the program names (glibc or musl), inside
//! one root. Refuses to know what an image is, which further files a library wants at run time
//! (that is asked for by rules, as further requests), and never runs anything.
//!
//! ```text
//! requests -> scripts (#!) -> program -> preloads -> needed, breadth first -> Closure
//!             scripts.rs      engine.rs: soname table, identity    search.rs: one order per libc
//!                             dlopen.rs: what is opened later      hwcaps.rs: variants by processor
//! explain.rs: what each search would have met, had it gone on
//! sysroot.rs: every probe, once, inside the root     system_dirs.rs, ld_cache.rs: what the root's loader knows
//! ```

mod because;
mod closure;
mod clues;
mod companions;
mod dlopen;
mod engine;
mod env;
pub mod expand;
mod explain;
mod explanation;
mod findings;
pub mod found;
pub mod gather;
pub mod hwcaps;
pub mod incomplete;
mod keep;
pub mod ld_cache;
pub mod ld_conf;
mod lists;
pub mod locale_archive;
pub mod modules;
mod near;
mod noted;
mod preload_file;
mod probe;
mod program_rules;
pub mod regional;
pub mod replay;
mod requests;
mod root_facts;
pub mod rules;
mod scope;
mod scripts;
mod search;
pub mod shebang;
pub mod ship;
mod state;
mod sysroot;
pub mod system_dirs;
mod walk;

pub use because::{Because, Cause};
pub use closure::{Closure, Dependency, Found, Libc, Link, Load, Origin, Program};
pub use clues::Clue;
pub use explanation::{Explanation, Fit, Trace};
pub use findings::{Attempt, How, Missing, Reason, Refused, Relation, Warning};
pub use hwcaps::Processor;
pub use ld_cache::architecture_id;
pub use requests::Asked;
pub use sysroot::{FileId, LinkAt, Sysroot, Target, Walk};

use std::rc::Rc;

use common::tree::ImagePath;

use common::report::Diagnostic;

use crate::elf::{ElfError, Name};
use crate::spec::search::{Cpus, DlopenPolicy};

/// A root of resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A file that is executed: an ELF program or a script. A shared object is resolved as
    /// `ld.so --list` would, as if it were the program.
    Program(ImagePath),
    /// An object that `program` opens by its path at run time (an extension module, a plug-in). The
    /// libraries that the program has loaded are there already, and those of its other modules that it
    /// needs by a name that no search finds.
    Module {
        /// The object.
        path: ImagePath,
        /// The program that opens it: the path of a [`Request::Program`] of the same call.
        program: ImagePath,
    },
    /// A library that `program` opens by its name at run time, searched for as `dlopen` does.
    Library {
        /// The name given to `dlopen`; with a slash it is a path.
        name: Name,
        /// The program that opens it: the path of a [`Request::Program`] of the same call.
        program: ImagePath,
        /// Real path of the object that calls `dlopen`, whose search path applies (libc for NSS); `None`:
        /// the program itself.
        caller: Option<ImagePath>,
        /// Not finding it is no failure.
        optional: bool,
    },
}

/// Build inputs that change the search. Nothing is read from the environment. The default is what a
/// loader does on a baseline processor.
#[derive(Debug, Clone)]
pub struct Options {
    /// `LD_LIBRARY_PATH`: folders joined by `:` or `;`.
    pub library_path: Option<Name>,
    /// `LD_PRELOAD`, one name or path each.
    pub preload: Vec<Name>,
    /// `PATH` that `#!/usr/bin/env NAME` searches; the usual one where `None`.
    pub path: Option<Name>,
    /// Processors that it is resolved for.
    pub cpus: Cpus,
    /// Features of `.note.dlopen` that are followed.
    pub dlopen: DlopenPolicy,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            library_path: None,
            preload: Vec::new(),
            path: None,
            cpus: Cpus::Baseline,
            dlopen: DlopenPolicy::none(),
        }
    }
}

/// Why there is no closure at all. (A library that is missing or refused leaves a closure: it is
/// told there.)
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A requested file does not exist in the root, or cannot be opened.
    #[error("cannot open `{path}`: {source}")]
    Open {
        /// The file.
        path: Name,
        /// Why.
        source: std::io::Error,
    },
    /// A requested file does not exist in the root, or cannot be opened.
    #[error("cannot open `{path}`: {reason}")]
    Unopened {
        /// The file.
        path: Name,
        /// Why.
        reason: Reason,
    },
    /// What a script needs cannot be resolved.
    #[error("the script `{script}` cannot be resolved")]
    Interpreter {
        /// The script.
        script: ImagePath,
        /// Why.
        source: Box<ResolveError>,
    },
    /// A requested file is neither a program nor a script.
    #[error("`{path}` cannot be resolved: {source}")]
    Object {
        /// The file.
        path: ImagePath,
        /// What is wrong with it.
        source: Rc<ElfError>,
    },
    /// A name stands on no folder of `PATH`.
    #[error("`{name}` is in none of the folders of PATH ({path})")]
    NotOnPath {
        /// The name.
        name: Name,
        /// The folders.
        path: Name,
    },
    /// A script's chain of interpreters is longer than the kernel allows, or not understood.
    #[error("the script `{path}` cannot be resolved: {why}")]
    Script {
        /// The script.
        path: ImagePath,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A module names a program that is not among the requests.
    #[error("the program `{program}` of `{module}` is not among the requests")]
    NoProgram {
        /// The module or library.
        module: Name,
        /// The program it was asked for.
        program: ImagePath,
    },
}

impl Diagnostic for ResolveError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unopened { reason: Reason::Denied, .. } => {
                "build as a user who may read it".to_owned()
            }
            Self::Open { .. } | Self::Unopened { .. } => {
                "check the path; with --sysroot it is a path inside that root".to_owned()
            }
            Self::Interpreter { source, .. } => return source.hint(),
            Self::Object { source, .. } => match **source {
                ElfError::NotElf => "only ELF programs and scripts with a `#!` line are executed \
                                     by the kernel; pack data with files = [...] in a recipe"
                    .to_owned(),
                ElfError::Kind(_) => "name the linked program, not an object file".to_owned(),
                ElfError::Type(_) => {
                    "name a program's file; folders are packed with files = [...] \
                                      in a recipe"
                        .to_owned()
                }
                ElfError::Read(_) => return None,
                _ => "the file is damaged; install it again".to_owned(),
            },
            Self::NotOnPath { .. } => "install the program, or name it by its path".to_owned(),
            Self::Script { .. } => {
                "give the script an absolute interpreter in its first line".to_owned()
            }
            Self::NoProgram { .. } => return None,
        })
    }
}

/// What the loader would load for each request, merged. Objects are read once, however many ask.
///
/// # Errors
/// Only for the requests themselves; what a found object misses is in [`Closure::missing`] and
/// [`Closure::refused`].
pub fn closure(
    requests: &[Request],
    sysroot: &Sysroot,
    options: &Options,
) -> Result<Closure, ResolveError> {
    Resolver::new(sysroot, options).closure(requests)
}

/// Makes several closures in one root; what one has read, the next does not read again.
pub struct Resolver<'a> {
    sysroot: &'a Sysroot,
    options: &'a Options,
    kept: Option<state::Kept<'a>>,
}

impl<'a> Resolver<'a> {
    /// A resolver that has read nothing.
    pub fn new(sysroot: &'a Sysroot, options: &'a Options) -> Self {
        Self { sysroot, options, kept: None }
    }

    /// As [`closure`].
    ///
    /// # Errors
    /// As [`closure`].
    pub fn closure(&mut self, requests: &[Request]) -> Result<Closure, ResolveError> {
        let kept = self.kept.take().unwrap_or_else(|| state::Kept::new(self.sysroot));
        let made = state::Engine::new(self.options, kept).run(requests)?;
        self.kept = Some(made.kept);
        Ok(made.closure)
    }
}

impl std::fmt::Debug for Resolver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("sysroot", self.sysroot).finish_non_exhaustive()
    }
}

/// The closure, and for everything that an object asks for the whole way of its search: what was tried,
/// what else would have done. Costs a second search for each distinct question.
///
/// # Errors
/// As [`closure`].
pub fn explain(
    requests: &[Request],
    sysroot: &Sysroot,
    options: &Options,
) -> Result<(Closure, Explanation), ResolveError> {
    let mut engine = state::Engine::new(options, state::Kept::new(sysroot));
    engine.explanation = Some(Explanation::default());
    let made = engine.run(requests)?;
    let mut explanation = made.explanation.unwrap_or_default();
    explanation.measure(&made.closure, sysroot);
    Ok((made.closure, explanation))
}
