//! Layers to files: the rules U1 to U6 of docs/security.md, in this order for every entry.
//!
//! ```text
//! Budget       is it within the limits?                      limits.rs
//! Tree::parent the folder it goes into, link by no link      tree.rs
//! apply        folder, file, link or whiteout                mod.rs, file.rs, whiteout.rs
//! Policy       owner, mode, attributes, time                 metadata.rs
//! ```
//!
//! Each layer is applied over the folder that the ones before it made, as image-spec layer.md says.
//! Refuses to know where the bytes come from and whether their digest is right: the caller does not
//! publish the folder before it knows.

mod error;
mod file;
mod limits;
mod metadata;
mod tree;
mod whiteout;

pub use error::UnpackError;
pub(super) use limits::Budget;
pub use limits::Limits;
pub(super) use metadata::Policy;
pub(super) use tree::Tree;

use std::io::Read;

use common::tree::tar::{Entry, EntryKind, Reader};
use common::tree::{ImagePath, Metadata};
use rustix::fs::{AtFlags, Mode, linkat, mkdirat, statat, symlinkat};
use rustix::io::Errno;

use super::below;
use super::objects::Objects;
use tree::Made;

/// Applies one layer, already decompressed, to `tree`.
pub(super) fn apply(
    tree: &mut Tree,
    layer: impl Read,
    budget: &mut Budget,
    policy: Policy,
    objects: &mut Objects,
) -> Result<(), UnpackError> {
    let mut archive = Reader::new(layer);
    let mut buffer = vec![0; file::CHUNK];
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
                let content = file::Content::new(&mut archive, &mut buffer, size);
                file::make(tree, path, &metadata, content, policy, objects)?;
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
