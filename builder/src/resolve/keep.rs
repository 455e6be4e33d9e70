//! What a person does not want of the things that rules open and start: by pattern, or because no run
//! used it.
//!
//! Decides about requests only, once it is known which files they lead to: what only they need is then
//! not found either. What rules copy is left out when the image is planned.

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::requests::Asked;
use super::{Closure, Origin, Request, Sysroot};
use crate::spec::least::Least;

/// What is left out, with the real path in the root of everything that was used: a program that was executed
/// as `/usr/bin/sh` is the one that a rule calls `/bin/sh`.
pub(super) fn followed(least: &Least, sysroot: &Sysroot) -> Least {
    let mut least = least.clone();
    if let Some(used) = &mut least.used {
        let real = |path: &ImagePath| Some(sysroot.walk(path.as_bytes()).ok()?.real);
        let real: Vec<ImagePath> = used.iter().filter_map(real).collect();
        used.extend(real);
    }
    least
}

/// Takes requests of rules out of the list that lead to something unwanted, and what would be opened by
/// programs that are gone with them. Returns them, with the path of what they led to.
pub(super) fn take_unwanted(
    requests: &mut Vec<Asked>,
    closure: &Closure,
    least: &Least,
) -> Vec<(Request, ImagePath)> {
    let unwanted: BTreeSet<usize> = (0..requests.len())
        .filter(|number| !is_wanted(*number, requests, closure, least))
        .collect();
    let mut taken = Vec::new();
    let mut number = 0;
    requests.retain(|(request, _)| {
        let stays = !unwanted.contains(&number);
        if let (false, Some(path)) = (stays, path(number, request, closure)) {
            taken.push((request.clone(), path));
        }
        number += 1;
        stays
    });
    let programs: BTreeSet<ImagePath> = requests
        .iter()
        .filter_map(|(request, _)| match request {
            Request::Program(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    requests.retain(|(request, _)| match request {
        Request::Program(_) => true,
        Request::Module { program, .. } | Request::Library { program, .. } => {
            programs.contains(program)
        }
    });
    taken
}

fn is_wanted(number: usize, requests: &[Asked], closure: &Closure, least: &Least) -> bool {
    let Some((request, Some(_))) = requests.get(number) else { return true };
    if let Request::Program(path) = request {
        // The interpreter of a script is there whether a rule asks for it too or not.
        let mut scopes = closure.programs.iter().filter(|program| program.context.is_none());
        if scopes.any(|other| other.path == *path && other.request != number) {
            return true;
        }
    }
    let names = names(number, request, closure);
    let is_excluded = names.iter().any(|name| least.exclude.iter().any(|out| out.covers(name)));
    let is_unused = || least.used.as_ref().is_some_and(|used| !names.iter().any(|n| used.has(n)));
    names.is_empty() || !is_excluded && !is_unused()
}

/// The paths by which something is known that a request led to; none where it was there already.
fn names(number: usize, request: &Request, closure: &Closure) -> BTreeSet<ImagePath> {
    let mut names = BTreeSet::new();
    let asked = Origin::Request { index: number };
    for program in closure.programs.iter().filter(|program| program.origin == asked) {
        let Some(load) = program.loads.first() else { continue };
        names.extend(closure.objects.get(load.object).map(|found| found.path.clone()));
        names.extend(ImagePath::new(load.opened.as_bytes()).ok());
    }
    match request {
        Request::Module { path, .. } if !names.is_empty() => drop(names.insert(path.clone())),
        Request::Program(path) => drop(names.insert(path.clone())),
        _ => {}
    }
    names
}

fn path(number: usize, request: &Request, closure: &Closure) -> Option<ImagePath> {
    match request {
        Request::Module { path, .. } | Request::Program(path) => Some(path.clone()),
        Request::Library { .. } => names(number, request, closure).into_iter().next(),
    }
}
