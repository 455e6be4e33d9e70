//! Which paths of a folder match a pattern, and what lies below a folder. Only names; no contents.

use std::collections::BTreeSet;
use std::io;

use common::root::Root;
use rustix::fs::FileType;

use crate::spec::glob::{Component, Glob};

/// What stands at a path, its last link not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A socket, pipe or device: never packed.
    Special,
}

/// A path below a folder that cannot be looked at.
#[derive(Debug)]
pub struct Unreadable {
    /// The path.
    pub path: Vec<u8>,
    /// What the kernel said.
    pub source: io::Error,
}

impl Unreadable {
    fn at(path: &[u8]) -> impl FnOnce(io::Error) -> Self {
        |source| Self { path: path.to_vec(), source }
    }
}

/// The kind of `path`; `None` where nothing is.
pub fn kind(root: &Root, path: &[u8]) -> io::Result<Option<Kind>> {
    let status = match root.symlink_metadata(path) {
        Ok(status) => status,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => Kind::Folder,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Link,
        _ => Kind::Special,
    }))
}

/// Whether an error means that nothing is there.
pub fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Every path that matches, sorted; folders on the way are followed through links, what matches is
/// not.
pub fn matches(root: &Root, glob: &Glob) -> io::Result<BTreeSet<Vec<u8>>> {
    let mut found = BTreeSet::new();
    descend(root, Vec::new(), glob.components(), &mut found)?;
    Ok(found)
}

fn descend(
    root: &Root,
    path: Vec<u8>,
    pattern: &[Component],
    found: &mut BTreeSet<Vec<u8>>,
) -> io::Result<()> {
    let Some((first, rest)) = pattern.split_first() else {
        let at = if path.is_empty() { b"/".to_vec() } else { path };
        if kind(root, &at)?.is_some() {
            found.insert(at);
        }
        return Ok(());
    };
    match first {
        Component::Literal(name) => descend(root, child(&path, name), rest, found),
        Component::Pattern(_) => {
            for name in names(root, &path)? {
                if first.matches(&name) {
                    descend(root, child(&path, &name), rest, found)?;
                }
            }
            Ok(())
        }
        Component::Anything => {
            descend(root, path.clone(), rest, found)?;
            for name in names(root, &path)? {
                let below = child(&path, &name);
                // Links are not entered: `**` would not end where one leads upwards.
                if kind(root, &below)? == Some(Kind::Folder) {
                    descend(root, below, pattern, found)?;
                } else if rest.is_empty() {
                    found.insert(below);
                }
            }
            Ok(())
        }
    }
}

/// `folder` and everything below it, parents first, links not followed. `keep` says of each path
/// whether it (and what is below it) is wanted.
pub fn tree(
    root: &Root,
    folder: &[u8],
    keep: &mut impl FnMut(&[u8]) -> bool,
    found: &mut Vec<(Vec<u8>, Kind)>,
) -> Result<(), Unreadable> {
    let Some(kind) = kind(root, folder).map_err(Unreadable::at(folder))? else { return Ok(()) };
    tree_of(root, folder, kind, keep, found)
}

/// As [`tree`], where a link to a folder counts as that folder.
pub fn tree_through_link(
    root: &Root,
    folder: &[u8],
    found: &mut Vec<(Vec<u8>, Kind)>,
) -> Result<(), Unreadable> {
    let Some(mut kind) = kind(root, folder).map_err(Unreadable::at(folder))? else {
        return Ok(());
    };
    let leads_to_folder = || {
        let status = root.metadata(folder)?;
        io::Result::Ok(FileType::from_raw_mode(status.st_mode) == FileType::Directory)
    };
    if kind == Kind::Link && leads_to_folder().map_err(Unreadable::at(folder))? {
        kind = Kind::Folder;
    }
    tree_of(root, folder, kind, &mut |_: &[u8]| true, found)
}

fn tree_of(
    root: &Root,
    folder: &[u8],
    kind: Kind,
    keep: &mut impl FnMut(&[u8]) -> bool,
    found: &mut Vec<(Vec<u8>, Kind)>,
) -> Result<(), Unreadable> {
    if !keep(folder) {
        return Ok(());
    }
    found.push((folder.to_vec(), kind));
    if kind == Kind::Folder {
        let base = if folder == b"/" { b"" } else { folder };
        for name in root.read_dir(folder).map_err(Unreadable::at(folder))? {
            tree(root, &child(base, &name), keep, found)?;
        }
    }
    Ok(())
}

fn child(path: &[u8], name: &[u8]) -> Vec<u8> {
    [path, b"/", name].concat()
}

/// Names in a folder, none where there is no folder.
fn names(root: &Root, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    match root.read_dir(if path.is_empty() { b"/" } else { path }) {
        Err(error) if is_absence(&error) => Ok(Vec::new()),
        names => names,
    }
}
