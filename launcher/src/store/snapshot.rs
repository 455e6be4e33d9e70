//! `Snapshot`: a lease on an unpacked root filesystem.
//!
//! Decides whether what stands in `snapshots/<chain>` may be used. Nothing of a snapshot is synced to
//! the disk before its first use, since that would make the first launch wait for the disk. Instead
//! its record names the boot in which it was unpacked: in that boot it is whole, because it was
//! renamed into place when it was complete. In a later boot it is used only if it was
//! [settled](Snapshot::settle), otherwise it is unpacked anew: a power cut may have torn it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use common::digest::Digest;
use rustix::fs::{
    FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens, openat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::tarball::Tarball;
use super::{Store, StoreError, below, erofs, pending};

/// Whose files a snapshot has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// The numeric owners of the image: root unpacked it.
    Kept,
    /// All files belong to the user that unpacked it, who is root in the container's user namespace.
    Squashed,
}

/// What a root filesystem is on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A folder.
    #[default]
    Folder,
    /// A file that is mounted.
    Erofs,
}

impl Format {
    /// Whether it is the usual one.
    pub fn is_folder(&self) -> bool {
        *self == Self::Folder
    }
}

/// An unpacked root filesystem, which nobody removes while this value lives (a shared `flock`).
#[derive(Debug)]
pub struct Snapshot {
    digest: Digest,
    path: PathBuf,
    root: OwnedFd,
    record: Record,
    lease: OwnedFd,
}

/// The file `record` beside `root`. Its modification time is the snapshot's last use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// [`Record::VERSION`]; of another one we know nothing.
    pub(super) version: u32,
    /// The boot in which it was unpacked; none once it is known to be on the disk.
    pub(super) boot: Option<String>,
    pub(super) ids: Ids,
    /// A folder in records of a time when there was nothing else.
    #[serde(default)]
    pub(super) format: Format,
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// Files, folders and links.
    pub(super) entries: u64,
}

impl Record {
    /// Changes with what unpacking makes of the same image.
    pub(super) const VERSION: u32 = 1;
    pub(super) const FILE: &'static str = "record";
    /// Far more than it ever has.
    const MOST: u64 = 4096;

    pub(super) fn write(&self, folder: impl AsFd) -> Result<(), io::Error> {
        let text = serde_json::to_vec(self)?;
        below::write_beside(folder, Self::FILE, &text, self.boot.is_none())?;
        Ok(())
    }

    fn open(folder: impl AsFd) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(folder, Self::FILE, flags, Mode::empty()).map(File::from)
    }

    fn read(file: &File) -> Option<Self> {
        let mut text = Vec::with_capacity(256);
        file.take(Self::MOST).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Whether a snapshot with this record can be used now, by who wants these ids.
    pub(super) fn is_usable(&self, ids: Ids) -> bool {
        self.version == Self::VERSION
            && self.ids == ids
            && self.boot.as_ref().is_none_or(|boot| current_boot().as_ref() == Some(boot))
    }
}

/// The random id of this boot (random(4)); `None` without procfs.
pub(super) fn current_boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// What stands in a snapshot's place.
#[derive(Debug)]
pub(super) enum Found {
    /// One that can be used, leased.
    Ready(Snapshot),
    /// One of an earlier boot, or of another version of this program.
    Stale,
    /// Nothing.
    Absent,
}

impl Store {
    /// Leases the snapshot of a chain, if it is there and whole, and notes that it was used.
    pub(super) fn lease(&self, chain: Digest) -> Result<Found, StoreError> {
        let name = chain.hex();
        let path = || self.path.join(super::SNAPSHOTS).join(&name);
        loop {
            let folder = match below::open(&self.snapshots, name.as_bytes()) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => return Ok(Found::Absent),
                Err(error) => return Err(StoreError::io("open", path())(error)),
            };
            pending::lock(&folder, FlockOperation::LockShared)
                .map_err(StoreError::io("lock", path()))?;
            // Removed while we waited for the lock?
            if !below::is_still(&self.snapshots, name.as_bytes(), &folder)
                .map_err(StoreError::io("read", path()))?
            {
                continue;
            }
            let Ok(file) = Record::open(&folder) else { return Ok(Found::Stale) };
            let Some(record) = Record::read(&file).filter(|record| record.is_usable(self.ids()))
            else {
                return Ok(Found::Stale);
            };
            futimens(&file, &USED_NOW).map_err(StoreError::io("set the time of", path()))?;
            let (root, path) = match record.format {
                Format::Folder => {
                    let path = path().join(super::ROOT);
                    let root = below::enter(&folder, super::ROOT.as_bytes())
                        .map_err(StoreError::io("open", &path))?;
                    (root, path)
                }
                Format::Erofs => {
                    let path = path().join(erofs::FILE);
                    let file = below::file(&folder, erofs::FILE.as_bytes())
                        .map_err(StoreError::io("open", &path))?;
                    (erofs::mount(&file, &path)?, path)
                }
            };
            return Ok(Found::Ready(Snapshot { digest: chain, path, root, record, lease: folder }));
        }
    }

    /// What is known of a snapshot, without leasing or using it.
    pub(super) fn record(&self, chain: Digest) -> Option<(Record, SystemTime)> {
        let folder = below::enter(&self.snapshots, chain.hex().as_bytes()).ok()?;
        let file = Record::open(&folder).ok()?;
        let used = file.metadata().and_then(|metadata| metadata.modified()).ok()?;
        Some((Record::read(&file)?, used))
    }
}

const USED_NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};

impl Snapshot {
    /// The chain id of the layers (image-spec config.md, "Layer `ChainID`"). A file system outside the store has none, but
    /// a name by device, inode and times.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// A file system outside the store, where it is: the file itself is all that is kept of it.
    pub(super) fn outside(file: &Tarball) -> Result<Self, StoreError> {
        let Tarball { path, file, identity } = file;
        let path = std::path::absolute(path).map_err(StoreError::io("find", path))?;
        let (ids, format, boot) = (Ids::Kept, Format::Erofs, None);
        Ok(Self {
            digest: Digest::of(identity.key().as_bytes()),
            root: erofs::mount(file, &path)?,
            record: Record { version: Record::VERSION, boot, ids, format, bytes: 0, entries: 0 },
            lease: file.try_clone().map_err(StoreError::io("open", &path))?.into(),
            path,
        })
    }

    /// Whether [`Snapshot::path`] is a folder, or a file that has to be mounted.
    pub fn format(&self) -> Format {
        self.record.format
    }

    /// The folder that becomes `/`. For messages and for mount options that have no fd form.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The root folder as an `O_PATH` descriptor (close-on-exec).
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Whether owners are those of the image.
    pub fn ids(&self) -> Ids {
        self.record.ids
    }

    /// The descriptor that holds the lease; it is given back when the last copy of it is closed.
    pub fn lease(&self) -> BorrowedFd<'_> {
        self.lease.as_fd()
    }

    /// Waits until the snapshot is on the disk (`syncfs`, which may take long on a busy one), so
    /// that it is used in later boots too. For moments in which nobody waits.
    pub fn settle(&self) -> Result<(), StoreError> {
        if self.record.boot.is_none() {
            return Ok(());
        }
        let path = || self.path.clone();
        rustix::fs::syncfs(&self.lease).map_err(StoreError::io("sync", path()))?;
        let record = Record { boot: None, ..self.record.clone() };
        record.write(&self.lease).map_err(StoreError::io("write the record of", path()))
    }
}
