//! Unfinished work: a snapshot being unpacked, or one being removed.
//!
//! `<store>/pending/<key>` belongs to the process that holds an exclusive `flock` on it. One that
//! nobody holds was left by a process that was killed: whoever comes next removes it, or unpacks
//! into it anew. The lock ends with its process, so that no state can be stale.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::digest::Digest;
use rustix::fs::{AtFlags, FlockOperation, Mode, RenameFlags, mkdirat, renameat_with, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use super::{Store, StoreError, below};

/// A folder in `pending/` that is ours.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    store: &'a Store,
    name: String,
    folder: OwnedFd,
}

/// Takes the lock, waiting for it.
pub(super) fn lock(fd: impl AsFd, operation: FlockOperation) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::flock(&fd, operation))
}

impl<'a> Claim<'a> {
    /// The folder `pending/<name>`, empty. Waits for another process that has it; `None` when that one
    /// has finished meanwhile, so that there may be nothing left to do.
    pub(super) fn take(store: &'a Store, name: String) -> Result<Option<Self>, StoreError> {
        let path = store.path.join(super::PENDING).join(&name);
        match mkdirat(&store.pending, &name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(StoreError::io("create", path)(error)),
        }
        let folder = match below::open(&store.pending, name.as_bytes()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        match lock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                // Waits for a shared lock, never for an exclusive one: the folder becomes a snapshot,
                // whose users then keep a shared lock as long as they like.
                lock(&folder, FlockOperation::LockShared)
                    .map_err(StoreError::io("wait for", &path))?;
                return Ok(None);
            }
            Err(error) => return Err(StoreError::io("lock", path)(error)),
        }
        if !below::is_still(&store.pending, name.as_bytes(), &folder)
            .map_err(StoreError::io("read", &path))?
        {
            return Ok(None);
        }
        below::empty(&folder).map_err(StoreError::io("empty", &path))?;
        Ok(Some(Self { store, name, folder }))
    }

    /// The folder.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Becomes `snapshots/<chain>`, in one step. Whether there was none yet.
    pub(super) fn publish(&self, chain: Digest) -> Result<bool, StoreError> {
        let (pending, snapshots) = (&self.store.pending, &self.store.snapshots);
        let name = chain.hex();
        match renameat_with(pending, &self.name, snapshots, &name, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => {
                let path = self.store.path.join(super::SNAPSHOTS).join(name);
                Err(StoreError::io("create", path)(error))
            }
        }
    }

    /// Removes it again.
    pub(super) fn discard(self) -> Result<(), StoreError> {
        self.store.discard(&self.name, self.folder)
    }
}

impl Store {
    /// Removes what killed processes left in `pending/`; how many folders that were.
    pub(super) fn sweep(&self) -> Result<usize, StoreError> {
        let path = self.path.join(super::PENDING);
        let mut swept = 0;
        for name in below::names(&self.pending).map_err(StoreError::io("read", &path))? {
            let Ok(folder) = below::open(&self.pending, &name) else { continue };
            let name = String::from_utf8_lossy(&name);
            let held = lock(&folder, FlockOperation::NonBlockingLockExclusive).is_err();
            if held || !below::is_still(&self.pending, name.as_bytes(), &folder).unwrap_or(false) {
                continue;
            }
            self.discard(&name, folder)?;
            swept += 1;
        }
        Ok(swept)
    }

    /// Removes `pending/<name>`, whose lock `folder` holds until all is gone.
    fn discard(&self, name: &str, folder: OwnedFd) -> Result<(), StoreError> {
        let path = self.path.join(super::PENDING).join(name);
        below::empty(&folder).map_err(StoreError::io("empty", &path))?;
        unlinkat(&self.pending, name, AtFlags::REMOVEDIR)
            .map_err(StoreError::io("remove", &path))?;
        drop(folder);
        Ok(())
    }

    /// Removes a snapshot that nobody leases. Whether it was there; `InUse` when somebody does.
    pub(super) fn remove_snapshot(&self, chain: Digest) -> Result<bool, StoreError> {
        let name = chain.hex();
        let path = || self.path.join(super::SNAPSHOTS).join(&name);
        let folder = match below::open(&self.snapshots, name.as_bytes()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(StoreError::io("open", path())(error)),
        };
        match lock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StoreError::InUse { digest: chain }),
            Err(error) => return Err(StoreError::io("lock", path())(error)),
        }
        if !below::is_still(&self.snapshots, name.as_bytes(), &folder)
            .map_err(StoreError::io("read", path()))?
        {
            return Ok(false);
        }
        // First out of sight, in one step: a half-removed snapshot must not be found.
        let removed = format!("removed-{name}-{}", rustix::process::getpid().as_raw_nonzero());
        let flags = RenameFlags::NOREPLACE;
        match renameat_with(&self.snapshots, &name, &self.pending, &removed, flags) {
            Ok(()) => {}
            // Another process of this pid was killed here: what it left is ours to sweep.
            Err(Errno::EXIST) => {
                self.sweep()?;
                renameat_with(&self.snapshots, &name, &self.pending, &removed, flags)
                    .map_err(StoreError::io("remove", path()))?;
            }
            Err(error) => return Err(StoreError::io("remove", path())(error)),
        }
        self.discard(&removed, folder)?;
        Ok(true)
    }
}
