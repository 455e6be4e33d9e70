//! `paddle run`: options become a [`Request`](crate::run::Request), and an outcome becomes a status.

mod error;
mod options;
mod outcome;

use std::process::ExitCode as Status;

use common::report::ExitCode;

use super::output::print_json;
use super::{Done, Globals};
use crate::host::Host;
use crate::lifecycle::{self, Foreground};
use crate::spawn;
use crate::spec::Bundle;
use crate::timing::{self, Mark, mark};

use error::UsageError;
pub(super) use options::Arguments;
use options::FromBundle;

/// Runs it, or prints what would be done.
pub(super) fn run(arguments: Arguments, globals: &Globals, since: u64) -> Done {
    if arguments.bundle.bundle.is_some() {
        return run_bundle(arguments, globals);
    }
    let places = &globals.places;
    let print_plan = arguments.container.print_plan;
    if arguments.container.timing {
        timing::enable(since).map_err(UsageError::Timing)?;
        mark(Mark::Parsed);
    }
    let memory = arguments.resources.memory_limit();
    let host = Host::probe()?;
    let mut request = arguments.into_request(&host)?;
    request.cgroup_driver = globals.management.chosen_driver();
    let store = places.store()?;
    if print_plan {
        print_json(&crate::run::prepare(&request, &host, &store)?.plan)?;
        return Ok(ExitCode::Ok.into());
    }
    let states = places.states()?;
    mark(Mark::Store);
    let outcome = crate::run::run(&request, &host, &store, &states)?;
    outcome::explain(&outcome, &request, memory);
    super::timing::print();
    Ok(Status::from(outcome.ended.code()))
}

/// Runs a bundle.
fn run_bundle(arguments: Arguments, globals: &Globals) -> Done {
    let Arguments {
        bundle: FromBundle { bundle, detach, keep, making, .. }, image_and_args, ..
    } = arguments;
    let mut words = image_and_args.into_iter().map(options::text);
    let id = words.next().transpose()?.unwrap_or_default().parse().map_err(UsageError::Id)?;
    if let Some(more) = words.next().transpose()? {
        return Err(UsageError::AfterId(more).into());
    }
    let (options, handles) = making.into_parts(globals)?;
    // Its process 1 is this program for a moment in which hooks run.
    spawn::out_of_reach()?;
    let states = globals.places.states()?;
    let bundle = Bundle::load(&bundle.unwrap_or_default())?;
    bundle.warnings.iter().for_each(|warning| globals.warn(warning));
    let request = lifecycle::Request { id, bundle, options, handles };
    let foreground = if detach { Foreground::No } else { Foreground::Yes { keep } };
    let (ended, hooks) = lifecycle::run(&request, &states, foreground)?;
    globals.warn_of(hooks.as_ref());
    Ok(ended.map_or(ExitCode::Ok.into(), |ended| Status::from(ended.code())))
}
