//! Layers to files: the rules U1 to U6 of docs/security.md, in this order for every entry.
//!
//! ```text
//! Budget       is it within the limits?                      limits.rs
//! Tree::parent the folder it goes into, link by no link      tree.rs
//! apply        folder, file, link or whiteout                mod.rs, whiteout.rs
//! Policy       owner, mode, attributes, time                 metadata.rs
//! ```
//!
//! Each layer is applied over the folder that the ones before it made, as image-spec layer.md says.
//! Refuses to know where the bytes come from and whether their digest is right: the caller does not
//! publish the folder before it knows.

mod error;
mod limits;
mod metadata;
mod tree;
mod whiteout;

pub use error::UnpackError;
pub(super) use limits::Budget;
pub use limits::Limits;
pub(super) use metadata::Policy;
pub(super) use tree::Tree;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use common::tree::tar::{Entry, EntryKind, Reader};
use common::tree::{ImagePath, Metadata};
use rustix::fs::{AtFlags, Mode, OFlags, linkat, mkdirat, openat, statat, symlinkat};
use rustix::io::Errno;

use super::below;
use tree::Made;

/// Bytes that move from the archive to a file at once.
const CHUNK: usize = 128 << 10;

/// Applies one layer, already decompressed, to `tree`.
pub(super) fn apply(
    tree: &mut Tree,
    layer: impl Read,
    budget: &mut Budget,
    policy: Policy,
) -> Result<(), UnpackError> {
    let mut archive = Reader::new(layer);
    let mut buffer = vec![0; CHUNK];
    tree.start_layer();
    while let Some(entry) = archive.next_entry()? {
        budget.admit(&entry)?;
        metadata::check(&entry)?;
        if whiteout::is_marker(&entry)? {
            whiteout::apply(tree, &entry)?;
            continue;
        }
        let Entry { path, metadata, kind } = entry;
        if path == ImagePath::root() {
            match kind {
                EntryKind::Directory => tree.describe(path, metadata),
                _ => return Err(UnpackError::Root),
            }
            continue;
        }
        let subject = path.clone();
        match kind {
            EntryKind::Directory => directory(tree, path, metadata)?,
            EntryKind::File { size } => {
                let mut content = Content { archive: &mut archive, buffer: &mut buffer, size };
                file(tree, path, &metadata, &mut content, policy)?;
            }
            EntryKind::Symlink { target } => symlink(tree, path, &metadata, &target, policy)?,
            EntryKind::Hardlink { target } => hardlink(tree, path, &target)?,
        }
        budget.implied(tree.take_implied(), &subject)?;
    }
    Ok(())
}

/// A folder merges with one that is there, and replaces anything else (layer.md, "Changeset over
/// existing files"). Its metadata comes last of all (`Tree::finish`).
fn directory(tree: &mut Tree, path: ImagePath, metadata: Metadata) -> Result<(), UnpackError> {
    let name = name(&path)?;
    let parent = tree.existing_parent(&path)?;
    match mkdirat(&parent, name, Mode::RWXU) {
        Ok(()) => {}
        Err(Errno::EXIST) => match below::enter(&parent, name) {
            Ok(_) => {}
            Err(Errno::LOOP | Errno::NOTDIR) => {
                tree.remove(&path)?;
                mkdirat(&parent, name, Mode::RWXU).map_err(UnpackError::file("create", &path))?;
            }
            Err(error) => return Err(UnpackError::file("open", &path)(error)),
        },
        Err(error) => return Err(UnpackError::file("create", &path)(error)),
    }
    tree.describe(path, metadata);
    Ok(())
}

/// The rest of the current entry.
struct Content<'a, R> {
    archive: &'a mut Reader<R>,
    buffer: &'a mut [u8],
    size: u64,
}

impl<R: Read> Content<'_, R> {
    fn write(&mut self, path: &ImagePath, fd: OwnedFd) -> Result<OwnedFd, UnpackError> {
        let mut file = std::fs::File::from(fd);
        let mut left = self.size;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let read = self.archive.read(&mut self.buffer[..wanted])?;
            if read == 0 {
                return Err(UnpackError::Truncated { path: path.clone() });
            }
            file.write_all(&self.buffer[..read]).map_err(|source| UnpackError::File {
                action: "write",
                path: path.clone(),
                source,
            })?;
            left -= read as u64;
        }
        Ok(file.into())
    }
}

fn file<R: Read>(
    tree: &mut Tree,
    path: ImagePath,
    metadata: &Metadata,
    content: &mut Content<'_, R>,
    policy: Policy,
) -> Result<(), UnpackError> {
    let name = name(&path)?;
    // O_EXCL follows no link and opens nothing that is there: what is made is new, or it is an error.
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let private = Mode::RUSR | Mode::WUSR;
    let fd = tree.replace("create", &path, |parent| openat(parent, name, flags, private))?;
    let fd = content.write(&path, fd)?;
    policy.file(&fd, metadata).map_err(|error| error.of(&path))?;
    let inode = rustix::fs::fstat(&fd).map_err(UnpackError::file("read", &path))?.st_ino;
    tree.made(path, Made::File { inode });
    Ok(())
}

fn symlink(
    tree: &mut Tree,
    path: ImagePath,
    metadata: &Metadata,
    target: &[u8],
    policy: Policy,
) -> Result<(), UnpackError> {
    let name = name(&path)?;
    tree.replace("create", &path, |parent| {
        symlinkat(target, parent, name)?;
        policy.symlink(parent, name, metadata)
    })?;
    tree.made(path, Made::Other);
    Ok(())
}

/// A further name, only of a regular file that this archive itself has made (U4): a lower layer's
/// file, a link or a device cannot be reached by it, and neither can a file outside.
fn hardlink(tree: &mut Tree, path: ImagePath, target: &ImagePath) -> Result<(), UnpackError> {
    let refused = || UnpackError::Hardlink { path: path.clone(), target: target.clone() };
    if *target == path {
        return Err(refused());
    }
    // First make room: that may remove the target, which is then no target any more.
    tree.remove(&path)?;
    let Some(Made::File { inode }) = tree.made_here(target) else { return Err(refused()) };
    let from = tree.existing_parent(target)?;
    let target_name = name(target)?;
    let found = statat(&from, target_name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(UnpackError::file("read", target))?;
    if found.st_ino != inode || !rustix::fs::FileType::from_raw_mode(found.st_mode).is_file() {
        return Err(refused());
    }
    let parent = tree.existing_parent(&path)?;
    // Without AT_SYMLINK_FOLLOW: both names are taken as they are.
    linkat(&from, target_name, &parent, name(&path)?, AtFlags::empty())
        .map_err(UnpackError::file("link", &path))?;
    tree.made(path, Made::File { inode });
    Ok(())
}

/// The last component: only the root has none, and it is handled before.
fn name(path: &ImagePath) -> Result<&[u8], UnpackError> {
    path.file_name().ok_or(UnpackError::Root)
}
