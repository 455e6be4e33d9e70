//! Which rules hold for a closure, and through which of its objects.

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::contents::Contents;
use super::{Pattern, Rule, RuleSet, Variables, When};
use crate::elf::Name;
use crate::resolve::{Closure, Origin, Sysroot};

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

/// Something in a closure that a rule can look at.
struct Candidate<'c> {
    /// Real path.
    real: &'c ImagePath,
    /// Names by which it was asked for, and its soname.
    names: BTreeSet<&'c [u8]>,
    /// Paths by which it was opened, as they were written.
    opened: BTreeSet<&'c [u8]>,
    /// Paths by which `#!` lines name it.
    interprets: BTreeSet<&'c [u8]>,
    programs: BTreeSet<usize>,
}

impl Candidate<'_> {
    fn by_name(&self, pattern: &Pattern) -> Option<Vec<Vec<u8>>> {
        self.names.iter().find_map(|name| pattern.0.matches(name))
    }

    fn is_excepted(&self, when: &When) -> bool {
        when.except.as_ref().is_some_and(|except| {
            self.by_name(except).is_some() || except.0.matches(self.real.as_bytes()).is_some()
        })
    }
}

/// A candidate for which a trigger holds.
struct Match<'a, 'c> {
    candidate: &'a Candidate<'c>,
    /// What the stars of the trigger's pattern stood for.
    captures: Vec<Vec<u8>>,
    /// The string that it has, where the trigger asks for one.
    string: Option<Vec<u8>>,
}

/// Every rule that holds, sorted by name, once for each object that makes it fire, and for each string
/// of that object.
pub fn fire<'r>(
    rules: &'r RuleSet,
    closure: &Closure,
    sysroot: &Sysroot,
    contents: &mut Contents,
) -> Vec<Firing<'r>> {
    let candidates = candidates(closure);
    let mut firings = Vec::new();
    for (name, rule) in rules.iter() {
        let mut seen = BTreeSet::new();
        for when in &rule.when {
            for Match { candidate, captures, string } in
                matching(when, &candidates, closure, sysroot, contents)
            {
                if seen.insert((candidate.real, string.clone())) {
                    firings.push(Firing {
                        name,
                        rule,
                        trigger: candidate.real.clone(),
                        variables: Variables::new(candidate.real, captures).with_string(string),
                        programs: candidate.programs.iter().copied().collect(),
                    });
                }
            }
        }
    }
    firings
}

fn candidates(closure: &Closure) -> Vec<Candidate<'_>> {
    let candidate = |real, names: BTreeSet<_>| Candidate {
        real,
        names,
        opened: BTreeSet::new(),
        interprets: BTreeSet::new(),
        programs: BTreeSet::new(),
    };
    let mut all: Vec<Candidate<'_>> = closure
        .objects
        .iter()
        .map(|found| {
            let soname = found.object.soname.iter().map(Name::as_bytes);
            candidate(&found.path, soname.collect())
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
        if matches!(program.origin, Origin::Shebang { .. } | Origin::Env { .. })
            && let Some(load) = program.loads.first()
            && let Some(candidate) = all.get_mut(load.object)
        {
            candidate.interprets.insert(program.path.as_bytes());
        }
    }
    all.extend(closure.scripts.iter().map(|script| candidate(script, BTreeSet::new())));
    all
}

fn file_name(name: &[u8]) -> &[u8] {
    name.rsplit(|&b| b == b'/').next().unwrap_or(name)
}

/// What the stars of a trigger's pattern stood for, if names and paths of the candidate are as it says. The
/// last pattern that has a say gives them.
fn named(when: &When, candidate: &Candidate<'_>) -> Option<Vec<Vec<u8>>> {
    if candidate.is_excepted(when) {
        return None;
    }
    let mut captures = Vec::new();
    if let Some(soname) = &when.soname {
        captures = candidate.by_name(soname)?;
    }
    if let Some(path) = &when.path {
        let opened = || candidate.opened.iter().find_map(|opened| path.0.matches(opened));
        let real = path.0.matches(candidate.real.as_bytes());
        captures = match when.soname {
            None => real.or_else(opened)?,
            Some(_) => real?,
        };
    }
    if let Some(interpreter) = &when.interpreter {
        let paths = candidate.interprets.iter();
        captures = paths.copied().find_map(|path| interpreter.0.matches(path))?;
    }
    Some(captures)
}

/// The candidates for which one trigger holds.
fn matching<'a, 'c>(
    when: &When,
    candidates: &'a [Candidate<'c>],
    closure: &Closure,
    sysroot: &Sysroot,
    contents: &mut Contents,
) -> Vec<Match<'a, 'c>> {
    let found = candidates.iter().filter_map(|candidate| {
        let captures = named(when, candidate)?;
        Some(Match { candidate, captures, string: None })
    });
    if when.symbol.is_empty() && when.string.is_empty() && when.holds.is_empty() {
        return found.collect();
    }
    let mut all = Vec::new();
    for Match { candidate, captures, .. } in found {
        if when.soname.is_none() && when.path.is_none() && when.interpreter.is_none() {
            if let Some(strings) = has(when, candidate, closure, sysroot, contents) {
                all.extend(strings.into_iter().map(|found| match found {
                    Some((string, captures)) => Match { candidate, captures, string: Some(string) },
                    None => Match { candidate, captures: Vec::new(), string: None },
                }));
            }
            continue;
        }
        // With an object named as well, the object says where, and any other object of the same program
        // says whether.
        let others = candidates.iter().filter(|other| {
            other.real != candidate.real
                && !other.programs.is_disjoint(&candidate.programs)
                && !other.is_excepted(when)
        });
        let mut strings = BTreeSet::new();
        for other in others {
            strings.extend(has(when, other, closure, sysroot, contents).into_iter().flatten());
            // Symbols alone are the same answer, whoever gives it.
            if when.string.is_empty() && !strings.is_empty() {
                break;
            }
        }
        all.extend(strings.into_iter().map(|found| Match {
            candidate,
            captures: captures.clone(),
            string: found.map(|(string, _)| string),
        }));
    }
    all
}

/// A string, and what the stars of its pattern stood for.
type Captured = (Vec<u8>, Vec<Vec<u8>>);

/// The strings of an object that a trigger asks for, or one `None` where it asks for none; no answer
/// where the object has not what it asks for.
fn has(
    when: &When,
    candidate: &Candidate<'_>,
    closure: &Closure,
    sysroot: &Sysroot,
    contents: &mut Contents,
) -> Option<Vec<Option<Captured>>> {
    let path = candidate.real;
    if !when.symbol.is_empty() && !contents.imports(path, &when.symbol, closure, sysroot) {
        return None;
    }
    if !when.holds.is_empty() && !contents.holds(path, &when.holds, closure, sysroot) {
        return None;
    }
    if when.string.is_empty() {
        return Some(vec![None]);
    }
    let strings = contents.strings(path, &when.string, closure, sysroot);
    Some(strings.into_iter().map(Some).collect())
}
