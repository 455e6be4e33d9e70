//! What a check found, as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use common::tree::ImagePath;

use crate::check::{Asked, Finding, Floor, Problem, Report, Scoped};
use crate::resolve::Libc;

/// Symbols of one object that are named; the rest is counted.
const FEW: usize = 6;

/// A line for each program, what its modules have together, and the floor.
///
/// ```text
/// /usr/bin/app (glibc): 4 objects, 213 symbols bound; the loader agrees on 3 names
///   and 12 modules: 15 objects, 731 symbols
/// needs GLIBC 2.34 (/usr/bin/app)
/// needs Linux 3.2.0 (/usr/lib/x86_64-linux-gnu/libc.so.6)
/// ```
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut silent: BTreeMap<&String, usize> = BTreeMap::new();
    // Writing to a string cannot fail.
    for scoped in report.scopes.iter().filter(|scoped| !scoped.module) {
        let Scoped { program, libc, processor, objects, symbols, loader, .. } = scoped;
        if *libc == Libc::Static {
            let _ = writeln!(text, "{program} (static): nothing to bind");
            continue;
        }
        let on = if processor.is_baseline() { String::new() } else { format!(", {processor}") };
        let _ = write!(text, "{program} ({libc}{on}): {objects} objects, {symbols} symbols");
        let _ = match loader {
            Asked::Agrees { names } => writeln!(text, "; the loader agrees on {names} names"),
            Asked::Differs => writeln!(text, "; the loader does not agree"),
            Asked::No { why } => {
                *silent.entry(why).or_insert(0) += 1;
                writeln!(text)
            }
        };
    }
    let modules: Vec<&Scoped> = report.scopes.iter().filter(|scoped| scoped.module).collect();
    if !modules.is_empty() {
        let objects: usize = modules.iter().map(|module| module.objects).sum();
        let symbols: usize = modules.iter().map(|module| module.symbols).sum();
        let count = modules.len();
        let _ = writeln!(text, "and {count} modules: {objects} objects, {symbols} symbols");
    }
    let Floor { versions, kernel } = &report.floor;
    for (why, count) in silent {
        let _ = writeln!(text, "loader of {count} programs not asked: {why}");
    }
    for bound in versions {
        let _ = writeln!(text, "needs {} {} ({})", bound.kind, bound.version, bound.needed_by);
    }
    if let Some(bound) = kernel {
        let _ = writeln!(text, "needs Linux {} ({})", bound.version, bound.needed_by);
    }
    text
}

/// Every problem in the form of an error each. Symbols that one object misses are told together.
pub fn problems(report: &Report) -> String {
    let mut text = String::new();
    let mut undefined: BTreeMap<(&ImagePath, &[ImagePath]), Vec<String>> = BTreeMap::new();
    for Finding { problem, programs } in &report.problems {
        if let Problem::Undefined { object, symbol, version } = problem {
            let version = version.as_ref().map(|version| format!("@{version}"));
            let symbol = format!("`{symbol}{}`", version.unwrap_or_default());
            undefined.entry((object, programs)).or_default().push(symbol);
            continue;
        }
        let _ = writeln!(text, "error: {problem}{}\nhint: {}", place(programs), problem.hint());
    }
    for ((object, programs), symbols) in undefined {
        let more = match symbols.len().saturating_sub(FEW) {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let few: Vec<&str> = symbols.iter().take(FEW).map(String::as_str).collect();
        let _ = writeln!(
            text,
            "error: `{object}` needs {}{more}, and nothing that is loaded defines {}{}\nhint: {}",
            few.join(", "),
            if symbols.len() == 1 { "it" } else { "them" },
            place(programs),
            Problem::UNDEFINED_HINT,
        );
    }
    text
}

/// The programs in which a problem shows.
fn place(programs: &[ImagePath]) -> String {
    match programs {
        [] => String::new(),
        [one] => format!("\n  in `{one}`"),
        [first, rest @ ..] => format!("\n  in `{first}` and {} more", rest.len()),
    }
}
