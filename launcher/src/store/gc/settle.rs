//! What a prune does with what stays: remembered tarballs, and snapshots that are on no disk yet.

use std::collections::BTreeSet;

use common::digest::Digest;
use rustix::fs::{AtFlags, FlockOperation, Timespec, Timestamps, statat, utimensat};

use crate::store::snapshot::Record;
use crate::store::{SNAPSHOTS, SOURCES, Store, StoreError, below, pending};

impl Store {
    /// Whether a container, or anybody else, uses the snapshot now.
    pub(super) fn is_leased(&self, chain: Digest) -> bool {
        below::open(&self.snapshots, chain.hex().as_bytes())
            .is_ok_and(|it| pending::lock(it, FlockOperation::NonBlockingLockExclusive).is_err())
    }

    /// Forgets tarballs whose snapshot is gone, and half-written notes.
    pub(super) fn forget_tarballs(&self) -> Result<(), StoreError> {
        let path = || self.path.join(SOURCES);
        let here: BTreeSet<Digest> = self.chains()?;
        let folder = self.area(SOURCES)?;
        for name in below::names(&folder).map_err(StoreError::io("read", path()))? {
            let known = std::str::from_utf8(&name).ok().and_then(|key| self.remembered(key));
            if known.is_none_or(|chain| !here.contains(&chain)) {
                below::remove(&folder, &name).map_err(StoreError::io("remove", path()))?;
            }
        }
        Ok(())
    }

    /// Waits once until everything is on the disk, and notes so in the records of this boot.
    pub(super) fn settle_all(&self) -> Result<(), StoreError> {
        let path = || self.path.join(SNAPSHOTS);
        let mut unsettled = Vec::new();
        for chain in self.chains()? {
            let Ok(folder) = below::open(&self.snapshots, chain.hex().as_bytes()) else { continue };
            // Whoever removes it has it locked.
            if pending::lock(&folder, FlockOperation::NonBlockingLockShared).is_err() {
                continue;
            }
            match self.record(chain) {
                Some((record, _)) if record.boot.is_some() && record.is_usable(self.ids()) => {
                    unsettled.push((folder, record));
                }
                _ => {}
            }
        }
        if unsettled.is_empty() {
            return Ok(());
        }
        rustix::fs::syncfs(&self.snapshots).map_err(StoreError::io("sync", path()))?;
        for (folder, record) in unsettled {
            let used = statat(&folder, Record::FILE, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(StoreError::io("read", path()))?;
            let record = Record { boot: None, ..record };
            record.write(&folder).map_err(StoreError::io("write a record in", path()))?;
            // It was not used just now.
            let time = Timespec {
                tv_sec: used.st_mtime,
                tv_nsec: i64::try_from(used.st_mtime_nsec).unwrap_or(0),
            };
            let times = Timestamps { last_access: time, last_modification: time };
            utimensat(&folder, Record::FILE, &times, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(StoreError::io("set the time of", path()))?;
        }
        Ok(())
    }
}
