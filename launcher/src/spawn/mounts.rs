//! File systems and binds below the root, in the plan's order.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use common::tree::ImagePath;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::filesystem::{self, Explain as _, Opt};
use super::place::{self, Point, Shape};
use super::prepare::Setup;
use super::sources::Trees;
use super::step::{At, Done};
use super::{Step, copy_up};
use crate::plan::{Attributes, Change, Mount, NamespaceKind, Propagation, Source, Spread};
use crate::sys::mount::{Extent, Travel, change, set_attributes};

/// Mounts of which later steps need the descriptor: it cannot be redirected by anything in the image (R2).
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    /// procfs of the container.
    pub(super) proc: Option<OwnedFd>,
    /// Its devpts instance.
    pub(super) devpts: Option<OwnedFd>,
    /// File systems in memory that are read-only in the end: mount points, nodes and links have to be made on them first.
    sealed: Vec<(OwnedFd, &'a ImagePath)>,
}

impl Known<'_> {
    /// No more writing of what was written until now.
    pub(super) fn seal(&self) -> Done {
        for (mount, destination) in &self.sealed {
            set_attributes(mount, Change::READONLY, Extent::One).at(Step::Readonly, destination)?;
        }
        Ok(())
    }
}

/// Mounts everything of the plan.
pub(super) fn mount_all<'a>(
    setup: &'a Setup<'_>,
    trees: &Trees,
    files: Vec<OwnedFd>,
    root: BorrowedFd<'_>,
) -> Done<Known<'a>> {
    let mut known = Known::default();
    let attached = setup.plan.has(NamespaceKind::Mount);
    for (index, mount) in setup.plan.mounts.iter().enumerate() {
        match &mount.source {
            Source::New { filesystem, name, options, copy_up } => {
                let made = setup.made.instance(index);
                let new = New { filesystem, name, options, copy_up: *copy_up, attached, made };
                new.mount(mount, root, &mut known)?;
            }
            Source::Bind { path, recursive, .. } => {
                let tree =
                    trees.take(index, path, *recursive).at(Step::OpenSource, path.display())?;
                bind(&tree, mount, *recursive, root)?;
            }
            Source::Remount { options } => remount(mount, options, root)?,
        }
    }
    for (file, tree) in setup.plan.files.iter().zip(files) {
        let point = place::mount_point(root, &file.destination, Shape::File)?;
        place::attach(&tree, point).at(Step::Mount, &file.destination)?;
    }
    Ok(known)
}

/// A new instance of a file system.
struct New<'a> {
    filesystem: &'a str,
    name: &'a str,
    options: &'a [Opt],
    copy_up: bool,
    /// Whether the root is attached somewhere; what is mounted elsewhere cannot be changed afterwards.
    attached: bool,
    /// Made ahead, but not mounted.
    made: Option<BorrowedFd<'a>>,
}

impl New<'_> {
    fn mount<'a>(&self, mount: &'a Mount, root: BorrowedFd<'_>, known: &mut Known<'a>) -> Done {
        let destination = &mount.destination;
        let point = match self.filesystem {
            "proc" | "sysfs" => place::kernel_mount_point(root, destination)?,
            _ => place::mount_point_known(root, destination, Shape::Folder)?,
        };
        if filesystem::is_long(self.name, self.options) {
            return self.mount_long(mount, &point, root);
        }
        let late = self.attached && self.filesystem == "tmpfs" && mount.attributes.readonly();
        let now = if late { mount.attributes.writable() } else { mount.attributes };
        let object = format_args!("{} at {destination}", self.filesystem);
        let fd = if let Some(made) = self.made {
            filesystem::mount_made(made, now.of_top())
        } else {
            let mode = self.mode(&point).at(Step::MakeMountPoint, destination)?;
            let options = match mode {
                None => Cow::Borrowed(self.options),
                Some(mode) => [&[("mode".to_owned(), Some(mode))], self.options].concat().into(),
            };
            filesystem::new(self.filesystem, self.name, &options, now.of_top())
        }
        .explain(Step::Mount, object)?;
        if self.copy_up {
            copy_up::copy(point.fd.as_fd(), fd.as_fd()).at(Step::CopyUp, destination)?;
        }
        travel(&fd, &mount.propagation).at(Step::Mount, destination)?;
        place::attach(&fd, point.fd).at(Step::Mount, destination)?;
        match self.filesystem {
            "proc" => known.proc = Some(fd),
            "devpts" => known.devpts = Some(fd),
            _ if late => known.sealed.push((fd, destination)),
            _ => {}
        }
        Ok(())
    }

    /// The permissions of the folder on which a file system in memory goes, unless it is told others: `/tmp` stays what it was.
    fn mode(&self, point: &Point) -> Result<Option<String>, Errno> {
        let told = self.options.iter().any(|(key, _)| key == "mode");
        if self.filesystem != "tmpfs" || point.made || told {
            return Ok(None);
        }
        let mode = rustix::fs::fstat(&point.fd)?.st_mode & 0o7777;
        Ok(Some(format!("{mode:o}")))
    }

    fn mount_long(&self, mount: &Mount, point: &Point, root: BorrowedFd<'_>) -> Done {
        let change = mount.attributes.of_top();
        let object = format_args!("{} at {}", self.filesystem, mount.destination);
        let at = point.fd.as_fd();
        filesystem::mount_long(self.filesystem, self.name, self.options, change, at)
            .at(Step::Mount, object)?;
        if mount.propagation.is_empty() {
            return Ok(());
        }
        place::open(root, mount.destination.as_bytes(), OFlags::empty())
            .and_then(|mounted| travel(&mounted, &mount.propagation))
            .at(Step::Mount, object)
    }
}

/// Attributes come before the tree can be reached by anyone (R3).
fn bind(tree: &OwnedFd, mount: &Mount, recursive: bool, root: BorrowedFd<'_>) -> Done {
    prepare(tree, mount, recursive).at(Step::Mount, &mount.destination)?;
    let shape = place::shape(tree).at(Step::Mount, &mount.destination)?;
    let point = place::mount_point(root, &mount.destination, shape)?;
    place::attach(tree, point).at(Step::Mount, &mount.destination)
}

/// Attributes and propagation of a copy, in as few calls as they take: mostly one.
fn prepare(tree: &OwnedFd, mount: &Mount, recursive: bool) -> Result<(), Errno> {
    let (own, all) = match mount.attributes {
        Attributes { own, all } if recursive => (own, all),
        attributes => (Change::default(), attributes.of_top()),
    };
    if !own.is_empty() {
        change(tree, own.set, own.clear, None, Extent::One)?;
    }
    let (first, rest) = match mount.propagation.split_first() {
        Some((first, rest)) if first.recursive || !recursive => (Some(kernel(first.kind)), rest),
        _ => (None, mount.propagation.as_slice()),
    };
    if first.is_some() || !all.is_empty() {
        change(tree, all.set, all.clear, first, Extent::All)?;
    }
    travel(tree, rest)
}

/// Makes mounts and unmounts travel as wanted, one way after another.
fn travel(mount: &OwnedFd, all: &[Spread]) -> Result<(), Errno> {
    all.iter().try_for_each(|spread| {
        let extent = if spread.recursive { Extent::All } else { Extent::One };
        change(mount, 0, 0, Some(kernel(spread.kind)), extent)
    })
}

pub(super) fn kernel(kind: Propagation) -> Travel {
    match kind {
        Propagation::Private => Travel::Private,
        Propagation::Slave => Travel::Slave,
        Propagation::Shared => Travel::Shared,
        Propagation::Unbindable => Travel::Unbindable,
    }
}

/// Changes what is mounted there already; what is not named stays as it is.
fn remount(mount: &Mount, options: &[Opt], root: BorrowedFd<'_>) -> Done {
    let destination = &mount.destination;
    let there = place::open(root, destination.as_bytes(), OFlags::empty())
        .at(Step::Remount, destination)?;
    if !options.is_empty() {
        filesystem::reconfigure(there.as_fd(), options).explain(Step::Remount, destination)?;
    }
    let Attributes { own, all } = mount.attributes;
    for (change_of, extent) in [(own, Extent::One), (all, Extent::All)] {
        if !change_of.is_empty() {
            change(&there, change_of.set, change_of.clear, None, extent)
                .at(Step::Remount, destination)?;
        }
    }
    travel(&there, &mount.propagation).at(Step::Remount, destination)
}
