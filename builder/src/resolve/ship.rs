//! What rules that have fired add: files, modules and programs that exist in the root, and files
//! made for the image.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use common::escape::Escaped;
use common::report::Diagnostic;
use common::tree::ImagePath;

mod list;
mod named;

pub use list::{Part, parts};

use super::expand::{self, Kind};
use super::modules::brought::Brought;
use super::modules::{self, Memory};
use super::rules::fire::Firing;
use super::rules::{Pattern, Ship};
use super::{Because, Cause, Closure, Origin, Request, Sysroot};
use crate::elf::Name;
use crate::spec::glob::Glob;
use crate::spec::modules::{Language, Modules};

/// Objects that a warning names: a person looks at one or two.
const MAX_NAMED: usize = 3;

/// Something that a rule adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Where, in the root and in the image.
    pub path: ImagePath,
    /// What.
    pub what: Added,
    /// Why.
    pub because: Because,
}

/// What a rule adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// What stands there in the root: file, folder (itself only) or link.
    Copy,
    /// An empty folder.
    Folder,
    /// A file with these bytes, where the root's own is not shipped.
    Generated(Vec<u8>),
    /// The parts of a list of modules; those of modules that the image has not are left out.
    List(Vec<Part>),
}

/// Why a rule cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// A rule's file, folder or pattern cannot be looked at.
    #[error("cannot look for `{}`, which rule `{rule}` ships", Escaped(pattern))]
    Look {
        /// The rule.
        rule: String,
        /// Its pattern.
        pattern: Vec<u8>,
        /// What the kernel said.
        source: io::Error,
    },
    /// A rule ships a pattern that is none.
    #[error("rule `{rule}` ships `{pattern}`, which is not a pattern: {why}")]
    Pattern {
        /// The rule.
        rule: String,
        /// Its pattern.
        pattern: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A module that a person asked for is nowhere.
    #[error("there is no {language} module `{}` in {}", module.escape_debug(), Escaped(folder))]
    NoModule {
        /// Whose.
        language: Language,
        /// Its name.
        module: String,
        /// The first folder that was searched.
        folder: Vec<u8>,
        /// Names like it.
        similar: Vec<String>,
    },
}

impl Diagnostic for ShipError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Look { rule, .. } | Self::Pattern { rule, .. } => {
                format!("mend the rule, or switch it off with --no-rule {rule}")
            }
            Self::NoModule { similar, .. } if !similar.is_empty() => {
                format!("modules with names like it: {}", similar.join(", "))
            }
            Self::NoModule { .. } => {
                "install the package that brings it, or copy it with files = [...] in a recipe"
                    .to_owned()
            }
        })
    }
}

/// What the rules of one round ask for.
#[derive(Debug, Default)]
pub(super) struct Shipped {
    pub(super) requests: Vec<(Request, Because)>,
    pub(super) additions: Vec<Addition>,
    pub(super) warnings: BTreeSet<String>,
}

/// One round: what fires is told to it one after the other.
pub(super) struct Shipping<'a> {
    pub(super) sysroot: &'a Sysroot,
    pub(super) closure: &'a Closure,
    /// Modules that a person asked for.
    pub(super) asked: &'a Modules,
    pub(super) brought: &'a Brought,
    pub(super) memory: &'a Memory,
    pub(super) found: Shipped,
}

impl Shipping<'_> {
    /// Adds what one rule ships.
    pub(super) fn ship(&mut self, firing: &Firing<'_>) -> Result<(), ShipError> {
        for ship in &firing.rule.ship {
            let because = because(firing, ship.why.as_ref());
            if self.exists(firing, &ship.unless)? {
                continue;
            }
            self.files(firing, ship, &because)?;
            let excluded = excluded(firing, ship)?;
            let named = self.names(firing, &ship.named_in)?;
            for pattern in &ship.modules {
                for path in self.paths(firing, pattern)? {
                    if is_kept(&path, &excluded) && is_named(&path, named.as_ref()) {
                        self.module(firing, path, &because);
                    }
                }
            }
            for pattern in &ship.programs {
                for path in self.paths(firing, pattern)? {
                    self.program(path, &because);
                }
            }
            for name in &ship.libraries {
                self.library(firing, name, &because);
            }
            if let Some(file) = &ship.nsswitch {
                self.nsswitch(firing, file, &excluded, &because)?;
            }
            if let Some(list) = &ship.list {
                self.list(firing, list, ship.entries, &because)?;
            }
            self.made(firing, ship, &because)?;
        }
        firing.rule.modules.as_ref().map_or(Ok(()), |rule| modules::serve(self, firing, rule))
    }

    /// Says what rules warn of, and because of whom, once all have shipped what they ship.
    pub(super) fn warn(&mut self, firings: &[Firing<'_>]) {
        let mut warned: BTreeMap<&str, (&str, BTreeSet<&ImagePath>)> = BTreeMap::new();
        for firing in firings {
            if let Some(warning) = &firing.rule.warning
                && !self.has(firing.rule.warning_unless.as_ref())
            {
                let (_, triggers) = warned.entry(firing.name).or_insert((warning, BTreeSet::new()));
                triggers.insert(&firing.trigger);
            }
        }
        for (rule, (warning, triggers)) in warned {
            let mut named: Vec<String> =
                triggers.iter().take(MAX_NAMED).map(|path| format!("`{path}`")).collect();
            if triggers.len() > MAX_NAMED {
                named.push(format!("{} more", triggers.len() - MAX_NAMED));
            }
            let named = named.join(", ");
            self.found.warnings.insert(format!("{rule}: {warning} (because of {named})"));
        }
    }

    /// Whether the closure, or what rules add, has a file or link whose path matches.
    fn has(&self, pattern: Option<&Pattern>) -> bool {
        let Some(Pattern(glob)) = pattern else { return false };
        let links = self.closure.links.keys();
        let added = self.found.additions.iter().map(|addition| &addition.path);
        self.closure
            .files()
            .into_iter()
            .chain(links)
            .chain(added)
            .any(|path| glob.matches(path.as_bytes()).is_some())
    }

    /// Whether the root has anything that one of these templates means.
    fn exists(&self, firing: &Firing<'_>, templates: &[String]) -> Result<bool, ShipError> {
        for template in templates {
            if !self.paths(firing, template)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Paths of the root that one of a rule's templates means.
    pub(super) fn paths(
        &self,
        firing: &Firing<'_>,
        template: &str,
    ) -> Result<Vec<ImagePath>, ShipError> {
        let Some(pattern) = firing.variables.expand(template) else { return Ok(Vec::new()) };
        let glob = Glob::parse(&pattern).map_err(|why| ShipError::Pattern {
            rule: firing.name.to_owned(),
            pattern: template.to_owned(),
            why,
        })?;
        let found = expand::matches(self.sysroot.root(), &glob)
            .map_err(|source| look(firing, &pattern, source))?;
        // Names that no path inside an image can have (too long) cannot be shipped.
        Ok(found.into_iter().filter_map(|path| ImagePath::new(path).ok()).collect())
    }

    fn files(
        &mut self,
        firing: &Firing<'_>,
        ship: &Ship,
        because: &Because,
    ) -> Result<(), ShipError> {
        let excluded = excluded(firing, ship)?;
        for template in &ship.files {
            for path in self.paths(firing, template)? {
                let mut found = Vec::new();
                let mut keep =
                    |path: &[u8]| !excluded.iter().any(|glob| glob.matches(path).is_some());
                expand::tree(self.sysroot.root(), path.as_bytes(), &mut keep, &mut found)
                    .map_err(|error| look(firing, &error.path, error.source))?;
                for (path, kind) in found {
                    if kind != Kind::Special
                        && let Ok(path) = ImagePath::new(path)
                    {
                        self.add(path, Added::Copy, because);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn add(&mut self, path: ImagePath, what: Added, because: &Because) {
        self.found.additions.push(Addition { path, what, because: because.clone() });
    }

    /// An object is resolved in the scope of every program that can open it; anything else of that
    /// name is copied.
    pub(super) fn module(&mut self, firing: &Firing<'_>, path: ImagePath, because: &Because) {
        if self.starts_with(&path, b"\x7fELF") {
            for program in self.contexts(firing, because) {
                let request = Request::Module { path: path.clone(), program };
                self.found.requests.push((request, because.clone()));
            }
        } else {
            self.add(path, Added::Copy, because);
        }
    }

    fn program(&mut self, path: ImagePath, because: &Because) {
        if self.starts_with(&path, b"\x7fELF") || self.starts_with(&path, b"#!") {
            self.found.requests.push((Request::Program(path), because.clone()));
        } else if !self.sysroot.is_folder(path.as_bytes()) {
            self.add(path, Added::Copy, because);
        }
    }

    fn library(&mut self, firing: &Firing<'_>, name: &str, because: &Because) {
        // The object that made the rule fire is the one that opens it: glibc for libgcc_s.
        let caller = self
            .closure
            .objects
            .iter()
            .any(|found| found.path == firing.trigger)
            .then(|| firing.trigger.clone());
        for program in self.contexts(firing, because) {
            let request = Request::Library {
                name: Name::from(name),
                program,
                caller: caller.clone(),
                optional: true,
            };
            self.found.requests.push((request, because.clone()));
        }
    }

    /// Paths of requested programs in whose scope the rule fired. An interpreter that only a script
    /// asked for becomes a request of its own, so that modules can name it.
    fn contexts(&mut self, firing: &Firing<'_>, because: &Because) -> Vec<ImagePath> {
        let mut contexts = Vec::new();
        for program in firing.programs.iter().filter_map(|&index| self.closure.programs.get(index))
        {
            if !matches!(program.origin, Origin::Request { .. }) {
                let request = Request::Program(program.path.clone());
                self.found.requests.push((request, because.clone()));
            }
            contexts.push(program.path.clone());
        }
        contexts.sort();
        contexts.dedup();
        contexts
    }

    fn made(
        &mut self,
        firing: &Firing<'_>,
        ship: &Ship,
        because: &Because,
    ) -> Result<(), ShipError> {
        let path = |template: &str| {
            firing.variables.expand(template).and_then(|path| ImagePath::new(path).ok()).ok_or_else(
                || ShipError::Pattern {
                    rule: firing.name.to_owned(),
                    pattern: template.to_owned(),
                    why: "it must be one absolute path",
                },
            )
        };
        if let Some(folder) = &ship.folder {
            self.add(path(folder)?, Added::Folder, because);
        }
        if let Some(file) = &ship.path {
            let bytes = ship.content.clone().unwrap_or_default().into_bytes();
            self.add(path(file)?, Added::Generated(bytes), because);
        }
        Ok(())
    }

    fn starts_with(&self, path: &ImagePath, magic: &[u8]) -> bool {
        self.sysroot.starts_with(path, magic)
    }
}

fn is_named(path: &ImagePath, names: Option<&BTreeSet<Vec<u8>>>) -> bool {
    names.is_none_or(|names| path.file_name().is_some_and(|name| names.contains(name)))
}

fn is_kept(path: &ImagePath, excluded: &[Glob]) -> bool {
    excluded.iter().all(|glob| glob.matches(path.as_bytes()).is_none())
}

/// The patterns that a table leaves out.
fn excluded(firing: &Firing<'_>, ship: &Ship) -> Result<Vec<Glob>, ShipError> {
    let mut excluded = Vec::new();
    for template in &ship.exclude {
        let Some(pattern) = firing.variables.expand(template) else { continue };
        excluded.push(Glob::parse(&pattern).map_err(|why| ShipError::Pattern {
            rule: firing.name.to_owned(),
            pattern: template.clone(),
            why,
        })?);
    }
    Ok(excluded)
}

/// Why a rule ships something: as the table says it, else as the rule does.
pub(super) fn because(firing: &Firing<'_>, why: Option<&String>) -> Because {
    let why = why.unwrap_or(&firing.rule.why).clone();
    let cause = Cause::Rule { rule: firing.name.to_owned(), why };
    Because { trigger: firing.trigger.clone(), cause }
}

fn look(firing: &Firing<'_>, pattern: &[u8], source: io::Error) -> ShipError {
    ShipError::Look { rule: firing.name.to_owned(), pattern: pattern.to_vec(), source }
}
