//! Where things go below the root: every path is resolved below a descriptor (R1), used once, as that descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::tree::ImagePath;
use rustix::fs::{Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::Step;
use super::handshake::{At, Done};

/// Whether a mount point is a folder or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Folder,
    File,
}

/// Opens `path` below `root` as `O_PATH`: absolute links and `..` stay inside, `/proc/*/fd/*` and the like are refused.
/// Attacks that this ends: CVE-2021-30465, CVE-2024-45310.
pub(super) fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let relative = if relative.is_empty() { b".".as_slice() } else { relative };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    loop {
        // EAGAIN: a rename raced with a `..` of the path (openat2(2)); asking again is the documented answer.
        match openat2(
            root,
            relative,
            flags | OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        ) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// The mount point at `path`, made where it is missing, its missing parents as folders.
pub(super) fn mount_point(root: BorrowedFd<'_>, path: &ImagePath, shape: Shape) -> Done<OwnedFd> {
    let flags = if shape == Shape::Folder { OFlags::DIRECTORY } else { OFlags::empty() };
    match open(root, path.as_bytes(), flags) {
        Err(Errno::NOENT) => make(root, path, shape).at(Step::MakeMountPoint, path),
        other => other.at(Step::MakeMountPoint, path),
    }
}

/// Makes each missing component in the folder that the ones before it resolve to.
fn make(root: BorrowedFd<'_>, path: &ImagePath, shape: Shape) -> Result<OwnedFd, Errno> {
    let mut folder = open(root, b"/", OFlags::DIRECTORY)?;
    let mut done: Vec<u8> = Vec::with_capacity(path.as_bytes().len());
    let mut components = path.components().peekable();
    while let Some(name) = components.next() {
        done.push(b'/');
        done.extend_from_slice(name);
        let last = components.peek().is_none();
        let want = if last { shape } else { Shape::Folder };
        let flags = if want == Shape::Folder { OFlags::DIRECTORY } else { OFlags::empty() };
        folder = match open(root, &done, flags) {
            Err(Errno::NOENT) => {
                make_one(folder.as_fd(), name, want)?;
                // `name` was made in the very folder that `done`'s parent resolved to; NOFOLLOW, because
                // what was made is no link.
                rustix::fs::openat(
                    &folder,
                    name,
                    flags | OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )?
            }
            other => other?,
        };
    }
    Ok(folder)
}

/// A dangling link fails with EEXIST here: nothing is created through links.
fn make_one(folder: BorrowedFd<'_>, name: &[u8], shape: Shape) -> Result<(), Errno> {
    match shape {
        Shape::Folder => mkdirat(folder, name, Mode::from_raw_mode(0o755)),
        Shape::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(folder, name, flags | OFlags::WRONLY, Mode::from_raw_mode(0o644))
                .map(drop)
        }
    }
}

/// A detached copy of the mount at `path` of the host, close-on-exec.
pub(super) fn tree(path: &std::path::Path, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(rustix::fs::CWD, path, flags)
}

/// A detached copy of what an open descriptor shows.
pub(super) fn tree_of(fd: impl AsFd, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(fd, "", flags)
}

/// Attaches a detached mount: from descriptor to descriptor (R3).
pub(super) fn attach(tree: impl AsFd, place: impl AsFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", place, "", flags)
}

/// Attaches a detached mount on top of the host's `/`, in this mount namespace. There it hides nothing (this process's own
/// root is what lies below) and no folder of the host is needed to put it on.
pub(super) fn attach_on_top(tree: impl AsFd) -> Result<(), Errno> {
    move_mount(tree, "", rustix::fs::CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// What sort of mount point fits a tree.
pub(super) fn shape(tree: impl AsFd) -> Result<Shape, Errno> {
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(tree)?.st_mode);
    Ok(if kind == rustix::fs::FileType::Directory { Shape::Folder } else { Shape::File })
}
