//! What is mounted below the root.

use std::path::{Path, PathBuf};

use common::tree::ImagePath;
use oci_spec::runtime::{LinuxIdMapping, Mount as OciMount, Spec};

use super::ids::outside;
use super::mount::{Link, Mount, OwnerMaps, Owners, Propagation, Source, Sources, Spread};
use super::options::Options;
use super::{
    Attributes, Ground, IdMaps, IdRange, Namespace, NamespaceKind, PlanError, cgroups, paths,
};
use crate::cgroup::CgroupPlan;
use crate::host::Host;

/// File systems that are windows into the kernel, or of which this one instance is all: read-only is then the mount alone,
/// because the file system is others' too, or because mount points have to be made on it first.
const WINDOWS: [&str; 16] = [
    "proc",
    "sysfs",
    "tmpfs",
    "ramfs",
    "devpts",
    "devtmpfs",
    "mqueue",
    "cgroup",
    "cgroup2",
    "bpf",
    "debugfs",
    "tracefs",
    "securityfs",
    "configfs",
    "fusectl",
    "hugetlbfs",
];

/// What decides how things can be mounted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) namespaces: &'a [Namespace],
    pub(super) id_maps: Option<&'a IdMaps>,
    pub(super) cgroup: &'a CgroupPlan,
    /// What `rootfsPropagation` says.
    pub(super) root: Option<Spread>,
    /// The bundle's folder.
    pub(super) bundle: Option<&'a Path>,
}

impl Scope<'_> {
    pub(super) fn has_new(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|one| one.kind == kind && one.path.is_none())
    }

    pub(super) fn has(&self, kind: NamespaceKind) -> bool {
        self.namespaces.iter().any(|one| one.kind == kind)
    }

    /// How a copy of a mount of the host's begins.
    fn inherited(&self) -> Option<Spread> {
        let kind = match self.root.map(|spread| spread.kind) {
            Some(Propagation::Private | Propagation::Unbindable) => Propagation::Private,
            // Mounts and unmounts of the host are seen inside: nobody keeps busy what the host gives up.
            Some(Propagation::Slave) | None => Propagation::Slave,
            Some(Propagation::Shared) => return None,
        };
        Some(Spread { kind, recursive: true })
    }
}

/// `rootfsPropagation`.
pub(super) fn root_propagation(spec: &Spec) -> Result<Option<Spread>, PlanError> {
    let word = spec.linux().as_ref().and_then(|linux| linux.rootfs_propagation().clone());
    let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(None) };
    Spread::try_from(word.clone()).map(Some).or(Err(PlanError::Propagation(word)))
}

/// The specification's mounts, in its order, and links that belong to them.
pub(super) fn plan(
    spec: &Spec,
    scope: &Scope<'_>,
    host: &Host,
) -> Result<(Vec<Mount>, Vec<Link>), PlanError> {
    let (mut all, mut links) = (Vec::new(), Vec::new());
    for mount in spec.mounts().as_deref().unwrap_or_default() {
        let wanted = Wanted {
            destination: paths::destination(mount.destination())?,
            options: Options::parse(mount.options().as_deref().unwrap_or_default()),
            mount,
        };
        match wanted.sort(scope)? {
            Sort::Remount => all.push(wanted.remount()),
            Sort::Bind { recursive } => all.push(wanted.bind(recursive, scope, host)?),
            Sort::Cgroup => {
                let attributes = wanted.options.attributes;
                let (mounts, names) = cgroups::plan(&wanted.destination, attributes, scope, host)?;
                all.extend(mounts);
                links.extend(names);
            }
            Sort::New(filesystem) => all.push(wanted.instance(filesystem, scope, host)?),
        }
    }
    Ok((all, links))
}

/// When the host's side of the binds is opened.
pub(super) fn sources(
    mounts: &[Mount],
    scope: &Scope<'_>,
    ground: &Ground<'_>,
    host: &Host,
) -> Sources {
    let mapped = |mount: &Mount| matches!(&mount.source, Source::Bind { owners: Some(_), .. });
    let privileged = host.privileged();
    // Root inside may pass through none of the host's private folders. (Everyone else's container has the rights that its
    // launcher has.) And only a mount that nobody has can show its owners by other ids.
    if privileged && (scope.has(NamespaceKind::User) || mounts.iter().any(mapped)) {
        return Sources::Launcher;
    }
    // An image that is a file is no folder that its root could go on top of, out of the way of every path.
    if !ground.format.is_folder() {
        return Sources::Launcher;
    }
    // What is to be one with the host's mounts has to be copied while the launcher's copies of these still are.
    let binds = |mount: &Mount| matches!(mount.source, Source::Bind { .. });
    let shared = scope.root.is_some_and(|root| root.kind == Propagation::Shared);
    if shared && mounts.iter().any(binds) { Sources::Early } else { Sources::Late }
}

/// What sort of mount something is.
enum Sort<'a> {
    Remount,
    Bind {
        recursive: bool,
    },
    /// The view of the container's own groups, whichever interface the host has.
    Cgroup,
    New(&'a str),
}

/// A mount of the specification, read.
struct Wanted<'a> {
    mount: &'a OciMount,
    destination: ImagePath,
    options: Options,
}

impl Wanted<'_> {
    fn refused(&self, problem: &'static str) -> PlanError {
        PlanError::Mount { destination: self.destination.clone(), problem }
    }

    fn sort(&self, scope: &Scope<'_>) -> Result<Sort<'_>, PlanError> {
        let typ = self.mount.typ().as_deref().filter(|typ| !typ.is_empty());
        if self.destination == ImagePath::root() {
            return Err(self.refused("would hide the root itself"));
        }
        if self.options.copy_up && (typ != Some("tmpfs") || self.options.bind.is_some()) {
            return Err(self.refused("asks for `tmpcopyup`, which only a tmpfs can do"));
        }
        if self.options.remount {
            if !scope.has(NamespaceKind::Mount) {
                return Err(self
                    .refused("is to be changed, but is the host's: there is no mount namespace"));
            }
            return Ok(Sort::Remount);
        }
        match (self.options.bind, typ) {
            (Some(recursive), _) => Ok(Sort::Bind { recursive }),
            (None, Some("bind") | None) => Ok(Sort::Bind { recursive: true }),
            (None, Some("cgroup")) => Ok(Sort::Cgroup),
            (None, Some(filesystem)) => Ok(Sort::New(filesystem)),
        }
    }

    /// `remount`: as mount(8) means it, what is not named stays. With `bind` the mount alone is changed.
    fn remount(&self) -> Mount {
        let options = match self.options.bind {
            Some(_) => Vec::new(),
            None => self.filesystem_options(),
        };
        Mount {
            destination: self.destination.clone(),
            source: Source::Remount { options },
            attributes: self.options.attributes,
            propagation: self.options.propagation.clone(),
        }
    }

    /// A copy of the host's. Options of a file system have no meaning for it and are passed over, as mount(2) does.
    fn bind(&self, recursive: bool, scope: &Scope<'_>, host: &Host) -> Result<Mount, PlanError> {
        let source = self.mount.source().as_ref().filter(|source| !source.as_os_str().is_empty());
        let source = source.ok_or_else(|| self.refused("has no source"))?;
        // A relative one is meant from the bundle.
        let path = match scope.bundle {
            Some(bundle) => bundle.join(source),
            None if source.is_absolute() => source.clone(),
            None => return Err(self.refused("has a source that is not absolute")),
        };
        let owners = self.owners(scope, host)?;
        Ok(Mount {
            destination: self.destination.clone(),
            source: Source::Bind { path, recursive, owners },
            attributes: self.options.attributes,
            propagation: self.relations(scope),
        })
    }

    /// How a copy of the host's begins, and then what the options make of it.
    fn relations(&self, scope: &Scope<'_>) -> Vec<Spread> {
        let mut all: Vec<Spread> = scope.inherited().into_iter().collect();
        all.extend(&self.options.propagation);
        // What comes before an end of all relations has no effect.
        if let Some(last) = all.iter().rposition(|spread| spread.ends_all()) {
            all.drain(..last);
        }
        all
    }

    fn owners(&self, scope: &Scope<'_>, host: &Host) -> Result<Option<Owners>, PlanError> {
        let ranges = |list: &Option<Vec<LinuxIdMapping>>| -> Vec<IdRange> {
            let range = |one: &LinuxIdMapping| IdRange {
                inside: one.container_id(),
                outside: one.host_id(),
                count: one.size(),
            };
            list.iter().flatten().map(range).collect()
        };
        let uids = ranges(self.mount.uid_mappings());
        let gids = ranges(self.mount.gid_mappings());
        let own = !uids.is_empty() || !gids.is_empty();
        if self.options.map_ids.is_none() && !own {
            return Ok(None);
        }
        if own && (uids.is_empty() || gids.is_empty()) {
            return Err(self.refused("maps owners of one sort only: users and groups, or neither"));
        }
        if !own && !scope.has(NamespaceKind::User) {
            return Err(self.refused(
                "is to show its owners by other ids, but has no maps and the container no user namespace",
            ));
        }
        if !host.privileged() {
            return Err(self
                .refused("is to show its owners by other ids, which only the host's root can do"));
        }
        let maps = own.then_some(OwnerMaps { uids, gids });
        Ok(Some(Owners { maps, recursive: self.options.map_ids.unwrap_or(false) }))
    }

    fn instance(
        &self,
        filesystem: &str,
        scope: &Scope<'_>,
        host: &Host,
    ) -> Result<Mount, PlanError> {
        if self.options.map_ids.is_some()
            || self.mount.uid_mappings().as_ref().is_some_and(|maps| !maps.is_empty())
        {
            return Err(
                self.refused("is to show its owners by other ids, which only a bind can do")
            );
        }
        let destination = self.destination.clone();
        if let Some(path) = the_hosts(filesystem, scope, host) {
            // The host's devices are looked at only.
            let readonly: &[&str] = if filesystem == "sysfs" { &["rro"] } else { &[] };
            let attributes = self.options.attributes.and_of_all(Attributes::of(readonly));
            let source = Source::Bind { path, recursive: true, owners: None };
            let propagation = self.relations(scope);
            return Ok(Mount { destination, source, attributes, propagation });
        }
        let mut options = self.filesystem_options();
        if let Some(maps) = scope.id_maps {
            // devpts refuses a group that does not exist in the namespace.
            options.retain(|(key, value)| {
                let id = value.as_deref().and_then(|value| value.parse().ok());
                !(filesystem == "devpts" && key == "gid")
                    || id.is_some_and(|id| outside(&maps.gids, id).is_some())
            });
        }
        let source = self.mount.source().as_deref().filter(|source| !source.as_os_str().is_empty());
        let name = source.map_or_else(
            || filesystem.to_owned(),
            |source: &Path| source.to_string_lossy().into_owned(),
        );
        let source = Source::New {
            filesystem: filesystem.to_owned(),
            name,
            options,
            copy_up: self.options.copy_up,
        };
        let propagation = self.options.propagation.clone();
        Ok(Mount { destination, source, attributes: self.options.attributes, propagation })
    }

    /// What a file system is told.
    fn filesystem_options(&self) -> Vec<(String, Option<String>)> {
        let typ = self.mount.typ().as_deref().unwrap_or_default();
        // As mount(8) does: a device that cannot be written cannot even be mounted otherwise.
        let readonly =
            self.options.attributes.readonly() && !WINDOWS.contains(&typ) && !typ.is_empty();
        let common =
            readonly.then_some("ro").into_iter().chain(self.options.superblock.iter().copied());
        common
            .map(|word| (word.to_owned(), None))
            .chain(self.options.rest.iter().cloned())
            .collect()
    }
}

/// Where the host has what only the owner of a namespace can mount, and this container shares that namespace with the host: its network
/// devices, its processes, its message queues; and its v2 groups, of which nobody makes an instance there. In a user namespace of its
/// own, a network namespace that is joined is somebody else's, too.
fn the_hosts(filesystem: &str, scope: &Scope<'_>, host: &Host) -> Option<PathBuf> {
    if filesystem == "cgroup2" {
        return cgroups::hosts_v2(scope, host);
    }
    let own_users = scope.id_maps.is_some();
    if !own_users && host.privileged() {
        return None;
    }
    let network = if own_users { Scope::has_new } else { Scope::has };
    let path = match filesystem {
        "sysfs" if !network(scope, NamespaceKind::Network) => "/sys",
        "proc" if !scope.has(NamespaceKind::Pid) => "/proc",
        "mqueue" if !scope.has(NamespaceKind::Ipc) => "/dev/mqueue",
        _ => return None,
    };
    Some(path.into())
}
