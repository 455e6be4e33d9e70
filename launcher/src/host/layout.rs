//! The cgroup layout: which hierarchies are mounted where, which controllers each has, and in which
//! folders of them we may make groups.
//!
//! ```text
//! pure v2     /sys/fs/cgroup                 cgroup2
//! v1          /sys/fs/cgroup/<controllers>   cgroup, one mount per controller (or pair)
//! hybrid      v1, and /sys/fs/cgroup/unified (or another folder) cgroup2 with the rest, often none
//! ```
//!
//! The mount table is not parsed while the layout is one of these: `/proc/self/cgroup` names the
//! hierarchies, `statfs` says what a folder is. `/proc/self/mountinfo` costs milliseconds on a host
//! with many mounts, and is asked only for hierarchies mounted elsewhere that a limit could need.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat, statfs};
use serde::{Deserialize, Serialize};

use super::{HostError, pseudo};

/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// `CGROUP_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP_MAGIC: i64 = 0x0027_e0eb;
/// Of the flags of `statfs(2)`: mounted read-only.
const ST_RDONLY: i64 = 1;

/// All hierarchies. Empty on a host that mounts none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layout {
    /// At most one of them is v2.
    pub hierarchies: Vec<Hierarchy>,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Which interface it speaks.
    pub version: Version,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The controllers bound to it.
    pub controllers: BTreeSet<Controller>,
    /// Our own group in it, from its root (`/` is the root).
    pub own: PathBuf,
    /// Where we may make groups, the best place first. Empty where nothing is delegated to us.
    pub anchors: Vec<Anchor>,
}

/// A folder of a hierarchy in which we may make groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// From the hierarchy's root: `/`, `/user.slice/user-1000.slice/...`.
    pub path: PathBuf,
    /// The controllers that groups made here can have.
    pub controllers: BTreeSet<Controller>,
    /// v2 only: processes live in this very group, so that the kernel refuses to enable controllers
    /// for its children ("no internal processes"); only those in `enabled` can be had.
    pub busy: bool,
    /// v2 only: the controllers already enabled for its children.
    pub enabled: BTreeSet<Controller>,
}

/// The two interfaces of cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// One hierarchy per controller (`cgroups(7)`).
    V1,
    /// The unified hierarchy (Documentation/admin-guide/cgroup-v2.rst).
    V2,
}

/// The controllers that limits need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Controller {
    /// Shares and quotas of CPU time.
    Cpu,
    /// v1 only: counts CPU time. v2 counts it in every group.
    Cpuacct,
    /// Which CPUs and memory nodes.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// The number of processes.
    Pids,
    /// Disks: `blkio` in v1, `io` in v2.
    Io,
    /// v1 only: device nodes. v2 has eBPF programs for it.
    Devices,
    /// v1 only: v2 has `cgroup.freeze` in every group.
    Freezer,
    /// Huge pages.
    Hugetlb,
    /// RDMA handles.
    Rdma,
    /// v1 only: tags of network packets.
    NetCls,
    /// v1 only: priorities of network interfaces.
    NetPrio,
    /// Scarce resources of the machine, such as encrypted address spaces.
    Misc,
    /// Memory of devices (Linux 6.14).
    Dmem,
}

impl Controller {
    /// Every controller.
    pub const ALL: [Self; 14] = [
        Self::Cpu,
        Self::Cpuacct,
        Self::Cpuset,
        Self::Memory,
        Self::Pids,
        Self::Io,
        Self::Devices,
        Self::Freezer,
        Self::Hugetlb,
        Self::Rdma,
        Self::NetCls,
        Self::NetPrio,
        Self::Misc,
        Self::Dmem,
    ];

    /// Those that limits of most containers need.
    const USUAL: [Self; 5] = [Self::Cpu, Self::Cpuset, Self::Memory, Self::Pids, Self::Io];

    /// The kernel's name for it in that interface.
    pub fn name(self, version: Version) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Io if version == Version::V1 => "blkio",
            Self::Io => "io",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Hugetlb => "hugetlb",
            Self::Rdma => "rdma",
            Self::NetCls => "net_cls",
            Self::NetPrio => "net_prio",
            Self::Misc => "misc",
            Self::Dmem => "dmem",
        }
    }

    /// The controllers in a list of names; those that no limit needs are left out.
    pub fn parse_list(names: &str, version: Version) -> BTreeSet<Self> {
        names
            .split([',', ' ', '\n'])
            .filter_map(|name| Self::ALL.into_iter().find(|c| c.name(version) == name))
            .collect()
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name(Version::V2))
    }
}

impl Layout {
    /// The layout of this host, below `/sys/fs/cgroup`.
    ///
    /// # Errors
    /// `/proc/self/cgroup` cannot be read.
    pub fn probe(privileged: bool) -> Result<Self, HostError> {
        let path = Path::new("/proc/self/cgroup");
        let memberships = pseudo::text(path)
            .map_err(|source| HostError::Read { path: path.to_owned(), source })?;
        Ok(Self::find(Path::new("/sys/fs/cgroup"), &memberships, privileged))
    }

    /// The hierarchies of `memberships` (the text of `/proc/self/cgroup`) that are mounted below `base`.
    fn find(base: &Path, memberships: &str, privileged: bool) -> Self {
        let mut hierarchies = Vec::new();
        for line in memberships.lines() {
            // `4:memory:/path`; `0::/path` is v2; `9:name=systemd:/` has no controllers.
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(names), Some(own)) = (fields.next(), fields.next()) else { continue };
            let found = if names.is_empty() {
                // It comes last. Where v1 has these, one elsewhere has nothing for us: somebody mounts it for himself.
                let bound = |c| hierarchies.iter().any(|h: &Hierarchy| h.controllers.contains(&c));
                let elsewhere = !Controller::USUAL.into_iter().all(bound);
                Hierarchy::unified(base, own, privileged, elsewhere)
            } else {
                Hierarchy::legacy(base, names, own, privileged)
            };
            hierarchies.extend(found);
        }
        Self { hierarchies }
    }

    /// The hierarchy that a controller is bound to: at most one can be, by the kernel's rule.
    pub fn of(&self, controller: Controller) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|h| h.controllers.contains(&controller))
    }

    /// The unified hierarchy, with or without controllers.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|h| h.version == Version::V2)
    }

    /// Whether v2 is all there is.
    pub fn is_pure_v2(&self) -> bool {
        !self.hierarchies.is_empty() && self.hierarchies.iter().all(|h| h.version == Version::V2)
    }
}

impl Hierarchy {
    fn legacy(base: &Path, names: &str, own: &str, privileged: bool) -> Option<Self> {
        let controllers = Controller::parse_list(names, Version::V1);
        if controllers.is_empty() {
            return None;
        }
        // `cpu,cpuacct` is mounted under that name, or each name is a link to it.
        let mount = std::iter::once(names)
            .chain(names.split(','))
            .find_map(|name| Mounted::at(base.join(name), CGROUP_MAGIC))
            .or_else(|| Mounted::at(mounted("cgroup", Some(names))?, CGROUP_MAGIC))?;
        let anchors = places(own, privileged)
            .filter(|place| mount.may_have_groups(place, privileged))
            .map(|path| Anchor {
                path,
                controllers: controllers.clone(),
                busy: false,
                enabled: controllers.clone(),
            })
            .collect();
        let mount = mount.path;
        Some(Self { version: Version::V1, mount, controllers, own: own.into(), anchors })
    }

    fn unified(base: &Path, own: &str, privileged: bool, elsewhere: bool) -> Option<Self> {
        let mount = [base.to_owned(), base.join("unified")]
            .into_iter()
            .find_map(|path| Mounted::at(path, CGROUP2_MAGIC))
            .or_else(|| {
                Mounted::at(elsewhere.then(|| mounted("cgroup2", None))??, CGROUP2_MAGIC)
            })?;
        let list = |folder: &Path, file: &str| {
            let names = pseudo::text(folder.join(file)).unwrap_or_default();
            Controller::parse_list(&names, Version::V2)
        };
        let controllers = list(&mount.path, "cgroup.controllers");
        let anchors = places(own, privileged)
            .filter(|place| mount.may_have_groups(place, privileged))
            .map(|path| {
                let folder = below(&mount.path, &path);
                let controllers = if folder == mount.path {
                    controllers.clone()
                } else {
                    list(&folder, "cgroup.controllers")
                };
                Anchor {
                    path,
                    // Of what there is not, nothing is enabled or refused.
                    busy: !controllers.is_empty() && is_busy(&folder),
                    enabled: if controllers.is_empty() {
                        BTreeSet::new()
                    } else {
                        list(&folder, "cgroup.subtree_control")
                    },
                    controllers,
                }
            })
            .collect();
        let mount = mount.path;
        Some(Self { version: Version::V2, mount, controllers, own: own.into(), anchors })
    }

    /// The absolute folder of a path in this hierarchy.
    pub fn folder(&self, path: &Path) -> PathBuf {
        below(&self.mount, path)
    }
}

/// Where groups might be made: for the host's root the hierarchy's root, so that a limit of the
/// session that calls us is not ours; for others their own group and every group above it.
fn places(own: &str, privileged: bool) -> impl Iterator<Item = PathBuf> {
    let own = Path::new(own).ancestors().map(Path::to_owned).filter(move |_| !privileged);
    privileged.then(|| PathBuf::from("/")).into_iter().chain(own)
}

/// `path`, which starts with `/`, taken from `mount` on.
fn below(mount: &Path, path: &Path) -> PathBuf {
    path.strip_prefix("/").map_or_else(
        |_| mount.join(path),
        |rest| if rest.as_os_str().is_empty() { mount.to_owned() } else { mount.join(rest) },
    )
}

/// Whether processes live in the group itself. The root of all groups is exempt from the rule, and
/// known by having no `cgroup.type`.
fn is_busy(folder: &Path) -> bool {
    folder.join("cgroup.type").exists()
        && std::fs::read(folder.join("cgroup.procs")).map_or(true, |pids| !pids.is_empty())
}

/// A hierarchy that is mounted.
struct Mounted {
    path: PathBuf,
    readonly: bool,
}

impl Mounted {
    /// What is mounted at `path`, if it is a file system of that kind.
    #[expect(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
    fn at(path: PathBuf, magic: i64) -> Option<Self> {
        let found = statfs(&path).ok().filter(|found| found.f_type as i64 == magic)?;
        let readonly = found.f_flags as i64 & ST_RDONLY != 0;
        Some(Self { path, readonly })
    }

    /// Whether groups can be made in a folder of it, and processes moved there: for that, `cgroup.procs` of the nearest common
    /// ancestor must be writable. The host's root can, wherever anybody can.
    fn may_have_groups(&self, place: &Path, privileged: bool) -> bool {
        if privileged {
            return !self.readonly;
        }
        let folder = below(&self.path, place);
        let may_write =
            |path: &Path| accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        may_write(&folder) && may_write(&folder.join("cgroup.procs"))
    }
}

/// Looks a hierarchy up in the mount table: the way for hosts that mount it somewhere else.
fn mounted(kind: &str, controllers: Option<&str>) -> Option<PathBuf> {
    find_mount(&std::fs::read("/proc/self/mountinfo").ok()?, kind, controllers)
}

/// A line is `36 35 98:0 /root /mnt rw,noatime master:1 - cgroup source rw,memory` (`proc(5)`).
fn find_mount(table: &[u8], kind: &str, controllers: Option<&str>) -> Option<PathBuf> {
    table.split(|&b| b == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        let (mount, found, options) = (
            *fields.get(4)?,
            *fields.get(dash + 1)?,
            std::str::from_utf8(fields.get(dash + 3)?).ok()?,
        );
        let bound = controllers.is_none_or(|names| {
            names.split(',').all(|name| options.split(',').any(|option| option == name))
        });
        (found == kind.as_bytes() && bound)
            .then(|| PathBuf::from(std::ffi::OsStr::from_bytes(mount)))
    })
}
