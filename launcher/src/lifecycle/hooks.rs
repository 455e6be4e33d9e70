//! What a container's hooks are told, and which of them are still to run.

use std::path::Path;

use super::LifecycleError;
use crate::plan::{Hooks, hooks_of};
use crate::runtime::{Held, State};
use crate::spawn::Subject;

/// What hooks are told of it.
pub(super) fn subject(state: &State) -> Subject<'_> {
    Subject {
        id: state.id.as_str(),
        bundle: state.bundle.as_deref().unwrap_or(Path::new("/")),
        annotations: &state.annotations,
    }
}

/// Those after the start and after the end. The state has them, so that neither reads the whole specification again.
pub(super) fn later(held: &Held) -> Result<Hooks, LifecycleError> {
    let state = held.state();
    match (&state.hooks, &state.bundle) {
        (Some(hooks), _) => Ok(hooks.clone()),
        (None, Some(_)) => Ok(hooks_of(&held.config()?)?),
        (None, None) => Ok(Hooks::default()),
    }
}
