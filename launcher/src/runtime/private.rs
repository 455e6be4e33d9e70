//! Whose a container's private area in a store is.
//!
//! Several folders of states may share a store, and one is lost when the host restarts while the
//! store survives. A monitor therefore holds a shared `flock` on the private area of its container:
//! an area without a lock is left over.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};

use super::{ContainerId, RuntimeError, StateDirectory, sweep::clean_up};
use crate::host::Host;
use crate::store::{self, Store, StoreError};
use crate::{plan, spawn};

/// Where the writable layer of a container is (see [`Store`]).
pub fn private_folder(store: &Store, id: &ContainerId) -> PathBuf {
    store.path().join("containers").join(id)
}

/// Removes a container's private area from the store at `store`, whoever its files belong to; whether it was there.
///
/// What a container of an ordinary user wrote as another of its users belongs to subordinate ids. Only root of a user
/// namespace that maps these may remove it, so that is tried where the user himself may not.
pub fn remove_area(store: &Path, id: &str) -> Result<bool, StoreError> {
    let removed = store::remove_private(store, id);
    let denied = |error: &StoreError| matches!(error, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied);
    if rustix::process::geteuid().is_root() || !removed.as_ref().is_err_and(denied) {
        return removed;
    }
    let done = Host::probe()
        .ok()
        .and_then(|host| plan::default_maps(&host).ok())
        .and_then(|maps| spawn::inside(&maps, || store::remove_private(store, id).is_ok()).ok());
    if done == Some(true) { Ok(true) } else { removed }
}

/// Marks a private area as used, for as long as the descriptor lives.
pub fn mark_used(area: &Path) -> io::Result<OwnedFd> {
    lock(area, FlockOperation::NonBlockingLockShared)
}

/// Whether no living monitor uses the private area.
pub fn is_unused(area: &Path) -> bool {
    lock(area, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Removes the private areas that no state names and no monitor uses; how many there were.
pub fn sweep_store(store: &Store, states: &StateDirectory) -> Result<usize, RuntimeError> {
    let known = states.ids()?;
    let mut removed = 0;
    for name in store.private_ids().map_err(RuntimeError::Store)? {
        let Ok(id) = name.parse::<ContainerId>() else { continue };
        if !known.contains(&id) && is_unused(&private_folder(store, &id)) {
            remove_area(store.path(), id.as_str()).map_err(clean_up(&id))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn lock(folder: &Path, operation: FlockOperation) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty())?;
    rustix::fs::flock(&folder, operation)?;
    Ok(folder)
}
