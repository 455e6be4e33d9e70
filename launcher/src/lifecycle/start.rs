//! `start`: the program of a container that was created.

use rustix::process::Pid;

use super::LifecycleError;
use super::delete::forget;
use super::hooks::{later, subject};
use crate::plan::{HookKind, Hooks};
use crate::runtime::{self, ContainerId, Held, RuntimeError, StateDirectory, Status};
use crate::spawn;

/// Starts the container's program; returns when it was executed and poststart hooks have run.
pub fn start(states: &StateDirectory, id: &ContainerId) -> Result<(), LifecycleError> {
    let mut held = match states.hold(id) {
        Err(RuntimeError::Held { id, status }) => {
            return Err(LifecycleError::NotCreated { id, status });
        }
        other => other?,
    };
    if held.state().command.is_empty() {
        return Err(LifecycleError::NoProcess(id.clone()));
    }
    let hooks = later(&held)?;
    match start_held(&mut held, &hooks) {
        Ok(()) => Ok(()),
        Err(Failed::Start(error)) => Err(error),
        Err(Failed::Poststart(error)) => {
            // A container whose hook failed has no further life.
            runtime::clear(held.state())?;
            forget(held, &hooks)?;
            Err(error)
        }
    }
}

/// How a start failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The program does not run.
    Start(LifecycleError),
    /// The program runs, and is to end.
    Poststart(LifecycleError),
}

impl<E: Into<LifecycleError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Start(error.into())
    }
}

/// Starts the container that is held.
pub(super) fn start_held(held: &mut Held, hooks: &Hooks) -> Result<(), Failed> {
    let id = held.state().id.clone();
    let status = runtime::current(held.state()).map_err(LifecycleError::Identity)?;
    let Status::Created { process } = status else {
        return Err(LifecycleError::NotCreated { id, status: status.word() }.into());
    };
    let starting = spawn::reach(held.folder(), id.as_str())?;
    // Before the word is given: who finds it created may start it, which must not happen twice. Should this process die
    // in between, process 1 does too.
    held.set_status(Status::Running { process })?;
    held.remove_socket()?;
    if let Err(error) = starting.start() {
        runtime::end(held.state())?;
        return Err(error.into());
    }
    let pid = Pid::from_raw(process.pid);
    subject(held.state())
        .run(hooks, HookKind::Poststart, pid)
        .map_err(|error| Failed::Poststart(error.into()))
}
