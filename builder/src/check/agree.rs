//! Whether the loader names what the search names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::loader::{Answer, NO_ANSWER, Question, ask, is_trusted};
use super::{Asked, Problem, Report, jail};
use crate::elf::Name;
use crate::resolve::{Closure, Load, Options, Program, Relation, Sysroot};

/// For all loaders together: those of a hostile image may take their time, for each of its programs.
const LONGEST: Duration = Duration::from_mins(5);

/// Asks the loader of every program of the closure, and adds to `report`, which is of the same closure,
/// what it said. A loader that is not the host's own is asked only if `foreign` allows it, in a jail.
pub fn agree(
    report: &mut Report,
    closure: &Closure,
    sysroot: &Sysroot,
    options: &Options,
    foreign: bool,
) {
    let end = Instant::now() + LONGEST;
    let mut mute = BTreeSet::new();
    for (number, program) in closure.programs.iter().enumerate() {
        let Some(question) = Question::about(closure, program, options) else {
            let why = match program.context {
                Some(_) => "it is the program that opens a module",
                None if !program.processor.is_baseline() => "this processor may be another",
                None => "there is none",
            };
            set(report, number, Asked::No { why: why.to_owned() });
            continue;
        };
        let answer = match is_trusted(closure, program, sysroot) {
            _ if mute.contains(&question.loader) || Instant::now() > end => {
                Err("it took too long for other programs".to_owned())
            }
            Ok(()) => ask(&question),
            Err(_why) if foreign => jail::ask(&question, sysroot),
            Err(why) => Err(why),
        };
        let asked = match answer {
            Err(why) => {
                if why.starts_with(NO_ANSWER) {
                    mute.insert(question.loader);
                }
                Asked::No { why }
            }
            Ok(answer) => {
                let (names, differences) = compare(closure, program, &answer);
                let agrees = differences.is_empty();
                for problem in differences {
                    report.add(problem, &program.path);
                }
                if agrees { Asked::Agrees { names } } else { Asked::Differs }
            }
        };
        set(report, number, asked);
    }
}

fn set(report: &mut Report, number: usize, asked: Asked) {
    if let Some(scoped) = report.scopes.get_mut(number) {
        scoped.loader = asked;
    }
}

/// Number of names, and where both differ.
fn compare(closure: &Closure, program: &Program, answer: &Answer) -> (usize, Vec<Problem>) {
    let refused = closure.refused.iter().any(|refused| refused.program == program.path);
    if let Some(said) = &answer.fatal {
        // A refused object is where the loader stops; it is told already.
        let problem = Problem::GivesUp { said: said.clone() };
        return (0, if refused { Vec::new() } else { vec![problem] });
    }
    let ours = ours(closure, program);
    let mut problems = Vec::new();
    let names: BTreeSet<&Name> =
        ours.keys().chain(answer.found.keys()).chain(&answer.missing).collect();
    let is_loader = |name: &Name| {
        let interpreter = |load: &&Load| load.relation == Relation::Interpreter;
        program.loads.iter().filter(interpreter).any(|load| {
            let path = answer.found.get(name).unwrap_or(name);
            // The loader answers by its own name, whichever way it was called.
            path == &load.opened || file_name(path) == file_name(&load.opened)
        })
    };
    let mut compared = 0;
    for name in names {
        let found = ours.get(name).cloned().flatten();
        let theirs = answer.found.get(name).cloned();
        if is_loader(name) && found.is_none() {
            continue;
        }
        compared += 1;
        if found != theirs {
            problems.push(Problem::Disagreement { name: name.clone(), ours: found, theirs });
        }
    }
    (compared, problems)
}

/// Every name that was asked for, and the path that was opened for it first.
fn ours(closure: &Closure, program: &Program) -> BTreeMap<Name, Option<Name>> {
    let mut ours = BTreeMap::new();
    let loaded = program.loads.iter().skip(1).filter(|load| {
        // Auditors are not listed.
        !matches!(load.relation, Relation::Interpreter | Relation::Audit)
    });
    for load in loaded {
        ours.insert(load.name.clone(), Some(load.opened.clone()));
    }
    let missing = closure.missing.iter().filter(|missing| missing.program == program.path);
    for missing in missing {
        ours.entry(missing.name.clone()).or_insert(None);
    }
    ours
}

fn file_name(path: &Name) -> &[u8] {
    path.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}
