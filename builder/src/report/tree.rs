//! Who needs whom, as an indented text or as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::resolve::{
    Closure, Dependency, How, Libc, Load, Missing, Origin, Program, Refused, Relation, Warning,
};

/// One line per dependency, below the object that asks; an object's own dependencies are told where
/// it is loaded first.
///
/// ```text
/// /usr/bin/app (glibc)
///   /lib64/ld-linux-x86-64.so.2 (interpreter)
///   libz.so.1 => /lib/libz.so.1 (ld.so.cache)
///     libc.so.6 => /lib/libc.so.6 (ld.so.cache)
///   libc.so.6 (loaded already)
///   libgone.so.1 => missing
/// ```
pub fn text(closure: &Closure) -> String {
    let mut text = String::new();
    for program in closure.programs.iter().filter(|program| program.context.is_none()) {
        let _ = match &program.origin {
            Origin::Request { .. } => writeln!(text, "{} ({})", program.path, program.libc),
            Origin::Shebang { script } => {
                writeln!(text, "{} ({}), interpreter of {script}", program.path, program.libc)
            }
            Origin::Note { by, .. } => {
                writeln!(text, "{} ({}), which {by} opens", program.path, program.libc)
            }
            Origin::Env { script } => {
                writeln!(text, "{} ({}), which {script} gives to env", program.path, program.libc)
            }
        };
        let outside =
            |load: &&Load| matches!(load.relation, Relation::Interpreter | Relation::Preload);
        for load in program.loads.iter().filter(outside) {
            let _ = writeln!(text, "  {} ({})", load.opened, load.relation);
            if load.relation == Relation::Preload {
                below(&mut text, program, load, 2);
            }
        }
        if let Some(load) = program.loads.first() {
            below(&mut text, program, load, 1);
        }
    }
    text
}

/// The dependencies of a load, and theirs. Not recursive: a chain of libraries may be any length.
fn below(text: &mut String, program: &Program, load: &Load, depth: usize) {
    let mut stack: Vec<(usize, &Dependency)> =
        load.dependencies.iter().rev().map(|dependency| (depth, dependency)).collect();
    while let Some((depth, dependency)) = stack.pop() {
        let _ = write!(text, "{:indent$}{}", "", dependency.name, indent = depth * 2);
        let tag = match dependency.relation {
            Relation::Needed => String::new(),
            other => format!("{other}, "),
        };
        let Some(found) = dependency.load.and_then(|number| program.loads.get(number)) else {
            let _ = writeln!(text, " => missing");
            continue;
        };
        if dependency.already {
            let _ = writeln!(text, " ({tag}loaded already)");
            continue;
        }
        let _ = writeln!(text, " => {} ({tag}{})", found.opened, found.how);
        stack.extend(found.dependencies.iter().rev().map(|next| (depth + 1, next)));
    }
}

/// The same as JSON: an object with `programs`, `missing`, `refused` and `warnings`. Bytes that are
/// no text are escaped.
///
/// # Errors
/// None in practice: every key is a string.
pub fn json(closure: &Closure) -> serde_json::Result<String> {
    let programs = closure.programs.iter().map(|program| program_view(closure, program)).collect();
    serde_json::to_string_pretty(&View {
        programs,
        missing: &closure.missing,
        refused: &closure.refused,
        warnings: &closure.warnings,
    })
}

#[derive(Serialize)]
struct View<'a> {
    programs: Vec<ProgramView<'a>>,
    missing: &'a [Missing],
    refused: &'a [Refused],
    warnings: &'a [Warning],
}

#[derive(Serialize)]
struct ProgramView<'a> {
    path: String,
    origin: &'a Origin,
    libc: Libc,
    loads: Vec<LoadView<'a>>,
}

#[derive(Serialize)]
struct LoadView<'a> {
    name: String,
    opened: String,
    path: String,
    relation: Relation,
    how: &'a How,
    needed_by: Option<String>,
    dependencies: Vec<DependencyView>,
}

#[derive(Serialize)]
struct DependencyView {
    name: String,
    relation: Relation,
    /// Path by which it was opened; nothing where it is missing.
    opened: Option<String>,
    already: bool,
}

fn program_view<'a>(closure: &'a Closure, program: &'a Program) -> ProgramView<'a> {
    // A module's numbers go on where those of its program end.
    let base = program.context.and_then(|at| closure.programs.get(at));
    let load = |number: usize| match number.checked_sub(program.first) {
        Some(own) => program.loads.get(own),
        None => base.and_then(|base| base.loads.get(number)),
    };
    let loads = program.loads.iter().map(|loaded| LoadView {
        name: loaded.name.to_string(),
        opened: loaded.opened.to_string(),
        path: closure.objects.get(loaded.object).map(|o| o.path.to_string()).unwrap_or_default(),
        relation: loaded.relation,
        how: &loaded.how,
        needed_by: loaded.by.and_then(load).map(|by| by.opened.to_string()),
        dependencies: loaded
            .dependencies
            .iter()
            .map(|dependency| DependencyView {
                name: dependency.name.to_string(),
                relation: dependency.relation,
                opened: dependency.load.and_then(load).map(|found| found.opened.to_string()),
                already: dependency.already,
            })
            .collect(),
    });
    ProgramView {
        path: program.path.to_string(),
        origin: &program.origin,
        libc: program.libc,
        loads: loads.collect(),
    }
}
