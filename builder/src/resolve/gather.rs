//! `Gathered`: everything that belongs to the programs, found by headers and by rules, until
//! neither finds more.
//!
//! A rule may name modules and programs; they are resolved like what was asked for, and may make
//! further rules fire. What rules add and cannot be resolved is left out with a warning: only what
//! a person asked for is allowed to fail the build.

use std::collections::{BTreeMap, BTreeSet};

use common::report::Diagnostic;
use common::tree::ImagePath;

use super::keep::take_unwanted;
use super::modules::Memory;
use super::modules::brought::Brought;
use super::regional::{self, Regional, RegionalError};
use super::replay::{Replay, ReplayError};
use super::rules::RuleSet;
use super::rules::contents::Contents;
use super::rules::fire::fire;
use super::ship::{Addition, ShipError, Shipped, Shipping};
use super::{Because, Closure, Options, Refused, Request, ResolveError, Resolver, Sysroot};
use crate::spec::ImageSpec;
use crate::spec::least::Least;

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
    /// What rules would open or start, and a person left out.
    pub unwanted: Vec<ImagePath>,
    /// What locales and time zones that a person asked for bring.
    pub regional: Vec<Regional>,
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
    /// The root has not a locale or a time zone.
    #[error(transparent)]
    Regional(#[from] RegionalError),
    /// A profile cannot be followed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl Diagnostic for GatherError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Resolve(error) => error.hint(),
            Self::Ship(error) => error.hint(),
            Self::Regional(error) => error.hint(),
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
    let regional = regional::find(&spec.locales, &spec.zones, sysroot)?;
    let mut requests: Vec<(Request, Option<Because>)> =
        programs.iter().map(|path| (Request::Program(path.clone()), None)).collect();
    let mut contents = Contents::new(rules);
    let replay = Replay::new(&spec.profile, sysroot)?;
    for (request, because) in replay.requests() {
        if !requests.iter().any(|(other, _)| *other == request) {
            requests.push((request, Some(because)));
        }
    }
    let mut left_out = LeftOut::default();
    let (brought, memory) = (Brought::new(spec, sysroot), Memory::default());
    let mut resolver = Resolver::new(sysroot, options);
    loop {
        let asked: Vec<Request> = requests.iter().map(|(request, _)| request.clone()).collect();
        let closure = resolver.closure(&asked)?;
        on_round(closure.objects.len());
        if left_out.remove_failures(&mut requests, &closure)
            || left_out.remove_unwanted(&mut requests, &closure, &spec.least)
        {
            continue;
        }
        let firings = fire(rules, &closure, sysroot, &mut contents);
        let mut shipping = Shipping {
            sysroot,
            closure: &closure,
            asked: &spec.modules,
            brought: &brought,
            memory: &memory,
            found: Shipped::default(),
        };
        for firing in &firings {
            shipping.ship(firing)?;
        }
        shipping.warn(&firings);
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
            let unwanted = left_out.unwanted.into_iter().collect();
            return Ok(Gathered {
                programs,
                requests,
                closure,
                additions,
                unwanted,
                regional,
                warnings,
            });
        }
    }
}

/// Requests of rules that failed, or are not wanted.
#[derive(Debug, Default)]
struct LeftOut {
    requests: Vec<Request>,
    unwanted: BTreeSet<ImagePath>,
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
            if because.is_run() && matches!(request, Request::Program(_)) {
                return true;
            }
            self.requests.push(request.clone());
            let what = match request {
                Request::Module { path, .. } | Request::Program(path) => path.to_string(),
                Request::Library { name, .. } => name.to_string(),
            };
            self.warnings.insert(if because.is_run() {
                format!("a profile names `{what}`, which is copied, not resolved: {why}")
            } else {
                format!("{} leaves out `{what}`: {why}", because.who())
            });
            false
        });
        requests.len() != before
    }

    /// Takes requests of rules out of the list that lead to what a person left out; whether there was
    /// one.
    fn remove_unwanted(
        &mut self,
        requests: &mut Vec<(Request, Option<Because>)>,
        closure: &Closure,
        least: &Least,
    ) -> bool {
        let before = requests.len();
        for (request, path) in take_unwanted(requests, closure, least) {
            self.requests.push(request);
            self.unwanted.insert(path);
        }
        requests.len() != before
    }
}
