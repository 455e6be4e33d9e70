//! Closure -> `Report`: whether what was found fits together, without running any of it.
//!
//! Decides what a loader would say that relocates everything (`ldd -r`), whether all parts of glibc
//! are of one build, what the closure asks of processor, kernel and C library; and, where somebody asks
//! the loader itself ([`loader`]), whether it agrees with the search. Refuses to know images and
//! command lines.
//!
//! ```text
//! programs.rs             what of an image is a program, what a module of one
//! Closure -> scope.rs     who is asked for a symbol, in which order
//!            facts.rs     symbols, versions and notes of each object, read once, in parallel
//!            versions.rs  every DT_VERNEED is met by the object that DT_NEEDED led to
//!            binding.rs   every symbol that a relocation names is defined
//!            parts.rs     glibc's own parts are of one build
//!            floor.rs     the lowest C library and kernel
//! loader.rs  what the loader says -> agree.rs, the same name by name
//! jail.rs    how a loader is asked that nobody trusts
//! ```

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::resolve::{Closure, Libc, Sysroot};

mod agree;
mod binding;
mod facts;
mod floor;
pub mod jail;
pub mod loader;
mod parts;
mod programs;
mod report;
mod scope;
mod versions;

pub use agree::agree;
pub use floor::{Bound, Floor, KernelBound};
pub use programs::Requests;
pub use report::{Asked, Finding, Notice, Problem, Report, Scoped};
pub use versions::Unmet;

use facts::Facts;
use scope::Scope;

/// Checks every scope of a closure.
///
/// `strangers` are requested objects whose program is not known: what they miss may be defined by
/// whoever opens them, and is a notice and no problem. A module that is requested for several programs
/// need fit only one of them.
pub fn check(closure: &Closure, sysroot: &Sysroot, strangers: &BTreeSet<ImagePath>) -> Report {
    let facts = Facts::of(closure, sysroot);
    let index = binding::Index::new(&facts);
    let numbers: Vec<usize> = (0..closure.programs.len()).collect();
    let mut scopes: Vec<Found> = numbers
        .into_par_iter()
        .map(|number| check_scope(closure, number, &facts, &index, strangers))
        .collect();
    forgive_modules(&mut scopes);
    let mut report = Report { floor: floor::floor(closure, &facts), ..Report::default() };
    let mut problems: BTreeMap<Problem, BTreeSet<ImagePath>> = BTreeMap::new();
    let mut notices = BTreeSet::new();
    for found in scopes {
        for problem in found.problems {
            problems.entry(problem).or_default().insert(found.scoped.program.clone());
        }
        notices.extend(found.notices);
        report.scopes.push(found.scoped);
    }
    for (object, why) in facts.unreadable {
        problems.entry(Problem::Unreadable { object, why }).or_default();
    }
    report.problems = problems
        .into_iter()
        .map(|(problem, programs)| Finding { problem, programs: programs.into_iter().collect() })
        .collect();
    report.notices = notices.into_iter().collect();
    report
}

/// Drops what a module misses in one program, if it misses nothing in another.
fn forgive_modules(scopes: &mut [Found]) {
    let is_module = |found: &Found| found.scoped.module;
    let fit: BTreeSet<ImagePath> = scopes
        .iter()
        .filter(|found| is_module(found) && found.problems.is_empty())
        .map(|found| found.scoped.program.clone())
        .collect();
    for found in scopes.iter_mut().filter(|found| is_module(found)) {
        if fit.contains(&found.scoped.program) {
            found.problems.clear();
        }
    }
}

/// What one scope has.
struct Found {
    scoped: Scoped,
    problems: Vec<Problem>,
    notices: Vec<Notice>,
}

fn check_scope(
    closure: &Closure,
    number: usize,
    facts: &Facts,
    index: &binding::Index<'_>,
    strangers: &BTreeSet<ImagePath>,
) -> Found {
    let scope = Scope::new(closure, number);
    let (mut problems, mut notices) = (Vec::new(), Vec::new());
    if scope.libc == Libc::Glibc {
        versions::check(&scope, facts, &mut problems, &mut notices);
        parts::check(&scope, facts, &mut problems);
    }
    let program = &closure.programs[number];
    notices.extend(floor::isa_notices(&scope, facts, program.processor));
    let mut missed = Vec::new();
    let symbols = binding::bind(&scope, facts, index, &mut missed);
    if strangers.contains(&program.path) && program.context.is_none() {
        notices.extend(missed.into_iter().map(Notice::Stranger));
    } else {
        problems.extend(missed);
    }
    let scoped = Scoped {
        program: program.path.clone(),
        module: program.context.is_some(),
        libc: program.libc,
        processor: program.processor,
        objects: scope.bound.len(),
        symbols,
        loader: Asked::No { why: "it was not asked".to_owned() },
    };
    Found { scoped, problems, notices }
}
