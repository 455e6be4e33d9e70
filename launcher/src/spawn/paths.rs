//! Paths that are hidden or made read-only. What covers them is finished before it is attached (R3).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use common::tree::ImagePath;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::place::{self, Shape};
use super::prepare::Setup;
use super::step::{At, Done};
use super::{Step, devices, filesystem};
use crate::plan::{Change, Device, DeviceKind};
use crate::sys;
use crate::sys::mount::Extent;

/// Hides the masked paths and seals the read-only ones.
pub(super) fn cover(setup: &Setup<'_>, root: BorrowedFd<'_>) -> Done {
    // Read-only first: a copy of a tree takes along what hides parts of it only when it is made after that, and
    // copying what is hidden would cost more.
    for path in &setup.plan.readonly {
        match place::open(root, path.as_bytes(), OFlags::empty()) {
            Ok(target) => readonly(target).at(Step::Readonly, path)?,
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno).at(Step::Readonly, path),
        }
    }
    let mut covers = Covers::default();
    for path in &setup.plan.masked {
        match place::open(root, path.as_bytes(), OFlags::empty()) {
            Ok(target) => covers.hide(target).at(Step::Mask, path)?,
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno).at(Step::Mask, path),
        }
    }
    Ok(())
}

fn readonly(target: OwnedFd) -> Result<(), Errno> {
    let copy = place::tree_of(&target, true)?;
    let readonly = MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into();
    sys::mount::set_attributes(&copy, readonly, Extent::All)?;
    place::attach(copy, target)
}

/// What hides: made once, then copied.
#[derive(Debug, Default)]
struct Covers {
    folder: Option<OwnedFd>,
    file: Option<OwnedFd>,
}

impl Covers {
    fn hide(&mut self, target: OwnedFd) -> Result<(), Errno> {
        let folder = place::shape(&target)? == Shape::Folder;
        let slot = if folder { &mut self.folder } else { &mut self.file };
        // Only an attached mount can be copied before Linux 6.15: the first is attached itself.
        let cover = match slot {
            Some(attached) => place::tree_of(attached.as_fd(), false)?,
            None if folder => empty_folder()?,
            None => devices::node(Path::new("/dev/null"), &null()?)?,
        };
        place::attach(&cover, target)?;
        *slot = Some(cover);
        Ok(())
    }
}

/// An empty folder that nobody can write.
fn empty_folder() -> Result<OwnedFd, Errno> {
    let set = Change::EMPTY_FOLDER;
    filesystem::new("tmpfs", "tmpfs", &[("mode".to_owned(), Some("555".to_owned()))], set)
        .map_err(|refused| refused.errno)
}

/// What `/dev/null` is.
fn null() -> Result<Device, Errno> {
    let path = ImagePath::new("/dev/null").or(Err(Errno::INVAL))?;
    let source = Path::new("/dev/null").to_owned();
    let kind = DeviceKind::Character;
    Ok(Device { path, source, kind, major: 1, minor: 3, node: None, lent: None })
}
