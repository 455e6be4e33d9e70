//! `Gathered`: everything that belongs to the programs, found by headers and by rules, until
//! neither finds more.
//!
//! A rule may name modules and programs; they are resolved like what was asked for, and may make
//! further rules fire. What rules add and cannot be resolved is left out with a warning: only what
//! a person asked for is allowed to fail the build.

use std::collections::{BTreeMap, BTreeSet};

use common::report::Diagnostic;
use common::tree::ImagePath;

use super::replay::{Replay, ReplayError};
use super::rules::RuleSet;
use super::rules::fire::{SymbolCache, fire};
use super::ship::{Addition, Because, ShipError, Shipped, Shipping};
use super::{Closure, Options, Refused, Request, ResolveError, Resolver, Sysroot};
use crate::spec::ImageSpec;

/// Programs, their closure, and what rules add to it.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Paths of the programs that were asked for, in order.
    pub programs: Vec<ImagePath>,
    /// What was handed to the resolver, and the rule that asked for it (`None`: a person did).
    pub requests: Vec<(Request, Option<Because>)>,
    /// What the loader would load.
    pub closure: Closure,
    /// What rules add besides objects.
    pub additions: Vec<Addition>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Why there is nothing to plan with.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The resolver refused a request.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A rule cannot be followed.
    #[error(transparent)]
    Ship(#[from] ShipError),
    /// A profile cannot be followed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl Diagnostic for GatherError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Resolve(error) => error.hint(),
            Self::Ship(error) => error.hint(),
            Self::Replay(error) => error.hint(),
        }
    }
}

/// Finds everything. Names of programs are looked up in the folders of `path` (joined by `:`).
/// `on_round` is told how many objects are known after each round.
pub fn gather(
    spec: &ImageSpec,
    sysroot: &Sysroot,
    options: &Options,
    path: &[u8],
    rules: &RuleSet,
    mut on_round: impl FnMut(usize),
) -> Result<Gathered, GatherError> {
    let programs = spec
        .programs
        .iter()
        .map(|program| sysroot.locate(program.as_bytes(), path))
        .collect::<Result<Vec<_>, _>>()?;
    let mut requests: Vec<(Request, Option<Because>)> =
        programs.iter().map(|path| (Request::Program(path.clone()), None)).collect();
    let replay = Replay::new(&spec.profile, sysroot)?;
    for (request, because) in replay.requests() {
        if !requests.iter().any(|(other, _)| *other == request) {
            requests.push((request, Some(because)));
        }
    }
    let mut cache = SymbolCache::default();
    let mut left_out = LeftOut::default();
    let mut resolver = Resolver::new(sysroot, options);
    loop {
        let asked: Vec<Request> = requests.iter().map(|(request, _)| request.clone()).collect();
        let closure = resolver.closure(&asked)?;
        on_round(closure.objects.len());
        if left_out.remove_failures(&mut requests, &closure) {
            continue;
        }
        let firings = fire(rules, &closure, sysroot, &mut cache);
        let mut shipping = Shipping { sysroot, closure: &closure, found: Shipped::default() };
        for firing in &firings {
            shipping.ship(firing)?;
        }
        let refused = &left_out.requests;
        replay.add(&closure, sysroot, &requests, refused, &mut shipping.found);
        let Shipped { requests: more, additions, warnings } = shipping.found;
        let before = requests.len();
        for (request, because) in more {
            let known = requests.iter().any(|(other, _)| *other == request);
            if !known && !left_out.requests.contains(&request) {
                requests.push((request, Some(because)));
            }
        }
        if requests.len() == before {
            let of_search = closure.warnings.iter().map(ToString::to_string);
            let warnings = of_search.chain(left_out.warnings).chain(warnings).collect();
            return Ok(Gathered { programs, requests, closure, additions, warnings });
        }
    }
}

/// Requests of rules that failed.
#[derive(Debug, Default)]
struct LeftOut {
    requests: Vec<Request>,
    warnings: BTreeSet<String>,
}

impl LeftOut {
    /// Takes requests of rules out of the list that lead to something missing or refused; whether there
    /// was one.
    fn remove_failures(
        &mut self,
        requests: &mut Vec<(Request, Option<Because>)>,
        closure: &Closure,
    ) -> bool {
        let mut failures: BTreeMap<usize, String> = BTreeMap::new();
        for missing in &closure.missing {
            failures.entry(missing.request).or_insert(format!("`{}` is missing", missing.name));
        }
        for Refused { request, path, why, .. } in &closure.refused {
            failures.entry(*request).or_insert(format!("`{path}`: {why}"));
        }
        let before = requests.len();
        let mut number = 0;
        requests.retain(|(request, because)| {
            let failure = failures.get(&number);
            number += 1;
            let (Some(because), Some(why)) = (because, failure) else { return true };
            // What was executed has to run again.
            if because.run && matches!(request, Request::Program(_)) {
                return true;
            }
            self.requests.push(request.clone());
            let what = match request {
                Request::Module { path, .. } | Request::Program(path) => path.to_string(),
                Request::Library { name, .. } => name.to_string(),
            };
            self.warnings.insert(if because.run {
                format!("a profile names `{what}`, which is copied, not resolved: {why}")
            } else {
                format!("rule {} leaves out `{what}`: {why}", because.rule)
            });
            false
        });
        requests.len() != before
    }
}
