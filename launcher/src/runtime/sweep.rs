//! Clearing what containers left, from nothing but their state.
//!
//! There is one way to clear: a container that ended, one whose start failed, one whose monitor was
//! killed, and `rm` all take it. Whatever the state names may be there, half there or gone.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::private::remove_area;
use super::{
    ContainerId, Found, Held, ProcessId, RuntimeError, State, StateDirectory, Status, Timestamp,
};
use super::{creator, mounts};
use crate::{cgroup, resctrl};

/// How long a killed process may take to vanish.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many containers a command glances at that has come for something else. With hundreds of containers on a host, a glance at
/// each (5 us) would cost it more than what it has come for.
const IN_PASSING: usize = 16;

/// How long nobody glances again in passing, where there are more: to list them all costs as much.
const PAUSE: Duration = Duration::from_secs(1);

/// At which containers a sweep glances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// All of them.
    Thorough,
    /// At most sixteen, from anywhere on, and none right after another command has: in the end the commands of a host have
    /// seen all.
    InPassing,
}

/// Clears after monitors that died, and forgets their containers; those without `--rm` stay as
/// stopped. Costs one look at the folder, and a glance at each container that it looks at. Returns what could not be
/// cleared, which another sweep tries again. `forget` has to [remove](Held::remove) what goes.
pub fn sweep(
    states: &StateDirectory,
    extent: Sweep,
    forget: impl Fn(Held) -> Result<(), RuntimeError>,
) -> Result<Vec<RuntimeError>, RuntimeError> {
    let mut failures = Vec::new();
    if extent == Sweep::InPassing && states.since_glance().is_some_and(|since| since < PAUSE) {
        return Ok(failures);
    }
    let mut ids = states.ids()?;
    if extent == Sweep::InPassing && ids.len() > IN_PASSING {
        states.note_glance();
        let somewhere = UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos());
        let length = ids.len();
        ids.rotate_left(usize::try_from(somewhere).unwrap_or(0) % length);
        ids.truncate(IN_PASSING);
    }
    for id in ids {
        if !states.is_suspect(&id) {
            continue;
        }
        let cleared = states.claim(&id).and_then(|found| match found {
            Found::Free(held) => settle(held, &forget),
            Found::Living(_) | Found::Absent => Ok(()),
        });
        failures.extend(cleared.err());
    }
    Ok(failures)
}

/// Clears after one dead monitor, or after one that died while it created.
fn settle(
    mut held: Held,
    forget: impl Fn(Held) -> Result<(), RuntimeError>,
) -> Result<(), RuntimeError> {
    if let stopped @ Status::Stopped { .. } = held.state().status {
        // Its monitor died between saying so and marking it.
        return held.set_status(stopped);
    }
    let state = held.state();
    if !state.monitored && state.status != Status::Creating {
        // Its creator died between saying so and marking it: it stays as it is.
        let status = state.status;
        return held.set_status(status);
    }
    clear(state)?;
    if state.remove || !state.monitored {
        return forget(held);
    }
    held.set_status(Status::Stopped { exit: None, finished: Timestamp::now() })
}

/// Clears all that a container has and returns what is known of it, to be [forgotten](Held::remove) by the caller.
pub fn take(
    states: &StateDirectory,
    id: &ContainerId,
    force: bool,
) -> Result<Option<Held>, RuntimeError> {
    let deadline = Instant::now() + PATIENCE;
    let (mut was_there, mut interrupted) = (false, false);
    loop {
        match states.claim(id)? {
            Found::Free(held) if !force && lives(held.state()).map_err(clean_up(id))? => {
                let status = held.state().status.word();
                return Err(RuntimeError::Running { id: id.clone(), status });
            }
            Found::Free(held) => {
                clear(held.state())?;
                return Ok(Some(held));
            }
            // Its own monitor may remove it while it is being killed here.
            Found::Absent if was_there => return Ok(None),
            Found::Absent => return Err(RuntimeError::Missing(id.clone())),
            Found::Living(state) if !force && state.monitored && !state.status.is_stopped() => {
                let status = state.status.word();
                return Err(RuntimeError::Running { id: id.clone(), status });
            }
            Found::Living(_) if Instant::now() > deadline => {
                return Err(RuntimeError::Unkillable(id.clone()));
            }
            Found::Living(state) => {
                was_there = true;
                if force {
                    end(&state)?;
                    // Once: what it starts when it has failed is to run to its end.
                    if !interrupted && state.status == Status::Creating {
                        interrupted = creator::interrupt(&states.path().join(id));
                    }
                }
                // The monitor lets go as soon as it has noticed. One that is only starting has no
                // process yet and is asked again. One that has ended is held by somebody who looks.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Whether the container's process 1 runs.
fn lives(state: &State) -> std::io::Result<bool> {
    state.status.process().map_or(Ok(false), ProcessId::is_alive)
}

/// Removes all that the state names: processes, cgroups, the writable layer.
pub fn clear(state: &State) -> Result<(), RuntimeError> {
    let id = &state.id;
    end(state)?;
    if !state.cgroup.is_empty() {
        // Also when its process 1 is gone: it may have died before it was written down.
        let group = cgroup::reopen(&state.cgroup);
        if !group.remove_empty() {
            group.kill().map_err(clean_up(id))?;
            group.remove().map_err(clean_up(id))?;
        }
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

/// The same, but its cgroups stay until it is deleted, with what they have counted and nobody in them.
pub fn clear_but_groups(state: &State) -> Result<(), RuntimeError> {
    if !state.cgroup.is_empty() {
        let group = cgroup::reopen(&state.cgroup);
        if !group.processes().map_err(clean_up(&state.id))?.is_empty() {
            group.kill().map_err(clean_up(&state.id))?;
        }
    }
    clear_files(state)
}

fn clear_files(state: &State) -> Result<(), RuntimeError> {
    let id = &state.id;
    if let Some(class) = &state.rdt {
        class.remove(Path::new(resctrl::ROOT)).map_err(clean_up(id))?;
    }
    if let Some(mounted) = &state.mounted {
        mounts::clear(mounted).map_err(clean_up(id))?;
    }
    if let Some(store) = state.store.as_deref().filter(|store| store.exists()) {
        remove_area(store, id.as_str()).map_err(clean_up(id))?;
    }
    Ok(())
}

pub(super) fn clean_up<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    id: &ContainerId,
) -> impl FnOnce(E) -> RuntimeError {
    let id = id.clone();
    move |source| RuntimeError::CleanUp { id, source: source.into() }
}

/// Kills the container's process 1, if there is one, and with it its pid namespace, and waits until all of that is gone.
pub fn end(state: &State) -> Result<(), RuntimeError> {
    let Some(process) = state.status.process() else { return Ok(()) };
    let end = || -> std::io::Result<()> {
        let Some(pidfd) = process.open()? else { return Ok(()) };
        match rustix::process::pidfd_send_signal(pidfd.as_fd(), Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
        thaw(state);
        let patience = Timespec::try_from(PATIENCE).map_err(std::io::Error::other)?;
        poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience))?;
        Ok(())
    };
    end().map_err(clean_up(&state.id))
}

/// Lets a paused container that was killed die: in v1 it would not before it is resumed. What cannot be thawed is found by
/// whoever waits for the end.
pub fn thaw(state: &State) {
    if state.cgroup.is_empty() {
        return;
    }
    let group = cgroup::reopen(&state.cgroup);
    if group.frozen().unwrap_or(false) {
        group.freeze(false).ok();
    }
}
