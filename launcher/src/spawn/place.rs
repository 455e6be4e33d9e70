//! Where things go below the root: every path is resolved below a descriptor (R1), used once, as that descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::tree::ImagePath;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, mkdirat, openat2};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::Step;
use super::step::{At, Done};

/// Whether a mount point is a folder or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Folder,
    File,
}

/// Opens `path` below `root` as `O_PATH`: absolute links and `..` stay inside, `/proc/*/fd/*` and the like are refused.
/// Attacks that this ends: CVE-2021-30465, CVE-2024-45310.
pub(super) fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    resolve(root, path, flags | OFlags::PATH, Links::Inside)
}

/// What links inside the root may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// They are followed, and stay inside.
    Inside,
    /// They fail with ELOOP.
    Refused,
}

/// As [`open`], for whatever the flags say.
pub(super) fn resolve(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    links: Links,
) -> Result<OwnedFd, Errno> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let relative = if relative.is_empty() { b".".as_slice() } else { relative };
    let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    resolve.set(ResolveFlags::NO_SYMLINKS, links == Links::Refused);
    loop {
        // EAGAIN: a rename raced with a `..` of the path (openat2(2)); asking again is the documented answer.
        match openat2(root, relative, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

/// A mount point.
#[derive(Debug)]
pub(super) struct Point {
    pub(super) fd: OwnedFd,
    /// Whether it was made just now.
    pub(super) made: bool,
}

/// The mount point at `path`, made where it is missing, its missing parents as folders.
///
/// Never the root itself, to which a link may lead: what is mounted on top of that shows at `/..`, and the paths that
/// have to be covered in it are not found below the root.
pub(super) fn mount_point(root: BorrowedFd<'_>, path: &ImagePath, shape: Shape) -> Done<OwnedFd> {
    mount_point_known(root, path, shape).map(|point| point.fd)
}

/// As [`mount_point`], and whether it was there.
pub(super) fn mount_point_known(
    root: BorrowedFd<'_>,
    path: &ImagePath,
    shape: Shape,
) -> Done<Point> {
    reach(root, path, shape, Links::Inside)
        .and_then(|point| below(root, point))
        .at(Step::MakeMountPoint, path)
}

/// As [`mount_point`], where the kernel's own file systems go: by no link. What they show is covered by path afterwards,
/// and an image must not choose where that is looked for (CVE-2019-19921, CVE-2023-27561).
pub(super) fn kernel_mount_point(root: BorrowedFd<'_>, path: &ImagePath) -> Done<Point> {
    reach(root, path, Shape::Folder, Links::Refused)
        .and_then(|point| below(root, point))
        .at(Step::KernelMountPoint, path)
}

/// The file at `path`, made where it is missing, reached by no link: whatever the image has there, a terminal is not put on something that
/// is about to be hidden (CVE-2025-52565).
pub(super) fn plain_file(root: BorrowedFd<'_>, path: &ImagePath) -> Result<OwnedFd, Errno> {
    reach(root, path, Shape::File, Links::Refused).map(|point| point.fd)
}

/// The folder at `path`, made where it is missing.
pub(super) fn folder(root: BorrowedFd<'_>, path: &ImagePath) -> Result<OwnedFd, Errno> {
    reach(root, path, Shape::Folder, Links::Inside).map(|point| point.fd)
}

/// The folder in which `path` is or will be, made where it is missing, and its last component.
pub(super) fn parent<'a>(
    root: BorrowedFd<'_>,
    path: &'a ImagePath,
) -> Result<(OwnedFd, &'a [u8]), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::EXIST);
    };
    Ok((folder(root, &parent)?, name))
}

/// Sets permissions of what an `O_PATH` descriptor means. fchmodat2(2) came with Linux 6.6; before that the way is the host's procfs,
/// by which a descriptor of our own is named.
pub(super) fn chmod(fd: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    use std::os::fd::AsRawFd as _;
    rustix::fs::chmod(format!("/proc/self/fd/{}", fd.as_raw_fd()), mode)
}

/// `point`, unless it is the root.
fn below(root: BorrowedFd<'_>, point: Point) -> Result<Point, Errno> {
    let (above, here) = (rustix::fs::fstat(root)?, rustix::fs::fstat(&point.fd)?);
    if (above.st_dev, above.st_ino) == (here.st_dev, here.st_ino) {
        return Err(Errno::XDEV);
    }
    Ok(point)
}

/// What is at `path`; each missing component is made in the folder that the ones before it resolve to.
fn reach(
    root: BorrowedFd<'_>,
    path: &ImagePath,
    shape: Shape,
    links: Links,
) -> Result<Point, Errno> {
    let flags = if shape == Shape::Folder { OFlags::DIRECTORY } else { OFlags::empty() };
    match resolve(root, path.as_bytes(), flags | OFlags::PATH, links) {
        Err(Errno::NOENT) => walk(root, path, shape, links),
        other => Ok(Point { fd: other?, made: false }),
    }
}

/// As the kernel resolves a path in a root, one component after another, except that what is missing is made in the folder that was
/// reached: also what a link leads to, which images have where their own files are made at boot. The folders on the way
/// are held open, so that neither a link nor `..` leads out of the root, whoever changes what is in it meanwhile.
fn walk(
    root: BorrowedFd<'_>,
    path: &ImagePath,
    shape: Shape,
    links: Links,
) -> Result<Point, Errno> {
    /// As many as the kernel follows (`path_resolution(7)`).
    const MOST_LINKS: u32 = 40;
    let mut followed = 0;
    let mut left = components(path.as_bytes());
    let mut way: Vec<Point> = Vec::new();
    while let Some(name) = left.pop() {
        if name == b".." {
            way.pop();
            continue;
        }
        let folder = way.last().map_or(root, |point| point.fd.as_fd());
        let point =
            enter_or_make(folder, &name, if left.is_empty() { shape } else { Shape::Folder })?;
        if file_type(&point.fd)? != FileType::Symlink {
            way.push(point);
            continue;
        }
        followed += 1;
        if links == Links::Refused || followed > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        let target = rustix::fs::readlinkat(&point.fd, c"", Vec::new())?.into_bytes();
        if target.starts_with(b"/") {
            way.clear();
        }
        left.extend(components(&target));
    }
    // Nothing is mounted on the root itself: whoever gets there by a link is told so.
    let point = way.pop().ok_or(Errno::XDEV)?;
    match (shape, file_type(&point.fd)?) {
        (Shape::Folder, kind) if kind != FileType::Directory => Err(Errno::NOTDIR),
        _ => Ok(point),
    }
}

/// The parts of a path, the first one last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.rsplit(|byte| *byte == b'/');
    parts.filter(|part| !matches!(*part, b"" | b".")).map(<[u8]>::to_vec).collect()
}

/// What has this name in a folder, itself if it is a link; made where there is nothing.
fn enter_or_make(folder: BorrowedFd<'_>, name: &[u8], shape: Shape) -> Result<Point, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(folder, name, flags, Mode::empty());
    match open() {
        Err(Errno::NOENT) => {}
        other => return Ok(Point { fd: other?, made: false }),
    }
    make_one(folder, name, shape)?;
    Ok(Point { fd: open()?, made: true })
}

fn file_type(fd: impl AsFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

/// Whatever has the name already fails with EEXIST: nothing is made through a link.
fn make_one(folder: BorrowedFd<'_>, name: &[u8], shape: Shape) -> Result<(), Errno> {
    match shape {
        Shape::Folder => mkdirat(folder, name, Mode::from_raw_mode(0o755)),
        Shape::File => new_file(folder, name).map(drop),
    }
}

/// A file made in a folder, to be mounted on: EEXIST where there is something.
pub(super) fn new_file(folder: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o644))
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
    let kind = file_type(tree)?;
    Ok(if kind == FileType::Directory { Shape::Folder } else { Shape::File })
}
