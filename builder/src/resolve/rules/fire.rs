//! Which rules hold for a closure, and through which of its objects.
//!
//! Reads symbol tables only where a rule asks for symbols, each object's once.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;

use super::{Rule, RuleSet, Variables, When};
use crate::elf::{self, Name};
use crate::resolve::{Closure, Libc, Sysroot};

/// A rule that fired.
#[derive(Debug)]
pub struct Firing<'r> {
    /// Its name.
    pub name: &'r str,
    /// The rule.
    pub rule: &'r Rule,
    /// Real path of what made it fire.
    pub trigger: ImagePath,
    /// What its templates stand for.
    pub variables: Variables,
    /// Indices in [`Closure::programs`] of the programs that have the trigger in their scope.
    pub programs: Vec<usize>,
}

/// Symbols that objects import, by real path.
#[derive(Debug, Default)]
pub struct SymbolCache {
    symbols: BTreeMap<ImagePath, BTreeSet<Name>>,
}

/// Something in a closure that a rule can look at.
struct Candidate<'c> {
    /// Real path.
    real: &'c ImagePath,
    /// Names by which it was asked for, and its soname.
    names: BTreeSet<&'c [u8]>,
    /// Paths by which it was opened, as they were written.
    opened: BTreeSet<&'c [u8]>,
    programs: BTreeSet<usize>,
}

/// Every rule that holds, sorted by name, once for each object that makes it fire.
pub fn fire<'r>(
    rules: &'r RuleSet,
    closure: &Closure,
    sysroot: &Sysroot,
    cache: &mut SymbolCache,
) -> Vec<Firing<'r>> {
    let candidates = candidates(closure);
    let mut firings = Vec::new();
    for (name, rule) in rules.iter() {
        let mut seen = BTreeSet::new();
        for when in &rule.when {
            for (candidate, captures) in matching(when, &candidates, closure, sysroot, cache) {
                if seen.insert(candidate.real) {
                    firings.push(Firing {
                        name,
                        rule,
                        trigger: candidate.real.clone(),
                        variables: Variables::new(candidate.real, captures),
                        programs: candidate.programs.iter().copied().collect(),
                    });
                }
            }
        }
    }
    firings
}

fn candidates(closure: &Closure) -> Vec<Candidate<'_>> {
    let mut all: Vec<Candidate<'_>> = closure
        .objects
        .iter()
        .map(|found| Candidate {
            real: &found.path,
            names: found.object.soname.iter().map(Name::as_bytes).collect(),
            opened: BTreeSet::new(),
            programs: BTreeSet::new(),
        })
        .collect();
    for (index, program) in closure.programs.iter().enumerate() {
        for load in &program.loads {
            let Some(candidate) = all.get_mut(load.object) else { continue };
            candidate.names.insert(file_name(load.name.as_bytes()));
            candidate.opened.insert(load.opened.as_bytes());
            // A module's own scope is no program; the program that opens it is.
            candidate.programs.insert(program.context.unwrap_or(index));
        }
    }
    all.extend(closure.scripts.iter().map(|script| Candidate {
        real: script,
        names: BTreeSet::new(),
        opened: BTreeSet::new(),
        programs: BTreeSet::new(),
    }));
    all
}

fn file_name(name: &[u8]) -> &[u8] {
    name.rsplit(|&b| b == b'/').next().unwrap_or(name)
}

/// The candidates for which one trigger holds, with what its stars stood for.
fn matching<'a, 'c>(
    when: &When,
    candidates: &'a [Candidate<'c>],
    closure: &Closure,
    sysroot: &Sysroot,
    cache: &mut SymbolCache,
) -> Vec<(&'a Candidate<'c>, Vec<Vec<u8>>)> {
    let by_name = |candidate: &Candidate<'_>| match (&when.soname, &when.path) {
        (None, None) => Some(Vec::new()),
        (Some(soname), None) => candidate.names.iter().find_map(|name| soname.0.matches(name)),
        (None, Some(path)) => path
            .0
            .matches(candidate.real.as_bytes())
            .or_else(|| candidate.opened.iter().find_map(|opened| path.0.matches(opened))),
        (Some(soname), Some(path)) => {
            candidate.names.iter().find_map(|name| soname.0.matches(name))?;
            path.0.matches(candidate.real.as_bytes())
        }
    };
    let mut found: Vec<_> =
        candidates.iter().filter_map(|candidate| Some((candidate, by_name(candidate)?))).collect();
    if when.symbol.is_empty() || found.is_empty() {
        return found;
    }
    if when.soname.is_none() && when.path.is_none() {
        found
            .retain(|(candidate, _)| cache.imports(candidate.real, &when.symbol, closure, sysroot));
        return found;
    }
    // With an object named as well, the object says where, and any other object that imports says
    // whether.
    found.retain(|(named, _)| {
        candidates.iter().any(|other| {
            other.real != named.real
                && !other.programs.is_disjoint(&named.programs)
                && cache.imports(other.real, &when.symbol, closure, sysroot)
        })
    });
    found
}

impl SymbolCache {
    /// Whether the object imports one of `symbols`. The loader and the C library do not count: they
    /// import from each other what programs ask of them.
    fn imports(
        &mut self,
        path: &ImagePath,
        symbols: &[String],
        closure: &Closure,
        sysroot: &Sysroot,
    ) -> bool {
        let is_libc = closure.objects.iter().any(|found| {
            &found.path == path
                && found.object.soname.as_ref().is_some_and(|name| {
                    let name = name.as_bytes();
                    name.starts_with(b"libc.so") || name.starts_with(b"ld-")
                })
        });
        if is_libc || closure.scripts.contains(path) {
            return false;
        }
        let known = self.symbols.entry(path.clone()).or_insert_with(|| {
            // An object whose symbols cannot be read imports nothing that a rule could look at; the
            // loader's view of it was already checked by the closure.
            sysroot
                .open_file(path)
                .ok()
                .and_then(|file| elf::undefined_symbols(&file).ok())
                .unwrap_or_default()
        });
        symbols.iter().any(|symbol| known.contains(symbol.as_bytes()))
    }
}

/// Whether a program of the closure is run by a loader of the GNU C library.
pub fn uses_glibc(closure: &Closure) -> bool {
    closure.programs.iter().any(|program| program.libc == Libc::Glibc)
}
