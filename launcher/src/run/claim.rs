//! Makes what a container owns, and sees to it that it owns nothing else.
//!
//! Names are unique below one folder of states. Two such folders may share a store or the host's
//! cgroups, and a folder of states may be lost (it lives in memory) while a store survives. So the
//! folder or cgroup of a new container may be there already: left over, then it goes; or another
//! living container's, then the name is taken and **must not be cleared** with the failed start.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::RunError;
use crate::cgroup::{self, Cgroup, CgroupError, CgroupPaths, CgroupPlan};
use crate::resctrl::{self, Class, ResctrlError};
use crate::runtime::{self, Held, RuntimeError, State};
use crate::store::{Store, StoreError};

/// Makes the container's private area in the store. It is in use as long as the descriptor lives.
pub(super) fn private_area(held: &mut Held, store: &Store) -> Result<OwnedFd, RunError> {
    let id = held.state().id.clone();
    let path = runtime::private_folder(store, &id);
    match store.create_private(id.as_str()) {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            if !runtime::is_unused(&path) {
                // Its cgroups have the same name and belong to the same container.
                return Err(taken(held, |state| {
                    state.store = None;
                    state.cgroup = CgroupPaths::default();
                })?);
            }
            runtime::remove_area(store.path(), id.as_str())?;
            store.create_private(id.as_str())?;
        }
        other => drop(other?),
    }
    runtime::mark_used(&path).map_err(RunError::Private)
}

/// Makes the container's cgroups.
pub(crate) fn group(held: &mut Held, plan: &CgroupPlan) -> Result<Box<dyn Cgroup>, RunError> {
    let made = match cgroup::create(plan) {
        Err(CgroupError::Exists { .. }) => {
            let found = cgroup::reopen(&plan.paths());
            if !found.processes()?.is_empty() {
                return Err(taken(held, |state| state.cgroup = CgroupPaths::default())?);
            }
            found.remove()?;
            cgroup::create(plan)?
        }
        // A place of the caller's choice, where somebody else lives.
        Err(error @ (CgroupError::Occupied { .. } | CgroupError::Frozen { .. })) => {
            held.update(|state| state.cgroup = CgroupPaths::default())?;
            return Err(error.into());
        }
        other => other?,
    };
    if *made.paths() != held.state().cgroup {
        // systemd alone knew where.
        held.update(|state| state.cgroup = made.paths().clone())?;
    }
    Ok(made)
}

/// Makes the container's class of service. One that is another's is not cleared with the failed start.
pub(crate) fn class(held: &mut Held, class: &Class) -> Result<(), RunError> {
    match class.make(Path::new(resctrl::ROOT)) {
        Err(error @ ResctrlError::Exists(_)) => {
            held.update(|state| state.rdt = None)?;
            Err(error.into())
        }
        other => Ok(other?),
    }
}

/// The error that the name is taken, once the state no longer names what is another's.
fn taken(held: &mut Held, disown: impl FnOnce(&mut State)) -> Result<RunError, RunError> {
    held.update(disown)?;
    Ok(RuntimeError::Exists(held.state().id.clone()).into())
}
