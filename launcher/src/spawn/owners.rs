//! Mounts that show their owners by other ids (`MOUNT_ATTR_IDMAP`, Linux 5.12): in the launcher, on copies that nobody else has yet.
//! Needs support by the file system (ext4, xfs, btrfs since 5.12 to 5.19, tmpfs since 6.3, overlayfs' layers).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use super::sources::Trees;
use super::step::{At, Done};
use super::{Step, end_of, handshake, ids};
use crate::plan::{IdMaps, MapWriter, Mount, NamespaceKind, OwnerMaps, Owners, Plan, Source};
use crate::sys::clone::{Side, exit_now, fork_into};
use crate::sys::mount::{Extent, map_ids};

/// Those with maps of their own.
pub(super) fn map_own(plan: &Plan, trees: &Trees) -> Done {
    let mut known: Vec<(&OwnerMaps, OwnedFd)> = Vec::new();
    for (index, mount, owners) in mapped(plan) {
        let Some(maps) = &owners.maps else { continue };
        let at = known.iter().position(|(other, _)| *other == maps);
        let at = if let Some(at) = at {
            at
        } else {
            let namespace = namespace(maps).at(Step::MapMount, &mount.destination)?;
            known.push((maps, namespace));
            known.len() - 1
        };
        if let Some((_, namespace)) = known.get(at) {
            show(trees, index, mount, owners, namespace.as_fd())?;
        }
    }
    Ok(())
}

/// The root, and those with the maps of the container's user namespace, when that exists already.
pub(super) fn map_as_joined(plan: &Plan, trees: &Trees) -> Done {
    match plan.joined().find(|(kind, _)| *kind == NamespaceKind::User) {
        Some((_, path)) => map_as(plan, trees, path),
        None => Ok(()),
    }
}

/// The same, when it is new and `pid` its first process.
pub(super) fn map_as_the_container(plan: &Plan, trees: &Trees, pid: Pid) -> Done {
    map_as(plan, trees, &namespace_of(pid))
}

fn map_as(plan: &Plan, trees: &Trees, path: &Path) -> Done {
    let root = plan.id_maps.as_ref().is_some_and(|maps| maps.idmapped_root);
    if !root && mapped(plan).all(|(_, _, owners)| owners.maps.is_some()) {
        return Ok(());
    }
    let namespace = open(path).at(Step::MapMount, path.display())?;
    if let (true, Some(tree)) = (root, trees.root()) {
        map_ids(tree, &namespace, Extent::One).at(Step::MapMount, plan.root.lower().display())?;
    }
    for (index, mount, owners) in mapped(plan).filter(|(_, _, owners)| owners.maps.is_none()) {
        show(trees, index, mount, owners, namespace.as_fd())?;
    }
    Ok(())
}

fn mapped(plan: &Plan) -> impl Iterator<Item = (usize, &Mount, &Owners)> {
    plan.mounts.iter().enumerate().filter_map(|(index, mount)| match &mount.source {
        Source::Bind { owners: Some(owners), .. } => Some((index, mount, owners)),
        _ => None,
    })
}

fn show(
    trees: &Trees,
    index: usize,
    mount: &Mount,
    owners: &Owners,
    namespace: BorrowedFd<'_>,
) -> Done {
    let extent = if owners.recursive { Extent::All } else { Extent::One };
    let tree = trees.mount(index).ok_or(Errno::BADF).at(Step::MapMount, &mount.destination)?;
    map_ids(tree, namespace, extent).at(Step::MapMount, &mount.destination)
}

/// A user namespace with these maps. It lives as long as the descriptor: the process that it was made with ends at once.
fn namespace(maps: &OwnerMaps) -> Result<OwnedFd, Errno> {
    let maps = IdMaps {
        uids: maps.uids.clone(),
        gids: maps.gids.clone(),
        writer: MapWriter::Launcher,
        deny_setgroups: false,
        idmapped_root: false,
    };
    let (ours, theirs) = handshake::pair()?;
    let (pid, pidfd) = match fork_into(NamespaceKind::User.flag(), None)? {
        Side::Child => {
            drop(ours);
            // Until the end of file.
            exit_now(i32::from(handshake::await_go(theirs.as_fd()).is_ok()))
        }
        Side::Parent { pid, pidfd } => (pid, pidfd),
    };
    drop(theirs);
    let made = ids::map(&maps, pid).map_err(|failure| failure.errno);
    let namespace = made.and_then(|()| open(&namespace_of(pid)));
    drop(ours);
    end_of(&pidfd);
    namespace
}

fn namespace_of(pid: Pid) -> PathBuf {
    PathBuf::from(format!("/proc/{}/ns/user", pid.as_raw_nonzero()))
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}
