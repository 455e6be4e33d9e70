//! Files that several snapshots have, and that are on the disk and in memory once.
//!
//! ```text
//! <store>/objects/<ab>/<key>         a further name (hard link) of a file of the snapshots that have it
//! <store>/snapshots/<chain>/objects  the keys of one snapshot's, with their sizes
//! ```
//!
//! A key is the digest of all that a hard link shares (size, mode, owner, time) and of the first
//! [`PREFIX`] bytes. It only finds a candidate: before a file becomes a name of an object, **all of its bytes
//! are compared** as they come out of the archive. So nothing depends on who made an object and in which
//! boot, on a power cut in between or on the digest; a damaged or forged one is merely not used, and the
//! snapshot is what its layers say.
//!
//! Nobody writes to a file of a snapshot (containers see it read-only, or below a layer of their own), so none
//! can change another's. A snapshot has each object once: two files of one image stay two files. An object of which no
//! snapshot is left has one name, and can go at any time: who is about to use it holds it open, and
//! makes its own file when linking fails.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use common::digest::Digest;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, linkat, mkdirat, openat, statat, unlinkat,
};
use rustix::io::Errno;

use super::{OBJECTS, Store, StoreError, below};

/// A smaller file is not shared: two more names cost more than they save.
pub(super) const LEAST: u64 = 32 << 10;
/// Bytes of a file that its key is made of. Those of an executable hold its build id.
const PREFIX: usize = 16 << 10;
/// Bytes that are read of an object at once.
const COPY: usize = 16 << 10;
/// The list in a snapshot's folder.
const LIST: &str = "objects";
/// Bytes of a list that are read.
const MOST: u64 = 64 << 20;

/// What a hard link shares, besides the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    /// In seconds.
    pub(super) mtime: i64,
}

impl Shape {
    fn is_of(&self, stat: &Stat) -> bool {
        FileType::from_raw_mode(stat.st_mode).is_file()
            && u64::try_from(stat.st_size) == Ok(self.size)
            && stat.st_mode & 0o7777 == self.mode
            && (stat.st_uid, stat.st_gid) == self.owner
            && (stat.st_mtime, stat.st_mtime_nsec) == (self.mtime, 0)
    }
}

/// Where an object is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Digest);

impl Key {
    /// Of a file that starts with these bytes.
    pub(super) fn of(shape: &Shape, start: &[u8]) -> Self {
        let mut text = format!("{shape:?}\n").into_bytes();
        text.extend_from_slice(&start[..start.len().min(PREFIX)]);
        Self(Digest::of(&text))
    }

    /// Relative to the folder of objects.
    fn path(self) -> String {
        let hex = self.0.hex();
        format!("{}/{hex}", &hex[..2])
    }
}

/// The objects, for one unpacking.
#[derive(Debug)]
pub(super) struct Objects {
    folder: OwnedFd,
    /// The file system of the store can give a file several names.
    can_link: bool,
    /// Inodes that the snapshot has.
    used: BTreeSet<u64>,
    /// Objects that the snapshot has, with their sizes.
    list: Vec<(Key, u64)>,
}

/// A file that may be what is wanted.
#[derive(Debug)]
pub(super) struct Candidate {
    file: File,
    inode: u64,
}

impl Objects {
    /// With none used.
    pub(super) fn open(store: &Store) -> Result<Self, StoreError> {
        let folder = store.area(OBJECTS)?;
        Ok(Self { folder, can_link: true, used: BTreeSet::new(), list: Vec::new() })
    }

    /// An object whose content may be the wanted one.
    pub(super) fn find(&self, key: Key, shape: &Shape) -> Option<Candidate> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&self.folder, key.path(), flags, Mode::empty()).ok()?;
        let stat = fstat(&file).ok()?;
        if self.used.contains(&stat.st_ino) {
            return None;
        }
        if !shape.is_of(&stat) {
            // Torn by a power cut, say.
            unlinkat(&self.folder, key.path(), AtFlags::empty()).ok();
            return None;
        }
        Some(Candidate { file: file.into(), inode: stat.st_ino })
    }

    /// The snapshot has it from now on; its inode.
    pub(super) fn linked(&mut self, key: Key, shape: &Shape, candidate: &Candidate) -> u64 {
        self.used.insert(candidate.inode);
        self.list.push((key, shape.size));
        candidate.inode
    }

    /// Makes an object of a file that is complete.
    pub(super) fn keep(
        &mut self,
        key: Key,
        shape: &Shape,
        (folder, name, inode): (BorrowedFd<'_>, &[u8], u64),
    ) {
        if !self.can_link {
            return;
        }
        let path = key.path();
        let link = || linkat(folder, name, &self.folder, &path, AtFlags::empty());
        let made = match link() {
            Err(Errno::NOENT) => match mkdirat(&self.folder, &path[..2], Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => link(),
                Err(error) => Err(error),
            },
            made => made,
        };
        match made {
            Ok(()) => {
                self.used.insert(inode);
                self.list.push((key, shape.size));
            }
            // Another that starts in the same way, or that somebody else just made.
            Err(Errno::EXIST) => {}
            // Sharing is no condition of anything.
            Err(_) => self.can_link = false,
        }
    }

    /// Writes the list of what the snapshot has into its folder.
    pub(super) fn write_list(&self, folder: impl AsFd) -> io::Result<()> {
        if self.list.is_empty() {
            return Ok(());
        }
        let mut text = String::with_capacity(self.list.len() * 72);
        for (key, size) in &self.list {
            let _ = writeln!(text, "{} {size}", key.0);
        }
        below::write_beside(folder, LIST, text.as_bytes(), false)
    }
}

impl Candidate {
    /// Makes it the file `name`; whether that was possible.
    pub(super) fn link(&self, folder: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
        // The open file, whatever the key leads to by now.
        let path = below::proc_path(&self.file);
        match linkat(CWD, path, folder, name, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Err(Errno::EXIST),
            // Too many names, or none left; a file of its own is always right.
            Err(_) => Ok(false),
        }
    }

    /// Whether it has these bytes at `at`.
    pub(super) fn has(&self, bytes: &[u8], at: u64) -> bool {
        let mut buffer = [0; COPY];
        (at..).step_by(COPY).zip(bytes.chunks(COPY)).all(|(at, wanted)| {
            let read = &mut buffer[..wanted.len()];
            self.file.read_exact_at(read, at).is_ok() && read == wanted
        })
    }

    /// Copies its first bytes.
    pub(super) fn copy(&self, length: u64, out: &mut File) -> io::Result<()> {
        let mut buffer = [0; COPY];
        let mut done = 0;
        while done < length {
            let left = usize::try_from(length - done).unwrap_or(usize::MAX);
            let part = &mut buffer[..left.min(COPY)];
            self.file.read_exact_at(part, done)?;
            out.write_all(part)?;
            done += part.len() as u64;
        }
        Ok(())
    }
}

/// The objects of the snapshot in `folder`, with their sizes. None if it has no list that can be read.
pub(super) fn list(folder: impl AsFd) -> Vec<(Key, u64)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut text = String::new();
    if let Ok(list) = openat(folder, LIST, flags, Mode::empty()) {
        File::from(list).take(MOST).read_to_string(&mut text).ok();
    }
    let line = |line: &str| {
        let (key, size) = line.split_once(' ')?;
        Some((Key(key.parse().ok()?), size.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

impl Store {
    /// How many bytes of these objects of one snapshot others have too.
    pub(super) fn shared(&self, objects: &[(Key, u64)]) -> Result<u64, StoreError> {
        if objects.is_empty() {
            return Ok(0);
        }
        let folder = self.area(OBJECTS)?;
        let others = |key: Key| {
            // Its own, and the snapshot's.
            statat(&folder, key.path(), AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| stat.st_nlink > 2)
        };
        Ok(objects.iter().filter(|(key, _)| others(*key)).map(|(_, size)| size).sum())
    }

    /// Removes all objects that no snapshot has; their bytes.
    pub(super) fn sweep_objects(&self) -> Result<u64, StoreError> {
        let path = || self.path.join(OBJECTS);
        let folder = self.area(OBJECTS)?;
        let mut bytes = 0;
        for part in below::names(&folder).map_err(StoreError::io("read", path()))? {
            let Ok(part) = below::open(&folder, &part) else { continue };
            for name in below::names(&part).map_err(StoreError::io("read", path()))? {
                let Ok(stat) = statat(&part, &name[..], AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                if stat.st_nlink == 1 && unlinkat(&part, &name[..], AtFlags::empty()).is_ok() {
                    bytes += u64::try_from(stat.st_size).unwrap_or(0);
                }
            }
        }
        Ok(bytes)
    }
}
