//! `paddle run`: options become a [`Request`](crate::run::Request), and an outcome becomes a status.

mod bundle;
mod error;
mod options;
mod outcome;

use common::report::ExitCode;

use super::early::Early;
use super::output::print_json;
use super::{Done, Globals, timing};
use crate::host::Host;
use crate::timing::{Mark, mark};

use error::UsageError;
pub(super) use options::{Arguments, image_option};

/// Runs it, or prints what would be done. `image_option` is one that was typed and means nothing for a bundle.
pub(super) fn run(
    arguments: Arguments,
    image_option: Option<String>,
    globals: &Globals,
    early: Early,
) -> Done {
    if arguments.bundle.is_meant() {
        return match image_option {
            Some(option) => Err(UsageError::ImageOption(option).into()),
            None => bundle::run(arguments, globals),
        };
    }
    if image_option.is_none() && bundle::is_meant_by(&arguments, &globals.places) {
        return bundle::run(arguments, globals);
    }
    let places = &globals.places;
    let print_plan = arguments.container.print_plan;
    timing::begin(arguments.container.timing, early.since)?;
    let memory = arguments.resources.memory_limit();
    let host = Host::probe()?;
    let mut request = arguments.into_request(&host)?;
    request.cgroup_driver = globals.management.chosen_driver();
    if print_plan {
        let store = places.store()?;
        print_json(&crate::run::prepare(&request, &host, &store)?.plan)?;
        return Ok(ExitCode::Ok.into());
    }
    let ahead = early.ahead.or_else(|| crate::run::begin(&request));
    let (store, states) = (places.store()?, places.states()?);
    mark(Mark::Store);
    let outcome = crate::run::prepare(&request, &host, &store)?.launch(&store, &states, ahead)?;
    outcome::explain(&outcome, &request, memory);
    timing::print();
    Ok(outcome.ended.code())
}
