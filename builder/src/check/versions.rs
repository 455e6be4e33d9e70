//! Whether every version that an object needs is defined by the object that its name led to (glibc
//! `elf/dl-version.c`, `_dl_check_map_versions`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use common::report::Diagnostic;
use common::tree::ImagePath;

use super::facts::Facts;
use super::scope::Scope;
use super::{Notice, Problem};
use crate::elf::{ElfError, Versions};
use crate::resolve::{Closure, Libc, Sysroot};

pub(super) fn check(
    scope: &Scope<'_>,
    facts: &Facts,
    problems: &mut Vec<Problem>,
    notices: &mut Vec<Notice>,
) {
    let versions = |object: usize| Some(&facts.objects[object].symbols.versions);
    compare(scope, versions, problems, notices);
}

/// The comparison itself; an object whose versions are not known is not compared.
fn compare<'v>(
    scope: &Scope<'_>,
    versions: impl Fn(usize) -> Option<&'v Versions>,
    problems: &mut Vec<Problem>,
    notices: &mut Vec<Notice>,
) {
    for &object in &scope.bound {
        let Some(own) = versions(object) else { continue };
        for need in &own.needs {
            let name = need.file.as_bytes();
            let Some(provider) = scope.named(name) else {
                if !scope.missing.contains(name) {
                    let (object, file) = (scope.path(object), need.file.clone());
                    problems.push(Problem::NotLoaded { object, file });
                }
                continue;
            };
            let Some(other) = versions(provider) else { continue };
            let Some(definitions) = &other.definitions else {
                let (object, provider) = (scope.path(object), scope.path(provider));
                notices.push(Notice::NoVersions { object, provider });
                continue;
            };
            for version in &need.versions {
                let met = definitions.iter().any(|definition| {
                    definition.hash == version.hash && definition.name == version.name
                });
                let (object, provider) = (scope.path(object), scope.path(provider));
                let (file, name) = (need.file.clone(), version.name.clone());
                match (met, version.weak) {
                    (true, _) => {}
                    (false, true) => {
                        notices.push(Notice::WeakVersion { object, provider, version: name });
                    }
                    (false, false) => {
                        problems.push(Problem::Version { object, file, provider, version: name });
                    }
                }
            }
        }
    }
}

/// Versions that are needed and not there, as an error: with such a library the program does not
/// start.
#[derive(Debug)]
pub struct Unmet {
    problems: BTreeMap<Problem, ImagePath>,
}

impl Unmet {
    /// Reads the versions of every object that a glibc program loads, and nothing else.
    ///
    /// # Errors
    /// Where one is not met. (What cannot be read is told by whoever packs it.)
    pub fn check(closure: &Closure, sysroot: &Sysroot) -> Result<(), Self> {
        let read = |path: &ImagePath| {
            let file = sysroot.open_file(path).map_err(ElfError::Read)?;
            Versions::read(&file)
        };
        let versions: Vec<Option<Versions>> =
            closure.objects.iter().map(|found| read(&found.path).ok()).collect();
        let mut unmet = BTreeMap::new();
        for (number, program) in closure.programs.iter().enumerate() {
            if program.libc != Libc::Glibc {
                continue;
            }
            let scope = Scope::new(closure, number);
            let mut problems = Vec::new();
            let known = |object: usize| versions.get(object).and_then(Option::as_ref);
            compare(&scope, known, &mut problems, &mut Vec::new());
            for problem in problems {
                unmet.entry(problem).or_insert_with(|| program.path.clone());
            }
        }
        if unmet.is_empty() { Ok(()) } else { Err(Self { problems: unmet }) }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: BTreeSet<String> = self
            .problems
            .iter()
            .map(|(problem, program)| format!("{problem}, in `{program}`"))
            .collect();
        f.write_str(&lines.into_iter().collect::<Vec<_>>().join("\n"))
    }
}

impl std::error::Error for Unmet {}

impl Diagnostic for Unmet {
    fn hint(&self) -> Option<String> {
        self.problems.keys().next().map(Problem::hint)
    }
}
