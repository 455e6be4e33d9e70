//! Who needs whom, how each was found, and what else would have done: as text, as JSON, as a graph.
//!
//! ```text
//! text    one line a dependency, what was tried and shadowed below it
//! json    everything, for programs
//! dot     the graph, for Graphviz
//! ```
//! What the three say of a dependency is decided here, in [`Explained`].

use std::collections::BTreeMap;

use common::tree::ImagePath;

use crate::elf::{Expanded, Name, Package, Tokens, expand};
use crate::resolve::{
    Attempt, Closure, Dependency, Explanation, Fit, How, Libc, Link, Load, Program, Refused,
    Relation, Trace,
};

mod dot;
mod json;
mod text;

pub use dot::dot;
pub use json::json;
pub use text::{Style, text};

/// A closure and why it is as it is.
#[derive(Debug)]
pub struct Explained {
    /// What is loaded.
    pub closure: Closure,
    /// What was tried, and what was not taken.
    pub explanation: Explanation,
}

/// One thing that a load of a program asks for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    dependency: &'a Dependency,
    trace: Option<&'a Trace>,
    answer: Answer<'a>,
}

#[derive(Clone, Copy)]
enum Answer<'a> {
    /// Loaded because of this.
    Found(usize, &'a Load),
    /// Loaded before.
    Already(usize, &'a Load, By),
    /// Found, and nothing that can be loaded.
    Refused(&'a Refused),
    Missing,
}

/// What made an object answer to a name without being searched for, or after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// It was asked for by this name before.
    Name,
    /// `DT_SONAME`.
    Soname,
    /// The search led to its file.
    File,
    /// It is the interpreter.
    Interpreter,
}

impl Explained {
    /// The load with this number in the scope of a program: a module's numbers go on where those of
    /// its program end.
    fn load<'a>(&'a self, program: &'a Program, number: usize) -> Option<&'a Load> {
        match number.checked_sub(program.first) {
            Some(own) => program.loads.get(own),
            None => self.closure.programs.get(program.context?)?.loads.get(number),
        }
    }

    fn path(&self, load: &Load) -> Option<&ImagePath> {
        self.closure.objects.get(load.object).map(|found| &found.path)
    }

    fn package(&self, load: &Load) -> Option<Package> {
        Package::parse(self.closure.objects.get(load.object)?.object.package.as_ref()?)
    }

    /// What one of a program's own loads asks for, in order.
    fn asked(&self, program: usize, own: usize) -> Vec<Asked<'_>> {
        let Some((at, load)) =
            self.closure.programs.get(program).and_then(|at| Some((at, at.loads.get(own)?)))
        else {
            return Vec::new();
        };
        let asked = load.dependencies.iter().enumerate().map(|(index, dependency)| {
            let trace = self.explanation.trace(program, own, index);
            let answer = dependency.load.and_then(|number| Some((number, self.load(at, number)?)));
            let answer = match answer {
                Some((number, found)) if dependency.already => {
                    Answer::Already(number, found, self.by(at, dependency, found, trace))
                }
                Some((number, found)) => Answer::Found(number, found),
                None => self
                    .refused(dependency, self.path(load), trace)
                    .map_or(Answer::Missing, Answer::Refused),
            };
            Asked { dependency, trace, answer }
        });
        asked.collect()
    }

    fn by(
        &self,
        program: &Program,
        dependency: &Dependency,
        load: &Load,
        trace: Option<&Trace>,
    ) -> By {
        let name = &dependency.name;
        let soname = self.closure.objects.get(load.object).and_then(|o| o.object.soname.as_ref());
        let leads_to = trace.and_then(|trace| trace.fits.first()).map(|fit| &fit.opened);
        if load.relation == Relation::Interpreter {
            By::Interpreter
        } else if *name == load.name || *name == load.opened || leads_to == Some(&load.opened) {
            By::Name
        } else if soname == Some(name) && program.libc != Libc::Musl {
            By::Soname
        } else {
            By::File
        }
    }

    fn refused(
        &self,
        dependency: &Dependency,
        by: Option<&ImagePath>,
        trace: Option<&Trace>,
    ) -> Option<&Refused> {
        let met = |path: &Name| {
            trace.is_some_and(|trace| {
                trace.fits.iter().any(|fit| fit.opened == *path)
                    || trace.tried.iter().any(|attempt| attempt.path == *path)
            })
        };
        self.closure.refused.iter().find(|refused| {
            refused.needed_by.as_ref() == by
                && (refused.name == dependency.name || met(&refused.path))
        })
    }

    /// The file that the requester's own search would have taken, where another was loaded already;
    /// and the files that the search would have come to later.
    fn others<'a>(&'a self, asked: &Asked<'a>) -> (Option<&'a Fit>, Vec<&'a Fit>) {
        let (Answer::Found(_, load) | Answer::Already(_, load, _), Some(trace)) =
            (asked.answer, asked.trace)
        else {
            return (None, Vec::new());
        };
        let mut others: Vec<&Fit> = self.explanation.others(trace, load.object).collect();
        let first = others.first().is_some_and(|other| trace.fits.first() == Some(*other));
        (first.then(|| others.remove(0)), others)
    }

    /// The element of a search path as it stands in the object, where it says more than the folder that
    /// came of it. (Only `$ORIGIN` is put back: the values of the other tokens are compiled in.)
    fn written(&self, program: &Program, how: &How) -> Option<Name> {
        let (How::Rpath { of, folder, .. } | How::Runpath { of, folder, .. }) = how else {
            return None;
        };
        let numbers = 0..program.first + program.loads.len();
        let mut loads = numbers.filter_map(|number| self.load(program, number));
        let load = loads.find(|load| load.opened == *of)?;
        let object = &self.closure.objects.get(load.object)?.object;
        let list = match how {
            How::Rpath { .. } => object.rpath.as_ref()?,
            _ => object.runpath.as_ref().or(object.rpath.as_ref())?,
        };
        let tokens = Tokens { origin: Some(folder_of(of.as_bytes())), lib: None, platform: None };
        let element = list.as_bytes().split(|&byte| byte == b':').find(|element| {
            matches!(expand(element, tokens), Expanded::Value(value)
                if without_slashes(&value) == folder.as_bytes())
        })?;
        (without_slashes(element) != folder.as_bytes()).then(|| Name::from(element))
    }

    /// What the links at the end of a path say, one after the other; links of folders above are
    /// not told.
    fn links(&self, opened: &[u8]) -> Vec<&Name> {
        let mut chain = Vec::new();
        let mut at = resolved(&self.closure.links, folder_of(opened), base(opened));
        // As many as the kernel follows (path_resolution(7)).
        while let Some(link) = self.closure.links.get(at.as_slice()).filter(|_| chain.len() < 40) {
            let target = link.target.as_bytes();
            let folder = match target.contains(&b'/') {
                false => folder_of(&at).to_vec(),
                true if target.starts_with(b"/") => folder_of(target).to_vec(),
                true => [folder_of(&at), b"/", folder_of(target)].concat(),
            };
            chain.push(&link.target);
            at = resolved(&self.closure.links, &folder, base(target));
        }
        chain
    }
}

/// `name` in `folder`, whose links are followed.
fn resolved(links: &BTreeMap<ImagePath, Link>, folder: &[u8], name: &[u8]) -> Vec<u8> {
    let parts = |path: &[u8]| -> Vec<Vec<u8>> {
        path.rsplit(|&byte| byte == b'/')
            .filter(|part| !part.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let mut rest = parts(folder);
    let mut at = Vec::new();
    let mut left = 40;
    while let Some(part) = rest.pop() {
        match part.as_slice() {
            b"." => continue,
            b".." => {
                at.truncate(folder_end(&at));
                continue;
            }
            part => at.extend([b"/", part].concat()),
        }
        if let Some(link) = links.get(at.as_slice())
            && left > 0
        {
            left -= 1;
            let absolute = link.target.as_bytes().starts_with(b"/");
            at.truncate(if absolute { 0 } else { folder_end(&at) });
            rest.extend(parts(link.target.as_bytes()));
        }
    }
    [&at[..], b"/", name].concat()
}

/// Everything before the last slash; of a path directly below the root, the root.
fn folder_of(path: &[u8]) -> &[u8] {
    match folder_end(path) {
        0 => b"/",
        end => &path[..end],
    }
}

fn folder_end(path: &[u8]) -> usize {
    path.iter().rposition(|&byte| byte == b'/').unwrap_or(0)
}

fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

fn without_slashes(mut path: &[u8]) -> &[u8] {
    while path.len() > 1 && path.ends_with(b"/") {
        path = &path[..path.len() - 1];
    }
    path
}

/// Attempts without those that say the same as an earlier one: a folder may stand in several lists.
fn distinct(tried: &[Attempt]) -> Vec<&Attempt> {
    let mut told: Vec<&Attempt> = Vec::new();
    for attempt in tried {
        let same = |other: &&Attempt| {
            (&other.path, other.reason) == (&attempt.path, attempt.reason)
                && other.how.to_string() == attempt.how.to_string()
        };
        if !told.iter().any(same) {
            told.push(attempt);
        }
    }
    told
}
