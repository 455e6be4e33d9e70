//! Nodes that nobody can make in a user namespace: the launcher makes them, in a file system in memory of its own, and the
//! child binds each to its place. (A node can be opened only on a file system that was made where it could be made, too.)

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, makedev, mknodat, openat};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, UnmountFlags, open_tree, unmount};

use super::devices::file_type;
use super::step::{At, Done};
use super::{Step, filesystem, place};
use crate::plan::{Change, Plan};

/// The file system; a node's name in it is its index among the plan's devices.
#[derive(Debug)]
pub(super) struct Lent(OwnedFd);

impl Lent {
    /// In the launcher: makes those that the plan wants made so. `None` without any, or where the launcher may not either: then the
    /// host's will do.
    pub(super) fn make(plan: &Plan) -> Option<Self> {
        let mut wanted = plan.devices.iter().enumerate().filter_map(|(index, device)| {
            device.lent.map(|node| (index.to_string(), device, node))
        });
        let first = wanted.next()?;
        let options = [("mode".to_owned(), Some("755".to_owned()))];
        let tmpfs = filesystem::new("tmpfs", "tmpfs", &options, Change::default()).ok()?;
        for (name, device, node) in std::iter::once(first).chain(wanted) {
            let made = || -> Result<(), Errno> {
                let number = makedev(device.major, device.minor);
                mknodat(&tmpfs, &name, file_type(device.kind), Mode::empty(), number)?;
                let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
                chownat(&tmpfs, &name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let there = openat(&tmpfs, &name, flags, Mode::empty())?;
                place::chmod(&there, Mode::from_raw_mode(node.mode))
            };
            made().ok()?;
        }
        Some(Self(tmpfs))
    }

    /// In the child: puts the file system where its mounts can be copied (a detached one's can only since Linux 6.15), until
    /// it is [put away](Self::put_away).
    pub(super) fn attach(&self) -> Done {
        place::attach_on_top(&self.0).at(Step::Mount, "a file system in memory")
    }

    /// A detached mount of one node.
    pub(super) fn node(&self, index: usize) -> Result<OwnedFd, Errno> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(self.0.as_fd(), index.to_string(), flags)
    }

    /// In the child: the container's root is what lies on top again.
    pub(super) fn put_away(&self) -> Done {
        // By descriptor: this one and nothing else.
        unmount(format!("/proc/self/fd/{}", self.0.as_raw_fd()), UnmountFlags::DETACH)
            .at(Step::Mount, "a file system in memory")
    }
}
