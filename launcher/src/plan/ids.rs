//! How user and group ids inside a user namespace correspond to those outside (`user_namespaces(7)`).

use std::path::PathBuf;

use oci_spec::runtime::{Linux, LinuxIdMapping};
use serde::{Deserialize, Serialize};

use super::{Ground, PlanError, Process};
use crate::host::Host;

/// Where root's containers are mapped to when `/etc/subuid` has nothing for root: the first ids past those that systemd
/// gives to containers (524288 to 1879048191, systemd's UIDS-GIDS document), far from those of people.
const DEFAULT_START: u32 = 1_879_179_264;
/// How many ids a container gets then: all that 16 bits can name, so also `nobody`.
const DEFAULT_COUNT: u32 = 65_536;

/// The maps of a new user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// Users; id 0 inside is always among them.
    pub uids: Vec<IdRange>,
    /// Groups; likewise.
    pub gids: Vec<IdRange>,
    /// Who writes them.
    pub writer: MapWriter,
    /// `setgroups` is denied before the group map is written: the kernel demands it of an ordinary user, who
    /// could otherwise drop a group that a file's mode denies access to (CVE-2014-8989).
    pub deny_setgroups: bool,
    /// Whether the snapshot is shown through an idmapped mount, so that its root's files belong to the
    /// root inside. (Launched by root; an ordinary user owns his snapshots already.)
    pub idmapped_root: bool,
}

/// `count` ids from `inside` on are those from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// First id in the namespace.
    pub inside: u32,
    /// First id in the launcher's namespace.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Who writes the maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapWriter {
    /// The launcher itself: it is root, or maps only its own id.
    Launcher,
    /// `newuidmap` and `newgidmap`, which are set-uid and ask `/etc/subuid` and `/etc/subgid`.
    Helpers {
        /// Path of `newuidmap`.
        newuidmap: PathBuf,
        /// Path of `newgidmap`.
        newgidmap: PathBuf,
    },
}

/// The maps of a new user namespace: those of the specification, else the best that this host allows this user.
pub(super) fn maps(
    linux: Option<&Linux>,
    ground: &Ground<'_>,
    host: &Host,
) -> Result<IdMaps, PlanError> {
    let given = |list: Option<&Vec<LinuxIdMapping>>| -> Vec<IdRange> {
        let range = |one: &LinuxIdMapping| IdRange {
            inside: one.container_id(),
            outside: one.host_id(),
            count: one.size(),
        };
        list.into_iter().flatten().map(range).collect()
    };
    let uids = given(linux.and_then(|linux| linux.uid_mappings().as_ref()));
    let gids = given(linux.and_then(|linux| linux.gid_mappings().as_ref()));
    if uids.is_empty() && gids.is_empty() {
        return default_maps(host);
    }
    given_maps(uids, gids, ground, host)
}

/// The specification's maps. Whoever is root in his own user namespace may write any; others one that names nobody but
/// themselves, or through the helpers.
fn given_maps(
    uids: Vec<IdRange>,
    gids: Vec<IdRange>,
    ground: &Ground<'_>,
    host: &Host,
) -> Result<IdMaps, PlanError> {
    let root = host.uid() == 0;
    let only =
        |ranges: &[IdRange], own| matches!(ranges, [one] if one.outside == own && one.count == 1);
    let own_only = only(&uids, host.uid()) && only(&gids, host.gid());
    let ids = host.ids();
    let (writer, deny_setgroups) = match (&ids.newuidmap, &ids.newgidmap) {
        _ if root => (MapWriter::Launcher, false),
        (Some(newuidmap), Some(newgidmap)) if !own_only => {
            let (newuidmap, newgidmap) = (newuidmap.clone(), newgidmap.clone());
            (MapWriter::Helpers { newuidmap, newgidmap }, false)
        }
        _ => (MapWriter::Launcher, true),
    };
    // A bundle's root belongs to whom it belongs.
    let idmapped_root = host.privileged() && !ground.bundle && outside(&uids, 0) != Some(0);
    checked(IdMaps { uids, gids, writer, deny_setgroups, idmapped_root })
}

/// The best maps that this host allows this user: those of every container that names none, and of who clears after one.
///
/// # Errors
///
/// The ranges of `/etc/subuid` or `/etc/subgid` overlap.
pub fn default_maps(host: &Host) -> Result<IdMaps, PlanError> {
    checked(if host.privileged() { privileged(host) } else { ordinary(host) })
}

fn checked(maps: IdMaps) -> Result<IdMaps, PlanError> {
    if valid(&maps.uids) && valid(&maps.gids) { Ok(maps) } else { Err(PlanError::IdMaps) }
}

/// Launched by root: a range of the host's that belongs to nobody.
fn privileged(host: &Host) -> IdMaps {
    let range = |configured: &[crate::host::IdRange]| {
        let first = configured.first();
        vec![IdRange {
            inside: 0,
            outside: first.map_or(DEFAULT_START, |range| range.start),
            count: first.map_or(DEFAULT_COUNT, |range| range.count),
        }]
    };
    IdMaps {
        uids: range(&host.ids().uids),
        gids: range(&host.ids().gids),
        writer: MapWriter::Launcher,
        deny_setgroups: false,
        idmapped_root: true,
    }
}

/// Launched by anyone else: root inside is that user, and the other ids are his ranges where he has some.
fn ordinary(host: &Host) -> IdMaps {
    let own = |id| IdRange { inside: 0, outside: id, count: 1 };
    let (mut uids, mut gids) = (vec![own(host.uid())], vec![own(host.gid())]);
    let ids = host.ids();
    if let (true, Some(newuidmap), Some(newgidmap)) = (ids.usable(), &ids.newuidmap, &ids.newgidmap)
    {
        append(&mut uids, &ids.uids);
        append(&mut gids, &ids.gids);
        let writer =
            MapWriter::Helpers { newuidmap: newuidmap.clone(), newgidmap: newgidmap.clone() };
        return IdMaps { uids, gids, writer, deny_setgroups: false, idmapped_root: false };
    }
    IdMaps { uids, gids, writer: MapWriter::Launcher, deny_setgroups: true, idmapped_root: false }
}

/// Puts ranges behind one another, from the first id that is free inside.
fn append(ranges: &mut Vec<IdRange>, more: &[crate::host::IdRange]) {
    for range in more {
        let Some(inside) = ranges.last().and_then(|last| last.inside.checked_add(last.count))
        else {
            return;
        };
        ranges.push(IdRange { inside, outside: range.start, count: range.count });
    }
}

/// Root is there, nothing is empty or runs over, and no id is mapped twice.
fn valid(ranges: &[IdRange]) -> bool {
    let fits = |range: &IdRange| {
        range.count > 0
            && range.inside.checked_add(range.count).is_some()
            && range.outside.checked_add(range.count).is_some()
    };
    let apart = |a: &IdRange, b: &IdRange| {
        let clear =
            |x: u32, y: u32| x >= y.saturating_add(b.count) || y >= x.saturating_add(a.count);
        clear(a.inside, b.inside) && clear(a.outside, b.outside)
    };
    outside(ranges, 0).is_some()
        && ranges.iter().all(fits)
        && ranges.iter().enumerate().all(|(i, a)| ranges[i + 1..].iter().all(|b| apart(a, b)))
}

impl IdMaps {
    /// Whether the program's user and group exist; groups that do not are left out, for nobody can be a member of them.
    pub(super) fn check(&self, process: &mut Process) -> Result<(), PlanError> {
        let (uid, gid) = (process.uid, process.gid);
        if outside(&self.uids, uid).is_none() || outside(&self.gids, gid).is_none() {
            return Err(PlanError::Unmapped { uid, gid });
        }
        if let Some(groups) = &mut process.groups {
            groups.retain(|&group| !self.deny_setgroups && outside(&self.gids, group).is_some());
        }
        Ok(())
    }

    /// The user outside who is root inside.
    pub fn root_uid(&self) -> Option<u32> {
        outside(&self.uids, 0)
    }

    /// The group outside that is root's inside.
    pub fn root_gid(&self) -> Option<u32> {
        outside(&self.gids, 0)
    }
}

/// The id outside that stands for `inside`.
pub(super) fn outside(ranges: &[IdRange], inside: u32) -> Option<u32> {
    ranges.iter().find_map(|range| {
        let offset = inside.checked_sub(range.inside)?;
        (offset < range.count).then(|| range.outside.checked_add(offset)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{IdRange as HostRange, Kernel, Layout, SubordinateIds};

    fn host(uid: u32, ranges: &[(u32, u32)], helpers: bool) -> Host {
        let ranges: Vec<HostRange> =
            ranges.iter().map(|&(start, count)| HostRange { start, count }).collect();
        let helper = |name: &str| helpers.then(|| PathBuf::from(name));
        Host::made_up(uid, Kernel::new(6, 1), Layout::default()).with_ids(SubordinateIds {
            uids: ranges.clone(),
            gids: ranges,
            newuidmap: helper("newuidmap"),
            newgidmap: helper("newgidmap"),
        })
    }

    #[test]
    fn ids_are_mapped_as_far_as_the_host_allows() {
        let check = |host: &Host, expected: &[(u32, u32, u32)], deny: bool, idmapped: bool| {
            let maps = default_maps(host).unwrap();
            let ranges: Vec<_> = maps.uids.iter().map(|r| (r.inside, r.outside, r.count)).collect();
            assert_eq!(ranges, expected);
            assert_eq!((maps.deny_setgroups, maps.idmapped_root), (deny, idmapped));
        };
        let own = [(0, DEFAULT_START, DEFAULT_COUNT)];
        check(&host(0, &[], false), &own, false, true);
        check(&host(0, &[(100_000, 65_536)], false), &[(0, 100_000, 65_536)], false, true);
        check(&host(1000, &[], true), &[(0, 1000, 1)], true, false);
        check(&host(1000, &[(100_000, 9)], false), &[(0, 1000, 1)], true, false);
        let two = [(100_000, 9), (500_000, 5)];
        let all = [(0, 1000, 1), (1, 100_000, 9), (10, 500_000, 5)];
        check(&host(1000, &two, true), &all, false, false);
        check(&host(0, &[], false).in_user_namespace(), &[(0, 0, 1)], true, false);
    }

    #[test]
    fn unusable_maps_are_refused() {
        let range = |inside, outside, count| IdRange { inside, outside, count };
        for (ranges, expected) in [
            (vec![range(0, 5, 1)], true),
            (vec![range(0, 5, 2), range(2, 9, 1)], true),
            (vec![], false),
            (vec![range(1, 5, 1)], false),
            (vec![range(0, 5, 0)], false),
            (vec![range(0, u32::MAX, 1)], false),
            (vec![range(0, 5, 2), range(1, 9, 1)], false),
            (vec![range(0, 5, 2), range(2, 6, 1)], false),
        ] {
            assert_eq!(valid(&ranges), expected, "{ranges:?}");
        }
    }
}
