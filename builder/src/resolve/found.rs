//! What of a run a loader finds by itself, so that a profile need not say it.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;

use super::{Closure, Options, Request, Resolver, Sysroot};
use crate::spec::profile::{Profile, Seen};
use crate::spec::search::{Cpus, DlopenPolicy};

/// By program, the paths among those that it opened which its closure has; and of the modules that it
/// opened besides, what they need themselves.
///
/// A program that cannot be resolved has none.
pub fn by_loader(profile: &Profile, sysroot: &Sysroot) -> BTreeMap<ImagePath, BTreeSet<ImagePath>> {
    // The run may have loaded variants for this machine's processor.
    let options = Options { cpus: Cpus::All, dlopen: DlopenPolicy::none(), ..Options::default() };
    let mut resolver = Resolver::new(sysroot, &options);
    let mut found = BTreeMap::new();
    for (program, seen) in &profile.programs {
        let request = Request::Program(program.clone());
        let Ok(closure) = resolver.closure(std::slice::from_ref(&request)) else { continue };
        let mut of_program = of_closure(seen, sysroot, &closure);
        let modules: Vec<&ImagePath> = seen
            .opened
            .iter()
            .filter(|path| !of_program.contains(*path) && sysroot.starts_with(path, b"\x7fELF"))
            .collect();
        if let Some(opener) = closure.programs.iter().rfind(|program| program.context.is_none()) {
            let mut requests = vec![Request::Program(opener.path.clone())];
            requests.extend(modules.iter().map(|path| Request::Module {
                path: (*path).clone(),
                program: opener.path.clone(),
            }));
            if let Ok(closure) = resolver.closure(&requests) {
                of_program.extend(of_modules(&modules, sysroot, &closure));
            }
        }
        found.insert(program.clone(), of_program);
    }
    found
}

/// What lies in a closure with all links that lead there.
fn of_closure(seen: &Seen, sysroot: &Sysroot, closure: &Closure) -> BTreeSet<ImagePath> {
    seen.opened.iter().filter(|path| has(closure, sysroot, path)).cloned().collect()
}

/// Whether a closure has a path: the file, and all links that lead there.
fn has(closure: &Closure, sysroot: &Sysroot, path: &ImagePath) -> bool {
    let Ok(walk) = sysroot.walk(path.as_bytes()) else { return false };
    closure.files().contains(&&walk.real)
        && walk.links.iter().all(|link| closure.links.contains_key(&link.path))
}

/// Modules that another one of them needs. Of two that need each other, the first stays.
fn of_modules(modules: &[&ImagePath], sysroot: &Sysroot, closure: &Closure) -> BTreeSet<ImagePath> {
    let real = |path: &ImagePath| sysroot.walk(path.as_bytes()).ok().map(|walk| walk.real);
    let reals: Vec<Option<ImagePath>> = modules.iter().map(|path| real(path)).collect();
    let mut needs: Vec<BTreeSet<&ImagePath>> = vec![BTreeSet::new(); modules.len()];
    for scope in closure.programs.iter().filter(|scope| scope.context.is_some()) {
        // The program itself is the first request.
        let Some(needs) = scope.request.checked_sub(1).and_then(|number| needs.get_mut(number))
        else {
            continue;
        };
        let loads = scope.loads.iter().skip(1);
        needs.extend(loads.filter_map(|load| Some(&closure.objects.get(load.object)?.path)));
    }
    let is_needed = |number: usize, by: usize| {
        let (Some(one), Some(other)) = (&reals[number], &reals[by]) else { return false };
        let back = needs[number].contains(other);
        one != other && needs[by].contains(one) && (!back || by < number)
    };
    let numbers = 0..modules.len();
    numbers
        .clone()
        .filter(|&number| numbers.clone().any(|by| is_needed(number, by)))
        .filter_map(|number| modules.get(number).map(|path| (*path).clone()))
        .collect()
}
