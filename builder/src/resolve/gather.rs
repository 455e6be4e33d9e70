//! `Gathered`: everything that belongs to the programs, found by headers and by rules, until
//! neither finds more.
//!
//! A rule may name modules and programs; they are resolved like what was asked for, and may make
//! further rules fire. What rules add and cannot be resolved is left out with a warning: only what
//! a person asked for is allowed to fail the build.

use common::report::Diagnostic;
use common::tree::ImagePath;

use super::keep::followed;
use super::modules::Memory;
use super::modules::brought::Brought;
use super::regional::{self, Regional, RegionalError};
use super::replay::{Replay, ReplayError};
use super::requests::{Asked, Requests};
use super::rules::RuleSet;
use super::rules::contents::Contents;
use super::rules::fire::fire;
use super::ship::{Addition, ShipError, Shipped, Shipping};
use super::{Closure, Options, ResolveError, Resolver, Sysroot};
use crate::spec::ImageSpec;

/// Programs, their closure, and what rules add to it.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Paths of the programs that were asked for, in order.
    pub programs: Vec<ImagePath>,
    /// What was handed to the resolver, and the rule that asked for it (`None`: a person did).
    pub requests: Vec<Asked>,
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
    let replay = Replay::new(&spec.profile, sysroot)?;
    let mut requests = Requests::new(&programs);
    requests.extend(replay.requests());
    let mut contents = Contents::new(rules);
    let (brought, memory) = (Brought::new(spec, sysroot), Memory::default());
    let mut resolver = Resolver::new(sysroot, options);
    let least = followed(&spec.least, sysroot);
    loop {
        let closure = resolver.closure(&requests.plain())?;
        on_round(closure.objects.len());
        if requests.take_out(&closure, &least) {
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
        replay.add(&closure, sysroot, &requests, &mut shipping.found);
        let Shipped { requests: more, additions, warnings } = shipping.found;
        if requests.extend(more) {
            continue;
        }
        let Requests { asked: requests, unwanted, warnings: of_requests, .. } = requests;
        let of_search = closure.warnings.iter().map(ToString::to_string);
        let warnings = of_search.chain(of_requests).chain(warnings).collect();
        let unwanted = unwanted.into_iter().collect();
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
