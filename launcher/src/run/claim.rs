//! Makes what a container owns, and sees to it that it owns nothing else.
//!
//! Names are unique below one folder of states. Two such folders may share a store or the host's
//! cgroups, and a folder of states may be lost (it lives in memory) while a store survives. So the
//! folder or cgroup of a new container may be there already: left over, then it goes; or another
//! living container's, then the name is taken and **must not be cleared** with the failed start.

use std::io;
use std::os::fd::OwnedFd;

use super::RunError;
use crate::cgroup::{self, Cgroup, CgroupError, CgroupPaths, CgroupPlan};
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
    match cgroup::create(plan) {
        Err(CgroupError::Exists { .. }) => {
            let found = cgroup::reopen(&plan.paths());
            if !found.processes()?.is_empty() {
                return Err(taken(held, |state| state.cgroup = CgroupPaths::default())?);
            }
            found.remove()?;
            made(held, plan)
        }
        other => known(held, plan, other?),
    }
}

fn made(held: &mut Held, plan: &CgroupPlan) -> Result<Box<dyn Cgroup>, RunError> {
    let group = cgroup::create(plan)?;
    known(held, plan, group)
}

/// Where a user's systemd makes a scope, only it knows: the state has to say so, too.
fn known(
    held: &mut Held,
    plan: &CgroupPlan,
    group: Box<dyn Cgroup>,
) -> Result<Box<dyn Cgroup>, RunError> {
    if *group.paths() != plan.paths() {
        let paths = group.paths().clone();
        held.update(|state| state.cgroup = paths)?;
    }
    Ok(group)
}

/// The error that the name is taken, once the state no longer names what is another's.
fn taken(held: &mut Held, disown: impl FnOnce(&mut State)) -> Result<RunError, RunError> {
    held.update(disown)?;
    Ok(RuntimeError::Exists(held.state().id.clone()).into())
}
