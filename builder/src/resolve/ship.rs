//! What rules that have fired add: files, modules and programs that exist in the root, and files
//! made for the image.

use std::collections::BTreeSet;
use std::io;

use common::escape::Escaped;
use common::report::Diagnostic;
use common::tree::ImagePath;
use serde::Serialize;

use super::expand::{self, Kind};
use super::rules::fire::Firing;
use super::rules::{Pattern, Ship};
use super::{Closure, Origin, Request, Sysroot};
use crate::elf::Name;
use crate::spec::glob::Glob;

/// The rule that asked for something, and what made it fire; or the program that used it in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Because {
    /// Name of the rule; empty for a run.
    pub rule: String,
    /// Real path of the object or script that made it fire; of a run, the program.
    pub trigger: ImagePath,
    /// Why, as the rule says it.
    pub why: String,
    /// A profile says that it was used in a run.
    #[serde(skip)]
    pub run: bool,
}

impl Because {
    /// Who asks, in words.
    pub fn who(&self) -> String {
        if self.run { "a profile".to_owned() } else { format!("rule {}", self.rule) }
    }
}

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
}

impl Diagnostic for ShipError {
    fn hint(&self) -> Option<String> {
        let (Self::Look { rule, .. } | Self::Pattern { rule, .. }) = self;
        Some(format!("mend the rule, or switch it off with --no-rule {rule}"))
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
    pub(super) found: Shipped,
}

impl Shipping<'_> {
    /// Adds what one rule ships.
    pub(super) fn ship(&mut self, firing: &Firing<'_>) -> Result<(), ShipError> {
        if let Some(warning) = &firing.rule.warning
            && !self.has(firing.rule.warning_unless.as_ref())
        {
            self.found.warnings.insert(format!("{}: {warning}", firing.name));
        }
        for ship in &firing.rule.ship {
            let because = Because {
                rule: firing.name.to_owned(),
                trigger: firing.trigger.clone(),
                why: ship.why.clone().unwrap_or_else(|| firing.rule.why.clone()),
                run: false,
            };
            if self.exists(firing, &ship.unless)? {
                continue;
            }
            self.files(firing, ship, &because)?;
            let excluded = excluded(firing, ship)?;
            for pattern in &ship.modules {
                for path in self.paths(firing, pattern)? {
                    if is_kept(&path, &excluded) {
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
            self.made(firing, ship, &because)?;
        }
        Ok(())
    }

    /// Whether the closure has a file or link whose path matches.
    fn has(&self, pattern: Option<&Pattern>) -> bool {
        let Some(Pattern(glob)) = pattern else { return false };
        let links = self.closure.links.keys();
        self.closure
            .files()
            .into_iter()
            .chain(links)
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
    fn paths(&self, firing: &Firing<'_>, template: &str) -> Result<Vec<ImagePath>, ShipError> {
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

    fn add(&mut self, path: ImagePath, what: Added, because: &Because) {
        self.found.additions.push(Addition { path, what, because: because.clone() });
    }

    /// An object is resolved in the scope of every program that can open it; anything else of that
    /// name is copied.
    fn module(&mut self, firing: &Firing<'_>, path: ImagePath, because: &Because) {
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
        } else {
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

    /// The modules that a name service switch names: `libnss_NAME.so.2` beside the C library
    /// (nsswitch.conf(5); the version is part of glibc's interface, `nss/nss_module.c`).
    fn nsswitch(
        &mut self,
        firing: &Firing<'_>,
        file: &str,
        excluded: &[Glob],
        because: &Because,
    ) -> Result<(), ShipError> {
        let text = match self.sysroot.root().open_file(file.as_bytes()) {
            Ok(file) => io::read_to_string(file)
                .map_err(|source| look(firing, because.rule.as_bytes(), source))?,
            Err(error) if expand::is_absence(&error) => return Ok(()),
            Err(source) => return Err(look(firing, file.as_bytes(), source)),
        };
        for module in services(&text) {
            for path in self.paths(firing, &format!("{{dir}}/libnss_{module}.so.2"))? {
                if is_kept(&path, excluded) {
                    self.module(firing, path, because);
                }
            }
        }
        Ok(())
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

fn look(firing: &Firing<'_>, pattern: &[u8], source: io::Error) -> ShipError {
    ShipError::Look { rule: firing.name.to_owned(), pattern: pattern.to_vec(), source }
}

/// The services that a switch file names, sorted, each once.
fn services(text: &str) -> BTreeSet<String> {
    let mut services = BTreeSet::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some((_, actions)) = line.split_once(':') else { continue };
        let mut in_action = false;
        for word in actions.split_whitespace() {
            // `[NOTFOUND=return]` may have spaces in it.
            if word.starts_with('[') {
                in_action = true;
            }
            if !in_action && word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
                services.insert(word.to_owned());
            }
            if word.ends_with(']') {
                in_action = false;
            }
        }
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_a_switch_file() {
        let text = "# passwd: x\npasswd: files systemd # y\nhosts: files [ NOTFOUND = return ] dns\n\
                    bad line\nnet: ../evil files\n";
        let found: Vec<String> = services(text).into_iter().collect();
        assert_eq!(found, ["dns", "files", "systemd"]);
    }
}
