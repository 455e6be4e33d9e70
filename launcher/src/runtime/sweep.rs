//! Clearing what containers left, from nothing but their state.
//!
//! There is one way to clear: a container that ended, one whose start failed, one whose monitor was
//! killed, and `rm` all take it. Whatever the state names may be there, half there or gone.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::private::remove_area;
use super::{
    ContainerId, Found, Held, ProcessId, RuntimeError, State, StateDirectory, Status, Timestamp,
};
use crate::cgroup;

/// How long a killed process may take to vanish.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clears after all monitors that died, and forgets their containers; those without `--rm` stay as
/// stopped. Costs one look at the folder, and a glance at each container. Returns what could not be cleared,
/// which the next sweep tries again.
pub fn sweep(states: &StateDirectory) -> Result<Vec<RuntimeError>, RuntimeError> {
    let mut failures = Vec::new();
    for id in states.ids()? {
        if !states.is_suspect(&id) {
            continue;
        }
        let cleared = states.claim(&id).and_then(|found| match found {
            Found::Free(held) => settle(held),
            Found::Living(_) | Found::Absent => Ok(()),
        });
        failures.extend(cleared.err());
    }
    Ok(failures)
}

/// Clears after one dead monitor.
fn settle(mut held: Held) -> Result<(), RuntimeError> {
    if let stopped @ Status::Stopped { .. } = held.state().status {
        // Its monitor died between saying so and marking it.
        return held.set_status(stopped);
    }
    clear(held.state())?;
    if held.state().remove {
        return held.remove();
    }
    held.set_status(Status::Stopped { exit: None, finished: Timestamp::now() })
}

/// Removes a container and its state.
pub fn remove(states: &StateDirectory, id: &ContainerId, force: bool) -> Result<(), RuntimeError> {
    let deadline = Instant::now() + PATIENCE;
    let mut was_there = false;
    loop {
        match states.claim(id)? {
            Found::Free(held) => {
                clear(held.state())?;
                return held.remove();
            }
            // Its own monitor may remove it while it is being killed here.
            Found::Absent if was_there => return Ok(()),
            Found::Absent => return Err(RuntimeError::Missing(id.clone())),
            Found::Living(state) if !force && !is_stopped(&state) => {
                return Err(RuntimeError::Running(id.clone()));
            }
            Found::Living(_) if Instant::now() > deadline => {
                return Err(RuntimeError::Unkillable(id.clone()));
            }
            Found::Living(state) => {
                was_there = true;
                if let Status::Running { process } = state.status {
                    kill(process).map_err(clean_up(id))?;
                }
                // The monitor lets go as soon as it has noticed. One that is only starting has no
                // process yet and is asked again. One that has ended is held by somebody who looks.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Removes all that the state names: processes, cgroups, the writable layer.
pub fn clear(state: &State) -> Result<(), RuntimeError> {
    let id = &state.id;
    if let Status::Running { process } = state.status {
        kill(process).map_err(clean_up(id))?;
    }
    if !state.cgroup.is_empty() {
        // Also when its process 1 is gone: it may have died before it was written down.
        let group = cgroup::reopen(&state.cgroup);
        group.kill().map_err(clean_up(id))?;
        group.remove().map_err(clean_up(id))?;
    }
    clear_files(state)
}

/// The same for a container whose process 1 was waited for: its pid namespace is dead with all in
/// it, so there is nobody to kill.
pub fn clear_ended(state: &State) -> Result<(), RuntimeError> {
    if !state.cgroup.is_empty() && cgroup::reopen(&state.cgroup).remove().is_err() {
        return clear(state);
    }
    clear_files(state)
}

fn clear_files(state: &State) -> Result<(), RuntimeError> {
    let id = &state.id;
    if let Some(store) = state.store.as_deref().filter(|store| store.exists()) {
        remove_area(store, id.as_str()).map_err(clean_up(id))?;
    }
    Ok(())
}

fn is_stopped(state: &State) -> bool {
    matches!(state.status, Status::Stopped { .. })
}

pub(super) fn clean_up<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    id: &ContainerId,
) -> impl FnOnce(E) -> RuntimeError {
    let id = id.clone();
    move |source| RuntimeError::CleanUp { id, source: source.into() }
}

/// Kills a process 1, and with it its pid namespace, and waits until all of that is gone.
fn kill(process: ProcessId) -> std::io::Result<()> {
    let Some(pidfd) = process.open()? else { return Ok(()) };
    match rustix::process::pidfd_send_signal(pidfd.as_fd(), Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(error.into()),
    }
    let patience = Timespec::try_from(PATIENCE).map_err(std::io::Error::other)?;
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience))?;
    Ok(())
}
