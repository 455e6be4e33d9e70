//! `delete`: what is left of a container.

use super::LifecycleError;
use super::hooks::{later, subject};
use crate::plan::{HookKind, Hooks};
use crate::runtime::{self, ContainerId, Held, RuntimeError, StateDirectory};
use crate::spawn::SpawnError;

/// Removes a container that has ended; with `force`, any, and one that is gone already is no error. Returns what went
/// wrong with its poststop hooks, which keeps nothing from being removed.
pub fn delete(
    states: &StateDirectory,
    id: &ContainerId,
    force: bool,
) -> Result<Option<SpawnError>, LifecycleError> {
    match runtime::take(states, id, force) {
        Err(RuntimeError::Missing(_)) if force => Ok(None),
        Err(error) => Err(error.into()),
        Ok(None) => Ok(None),
        Ok(Some(held)) => Ok(forget_cleared(held)?),
    }
}

/// Forgets a container of which nothing but its state is left, whoever made it. Returns what went wrong with its poststop
/// hooks.
pub fn forget_cleared(held: Held) -> Result<Option<SpawnError>, RuntimeError> {
    // Damaged: then no hook can be run, and the container has to go all the same.
    let hooks = later(&held).unwrap_or_default();
    forget(held, &hooks)
}

/// Forgets a container of which nothing else is left, its poststop hooks run.
pub(super) fn forget(held: Held, hooks: &Hooks) -> Result<Option<SpawnError>, RuntimeError> {
    let failed = subject(held.state()).run(hooks, HookKind::Poststop, None).err();
    held.remove()?;
    Ok(failed)
}
