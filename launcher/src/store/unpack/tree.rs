//! The folder that layers are applied to: every way to it is a descriptor.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use common::tree::{ImagePath, Metadata};
use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;

use super::{Policy, UnpackError};
use crate::store::below;

/// A root filesystem in the making. Its folders are 0700 until [`Tree::finish`].
#[derive(Debug)]
pub(in crate::store) struct Tree {
    root: Rc<OwnedFd>,
    /// The folders on the way to the last entry's: archives are sorted so that the next entry's is
    /// mostly the same, and costs no system call.
    way: Vec<(Vec<u8>, Rc<OwnedFd>)>,
    /// All folders, with what they will get.
    folders: BTreeMap<ImagePath, Metadata>,
    /// What the current layer has made.
    made: BTreeMap<ImagePath, Made>,
    /// Folders that entries implied, since last asked.
    implied: u64,
}

/// What stands where the current layer put something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// A regular file.
    File {
        /// Its inode number.
        inode: u64,
    },
    /// A folder or a link.
    Other,
}

/// What to do about a folder on the way that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Make it: 0755, owner 0:0, time 0.
    Create,
    /// There is nothing to find then.
    Stop,
}

impl Tree {
    /// Starts in an empty folder, open for reading.
    pub(in crate::store) fn new(root: OwnedFd) -> Self {
        Self {
            root: Rc::new(root),
            way: Vec::new(),
            folders: BTreeMap::from([(ImagePath::root(), implied())]),
            made: BTreeMap::new(),
            implied: 0,
        }
    }

    /// From here on everything that is there belongs to lower layers.
    pub(super) fn start_layer(&mut self) {
        self.made.clear();
    }

    /// The folder that `path` goes into, made if the archive never named it.
    pub(super) fn existing_parent(&mut self, path: &ImagePath) -> Result<Rc<OwnedFd>, UnpackError> {
        let parent = self.parent(path, Missing::Create)?;
        // `Create` never stops; the root is only the answer's type.
        Ok(parent.unwrap_or_else(|| Rc::clone(&self.root)))
    }

    /// The folder of `path`, reached through no link (U1); `None` where `Missing::Stop` stopped.
    pub(super) fn parent(
        &mut self,
        path: &ImagePath,
        missing: Missing,
    ) -> Result<Option<Rc<OwnedFd>>, UnpackError> {
        let mut names: Vec<&[u8]> = path.components().collect();
        names.pop();
        let known = self.way.iter().zip(&names).take_while(|((way, _), name)| way == *name).count();
        self.way.truncate(known);
        for (depth, &name) in names.iter().enumerate().skip(known) {
            let at = self.last();
            // Only for the rare ways out below.
            let prefix =
                || path.ancestors().get(depth + 1).cloned().unwrap_or_else(|| path.clone());
            let entered = match below::enter(&at, name) {
                Err(Errno::NOENT) if missing == Missing::Stop => return Ok(None),
                Err(Errno::NOENT) => {
                    let prefix = prefix();
                    mkdirat(&at, name, Mode::RWXU).map_err(UnpackError::file("create", &prefix))?;
                    self.describe(prefix, implied());
                    self.implied += 1;
                    below::enter(&at, name)
                }
                entered => entered,
            };
            match entered {
                Ok(folder) => self.way.push((name.to_vec(), Rc::new(folder))),
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    return Err(UnpackError::NotAFolder { path: path.clone(), parent: prefix() });
                }
                Err(error) => return Err(UnpackError::file("open", &prefix())(error)),
            }
        }
        Ok(Some(self.last()))
    }

    fn last(&self) -> Rc<OwnedFd> {
        Rc::clone(self.way.last().map_or(&self.root, |(_, folder)| folder))
    }

    /// Folders implied since last asked.
    pub(super) fn take_implied(&mut self) -> u64 {
        std::mem::take(&mut self.implied)
    }

    /// Makes `path` anew; what is there goes first.
    pub(super) fn replace<T>(
        &mut self,
        action: &'static str,
        path: &ImagePath,
        make: impl Fn(BorrowedFd<'_>) -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        let parent = self.existing_parent(path)?;
        match make(parent.as_fd()) {
            Err(Errno::EXIST) => {
                self.remove(path)?;
                make(parent.as_fd())
            }
            outcome => outcome,
        }
        .map_err(UnpackError::file(action, path))
    }

    /// Remembers what the current layer made.
    pub(super) fn made(&mut self, path: ImagePath, made: Made) {
        self.made.insert(path, made);
    }

    /// What the current layer made at `path`.
    pub(super) fn made_here(&self, path: &ImagePath) -> Option<Made> {
        self.made.get(path).copied()
    }

    /// The current layer's folder at `path`, and the metadata that it will get.
    pub(super) fn describe(&mut self, path: ImagePath, metadata: Metadata) {
        self.made.insert(path.clone(), Made::Other);
        self.folders.insert(path, metadata);
    }

    /// Removes `path` with all below it, if it is there.
    pub(super) fn remove(&mut self, path: &ImagePath) -> Result<(), UnpackError> {
        let (Some(parent), Some(name)) = (self.parent(path, Missing::Stop)?, path.file_name())
        else {
            return Ok(());
        };
        below::remove(&parent, name).map_err(|source| UnpackError::File {
            action: "remove",
            path: path.clone(),
            source,
        })?;
        forget(&mut self.folders, path);
        forget(&mut self.made, path);
        Ok(())
    }

    /// Removes `path` as far as it comes from lower layers.
    pub(super) fn hide(&mut self, path: &ImagePath) -> Result<(), UnpackError> {
        let own = self.made.contains_key(path) || below_key(&self.made, path).next().is_some();
        if own { self.hide_children(path) } else { self.remove(path) }
    }

    /// Removes what lower layers have put into the folder `path`; a link is not followed.
    pub(super) fn hide_children(&mut self, path: &ImagePath) -> Result<(), UnpackError> {
        let folder = match (self.parent(path, Missing::Stop)?, path.file_name()) {
            (None, _) => return Ok(()),
            (Some(_), None) => Rc::clone(&self.root),
            (Some(parent), Some(name)) => match below::open(&parent, name) {
                Ok(folder) => Rc::new(folder),
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => return Ok(()),
                Err(error) => return Err(UnpackError::file("open", path)(error)),
            },
        };
        for name in below::names(&folder).map_err(UnpackError::file("read", path))? {
            // What could be made can be named: neither is too long.
            let Ok(child) = path.join(&name) else { continue };
            self.hide(&child)?;
        }
        Ok(())
    }

    /// Gives all folders their metadata, children first: a folder's time changes with its entries,
    /// and an ordinary user cannot enter one of mode 0 any more (U2).
    pub(in crate::store) fn finish(mut self, policy: Policy) -> Result<(), UnpackError> {
        let folders = std::mem::take(&mut self.folders);
        for (path, metadata) in folders.iter().rev() {
            let opened = match path.file_name() {
                None => Rc::clone(&self.root),
                Some(name) => {
                    let parent = self.existing_parent(path)?;
                    Rc::new(below::open(&parent, name).map_err(UnpackError::file("open", path))?)
                }
            };
            policy.file(&opened, metadata).map_err(|error| error.of(path))?;
        }
        Ok(())
    }
}

/// What a folder gets that no entry describes.
fn implied() -> Metadata {
    Metadata { mode: 0o755, ..Metadata::default() }
}

/// Keys strictly below `path`.
fn below_key<'a, V>(
    map: &'a BTreeMap<ImagePath, V>,
    path: &ImagePath,
) -> impl Iterator<Item = &'a ImagePath> + use<'a, V> {
    let mut start = path.as_bytes().to_vec();
    if start.len() > 1 {
        start.push(b'/');
    }
    let mut end = start.clone();
    // `0` follows `/`.
    end.pop();
    end.push(b'0');
    map.range::<[u8], _>((Bound::Excluded(start.as_slice()), Bound::Excluded(end.as_slice())))
        .map(|(key, _)| key)
}

/// Takes `path` and all below it out of `map`.
fn forget<V>(map: &mut BTreeMap<ImagePath, V>, path: &ImagePath) {
    let gone: Vec<ImagePath> = below_key(map, path).cloned().collect();
    for key in gone {
        map.remove(&key);
    }
    map.remove(path);
}
