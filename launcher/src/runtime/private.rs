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
use crate::store::Store;

/// Where the writable layer of a container is (see [`Store`]).
pub fn private_folder(store: &Store, id: &ContainerId) -> PathBuf {
    store.path().join("containers").join(id)
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
            store.remove_private(id.as_str()).map_err(clean_up(&id))?;
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
