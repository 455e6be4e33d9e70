//! A rootfs tarball outside the store, and what is remembered of it.
//!
//! A tarball is one layer without a configuration. Which layer, only reading all of it can tell; so
//! `<store>/sources/<key>` keeps the chain id of a file that was read before. The key is made of what
//! the kernel says about the file (device, inode, size, times of content and of status): whoever
//! writes to the file changes it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::digest::Digest;
use rustix::fs::{Mode, OFlags, openat};

use super::{SOURCES, Store, StoreError, below};

/// How coarse the kernel's file times are at most (a tick at 100 Hz), and some more.
const TICK: Duration = Duration::from_millis(20);

/// An opened tarball.
#[derive(Debug)]
pub(super) struct Tarball {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) identity: Identity,
}

/// What changes when the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// Of an open file. Waits until a later write would have another time.
    pub(super) fn of(file: &File, path: &Path) -> Result<Self, StoreError> {
        let metadata = file.metadata().map_err(StoreError::io("read", path))?;
        let identity = Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        let age =
            identity.changed().and_then(|changed| SystemTime::now().duration_since(changed).ok());
        match age {
            Some(age) if age < TICK => {
                std::thread::sleep(TICK.saturating_sub(age));
                // Again, in case that it was written to in its first tick.
                Self::of(file, path)
            }
            _ => Ok(identity),
        }
    }

    fn changed(&self) -> Option<SystemTime> {
        let (seconds, nanoseconds) = self.changed;
        let since = Duration::new(seconds.try_into().ok()?, nanoseconds.try_into().ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }

    /// A name for a file of this identity.
    pub(super) fn key(&self) -> String {
        Digest::of(format!("{self:?}").as_bytes()).hex()
    }
}

impl Store {
    /// What was unpacked from a file of this identity.
    pub(super) fn known_tarball(&self, identity: &Identity) -> Option<Digest> {
        self.remembered(&identity.key())
    }

    /// What `sources/<key>` says.
    pub(super) fn remembered(&self, key: &str) -> Option<Digest> {
        let folder = self.area(SOURCES).ok()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(folder, key, flags, Mode::empty()).ok()?;
        let mut text = String::new();
        File::from(file).take(128).read_to_string(&mut text).ok()?;
        text.parse().ok()
    }

    /// Remembers what was unpacked from a file.
    pub(super) fn remember_tarball(
        &self,
        tarball: &Tarball,
        chain: Digest,
    ) -> Result<(), StoreError> {
        let key = tarball.identity.key();
        let folder = self.area(SOURCES)?;
        below::write_beside(folder, &key, chain.to_string().as_bytes(), false)
            .map_err(StoreError::io("write", self.path.join(SOURCES).join(&key)))
    }
}
