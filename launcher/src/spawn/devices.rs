//! Nodes and links of the container.
//!
//! A bind of the host's node is checked to be what its name says, and is a mount of its own. A node that is made is made in the
//! folder that was found below the root, and looked at by descriptor afterwards: what lies at its name may be somebody else's doing
//! (CVE-2025-31133, CVE-2025-52565).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::tree::ImagePath;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, fstat, mknodat, openat};
use rustix::io::Errno;

use super::Step;
use super::place::{self, Shape};
use super::prepare::Setup;
use super::step::{At, Done};
use crate::plan::{Device, DeviceKind, Link, Node};

/// Makes or binds all nodes, and makes the links.
pub(super) fn make_all(setup: &Setup<'_>, root: BorrowedFd<'_>) -> Done {
    let mut last = Last::default();
    if let Some(lent) = &setup.lent {
        lent.attach()?;
    }
    for (index, device) in setup.plan.devices.iter().enumerate() {
        if let Some(node) = &device.node {
            make(device, node, root)?;
            continue;
        }
        let lent = setup.lent.as_ref().filter(|_| device.lent.is_some());
        let tree = match lent {
            Some(lent) => lent.node(index),
            None => node(&device.source, device),
        };
        let tree = tree.at(Step::MakeDevice, &device.path)?;
        match last.folder(root, &device.path).at(Step::MakeDevice, &device.path)? {
            Some((folder, name)) => bind_new(&tree, device, folder, name, root)?,
            None => bind(&tree, device, root)?,
        }
    }
    if let Some(lent) = &setup.lent {
        lent.put_away()?;
    }
    for link in &setup.plan.links {
        let found = last.folder(root, &link.path).at(Step::Link, &link.path)?;
        let Some((folder, name)) = found else { continue };
        make_link(link, folder, name).at(Step::Link, &link.path)?;
    }
    Ok(())
}

/// The folder that was asked for last: most nodes and links are in one.
#[derive(Debug, Default)]
struct Last(Option<(ImagePath, OwnedFd)>);

impl Last {
    /// The folder in which `path` is or will be, and its last component; `None` for the root.
    fn folder<'a>(
        &'a mut self,
        root: BorrowedFd<'_>,
        path: &'a ImagePath,
    ) -> Result<Option<(BorrowedFd<'a>, &'a [u8])>, Errno> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        if self.0.as_ref().is_none_or(|(known, _)| *known != parent) {
            self.0 = Some((parent.clone(), place::folder(root, &parent)?));
        }
        Ok(self.0.as_ref().map(|(_, folder)| (folder.as_fd(), name)))
    }
}

/// A bind of a node, on a file that is made for it where nothing is yet.
fn bind_new(
    tree: &OwnedFd,
    device: &Device,
    folder: BorrowedFd<'_>,
    name: &[u8],
    root: BorrowedFd<'_>,
) -> Done {
    match place::new_file(folder, name) {
        Ok(point) => place::attach(tree, point).at(Step::MakeDevice, &device.path),
        Err(Errno::EXIST) => bind(tree, device, root),
        Err(errno) => Err(errno).at(Step::MakeDevice, &device.path),
    }
}

/// A bind of a node, wherever its path leads.
fn bind(tree: &OwnedFd, device: &Device, root: BorrowedFd<'_>) -> Done {
    let point = place::mount_point(root, &device.path, Shape::File)?;
    place::attach(tree, point).at(Step::MakeDevice, &device.path)
}

/// A bind of the host's node.
fn bind_host(device: &Device, root: BorrowedFd<'_>) -> Done {
    let tree = node(&device.source, device).at(Step::MakeDevice, &device.path)?;
    bind(&tree, device, root)
}

/// A node of its own. The process's umask is 0 by now.
fn make(device: &Device, node: &Node, root: BorrowedFd<'_>) -> Done {
    let done = |result: Result<(), Errno>| result.at(Step::MakeDevice, &device.path);
    let (folder, name) = place::parent(root, &device.path).at(Step::MakeDevice, &device.path)?;
    let made = mknodat(
        &folder,
        name,
        file_type(device.kind),
        Mode::from_raw_mode(node.mode),
        rustix::fs::makedev(device.major, device.minor),
    );
    match made {
        // Something may be there already: the very device, or what has to give way.
        Ok(()) | Err(Errno::EXIST) => {}
        // Not allowed to this launcher, or by a device rule; or its folder cannot be written. The host's will do.
        Err(Errno::PERM | Errno::ROFS) if device.kind != DeviceKind::Fifo => {
            return bind_host(device, root);
        }
        Err(errno) => return done(Err(errno)),
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let there = openat(&folder, name, flags, Mode::empty()).at(Step::MakeDevice, &device.path)?;
    let stat = fstat(&there).at(Step::MakeDevice, &device.path)?;
    if !is(device, &stat) {
        // runtime-spec, config-linux, "Devices": "If a file already exists at path that does not match the requested device, the
        // runtime MUST generate an error." A default one was not requested.
        return if node.explicit { done(Err(Errno::EXIST)) } else { bind_host(device, root) };
    }
    if made.is_err() && !node.explicit {
        return Ok(());
    }
    done(own(&there, &stat, node))
}

/// Owner and permissions, where they are not right already.
fn own(there: &OwnedFd, stat: &Stat, node: &Node) -> Result<(), Errno> {
    if (stat.st_uid, stat.st_gid) != (node.uid, node.gid) {
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        rustix::fs::chownat(there, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    }
    if stat.st_mode & 0o7777 != node.mode {
        place::chmod(there, Mode::from_raw_mode(node.mode))?;
    }
    Ok(())
}

/// A detached copy of the host's node, which is what the plan says it is (R8: CVE-2025-31133 put another file in the
/// place of /dev/null). ENXIO, as for a device that is not there, when it is something else.
pub(super) fn node(source: &Path, device: &Device) -> Result<OwnedFd, Errno> {
    let tree = place::tree(source, false)?;
    if is(device, &fstat(&tree)?) { Ok(tree) } else { Err(Errno::NXIO) }
}

fn is(device: &Device, stat: &Stat) -> bool {
    let number = rustix::fs::makedev(device.major, device.minor);
    FileType::from_raw_mode(stat.st_mode) == file_type(device.kind)
        && (device.kind == DeviceKind::Fifo || stat.st_rdev == number)
}

pub(super) fn file_type(kind: DeviceKind) -> FileType {
    match kind {
        DeviceKind::Character => FileType::CharacterDevice,
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Fifo => FileType::Fifo,
    }
}

fn make_link(link: &Link, folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let make = || rustix::fs::symlinkat(link.target.as_str(), folder, name);
    match make() {
        Err(Errno::EXIST) if link.replaces => {
            let there = rustix::fs::readlinkat(folder, name, Vec::new());
            if there.is_ok_and(|target| target.as_bytes() == link.target.as_bytes()) {
                return Ok(());
            }
            match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
                Ok(()) => make(),
                // A folder or a mount is there; it stays.
                Err(Errno::ISDIR | Errno::BUSY | Errno::ROFS) => Ok(()),
                Err(errno) => Err(errno),
            }
        }
        // What cannot be written has what it has.
        Err(Errno::EXIST | Errno::ROFS) => Ok(()),
        other => other,
    }
}
