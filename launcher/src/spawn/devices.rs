//! The nodes of `/dev`.
//!
//! Each is a bind of the host's node, checked to be what its name says, and a mount of its own. Everything else that the
//! container can write is mounted `nodev`, so that a node which it makes itself (`CAP_MKNOD` is in Docker's default set)
//! cannot be opened, whatever the cgroup says.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::Step;
use super::place::{self, Shape};
use super::prepare::Setup;
use super::step::{At, Done};
use crate::plan::{Device, DeviceKind};

/// Links that programs expect (runtime-spec, config-linux, "Default Devices" and dev symbolic links).
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Binds all nodes and makes the links.
pub(super) fn make_all(setup: &Setup<'_>, root: BorrowedFd<'_>) -> Done {
    for device in &setup.plan.devices {
        let tree = node(&device.source, device).at(Step::MakeDevice, &device.path)?;
        let point = place::mount_point(root, &device.path, Shape::File)?;
        place::attach(tree, point).at(Step::MakeDevice, &device.path)?;
    }
    let dev = place::open(root, b"/dev", OFlags::DIRECTORY).at(Step::MakeDevice, "/dev")?;
    for (name, target) in LINKS {
        match rustix::fs::symlinkat(target, dev.as_fd(), name) {
            // A read-only or foreign `/dev` has what it has.
            Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
            Err(errno) => return Err(errno).at(Step::MakeDevice, format_args!("/dev/{name}")),
        }
    }
    Ok(())
}

/// A detached copy of the host's node, which is what the plan says it is (R8: CVE-2025-31133 put another file in the
/// place of /dev/null). ENXIO, as for a device that is not there, when it is something else.
pub(super) fn node(source: &Path, device: &Device) -> Result<OwnedFd, Errno> {
    let tree = place::tree(source, false)?;
    let stat = rustix::fs::fstat(&tree)?;
    let kind = match device.kind {
        DeviceKind::Character => FileType::CharacterDevice,
        DeviceKind::Block => FileType::BlockDevice,
    };
    let number = rustix::fs::makedev(device.major, device.minor);
    if FileType::from_raw_mode(stat.st_mode) != kind || stat.st_rdev != number {
        return Err(Errno::NXIO);
    }
    Ok(tree)
}
