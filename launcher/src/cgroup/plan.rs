//! Which groups a container gets: pure, so that it is tested with made-up hosts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::LinuxResources;

use super::devices::DeviceRule;
use super::limits::{Wanted, wanted};
use super::realtime::SHARED;
use super::systemd::scope;
use super::{CgroupError, CgroupPlan, Driver, GroupPlan, Limit, Setting, Unavailable, devices};
use crate::host::{Anchor, Controller, Hierarchy, Host, Layout, Version};

/// What the groups are for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The container's id; the group is `coracle/<id>`.
    pub id: &'a str,
    /// `linux.cgroupsPath` of a bundle, instead of that. An absolute one starts at the hierarchy's root, and for whoever
    /// has no rights there in the group that is delegated to them; a relative one always at the anchor.
    pub path: Option<&'a Path>,
    /// `linux.resources`.
    pub resources: Option<&'a LinuxResources>,
    /// Who makes them.
    pub driver: Driver,
    /// `annotations`: with the systemd driver those that begin with `org.systemd.property.` are properties of the scope.
    pub annotations: Option<&'a HashMap<String, String>>,
    /// Whether the container gets every controller that is to be had: an engine pauses, measures and updates what it has
    /// made. Otherwise those that limits need, and cheap ones.
    pub complete: bool,
}

/// Controllers that root's groups have even without limits: they cost 100 microseconds together and
/// answer "how many processes, how much memory, was it the OOM killer".
const CHEAP: [Controller; 2] = [Controller::Memory, Controller::Pids];

/// Controllers of a complete container. Not those that only tag packets or count RDMA handles, unless they are asked for.
const COMPLETE: [Controller; 9] = [
    Controller::Cpu,
    Controller::Cpuacct,
    Controller::Cpuset,
    Controller::Memory,
    Controller::Pids,
    Controller::Io,
    Controller::Devices,
    Controller::Freezer,
    Controller::Hugetlb,
];

/// Which groups are made, and what is written into them.
///
/// # Errors
/// A limit that this host cannot keep, a value that no kernel takes, a path that leaves its place.
pub fn plan(request: &Request<'_>, host: &Host) -> Result<CgroupPlan, CgroupError> {
    let default = LinuxResources::default();
    let resources = request.resources.unwrap_or(&default);
    let wanted = wanted(resources)?;
    if request.driver == Driver::Disabled {
        // Device rules are no limit: engines always send them, and what has no group has no devices but those mounted.
        return match wanted.first() {
            Some(wanted) => Err(CgroupError::Disabled { limit: wanted.limit }),
            None => Ok(CgroupPlan::default()),
        };
    }
    let systemd = request.driver == Driver::Systemd;
    let always = host.uid() == 0 || systemd;
    if wanted.is_empty() && !always {
        // Nothing to limit; the pid namespace is what kills all of it.
        return Ok(CgroupPlan::default());
    }
    let layout = host.cgroups()?;
    // An ordinary user's device nodes open nothing (they cannot make any), and neither interface lets
    // such a user write rules.
    let rules = host.privileged().then(|| devices::rules(resources.devices().as_deref()));
    let rules = rules.transpose()?;
    let scope = systemd
        .then(|| scope::plan(request, resources, rules.as_deref(), layout, !host.privileged()));
    let scope = scope.transpose()?;
    let name = match &scope {
        Some(scope) => scope.path(),
        None => name(request)?,
    };
    let reuse = request.path.is_some() || systemd;
    let mut planner = Planner { layout, name, reuse, systemd, groups: BTreeMap::new() };
    for limit in wanted {
        planner.limit(limit)?;
    }
    if always {
        planner.welcome(if request.complete { &COMPLETE } else { &CHEAP });
        planner.at_least_one();
    }
    if let Some(rules) = rules {
        planner.devices(rules, resources.devices().is_some())?;
    }
    Ok(CgroupPlan { groups: planner.finish()?, scope })
}

/// The group's path below the anchor, in plain components: `..` leads back to there at most, as callers know it of runc.
fn name(request: &Request<'_>) -> Result<PathBuf, CgroupError> {
    let path = match request.path {
        Some(path) => path.to_owned(),
        None => Path::new(SHARED).join(request.id),
    };
    let mut name = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => name.push(part),
            Component::ParentDir => drop(name.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if name.as_os_str().is_empty() {
        return Err(CgroupError::Path { path });
    }
    Ok(name)
}

/// What gathers for one hierarchy before its anchor is chosen.
#[derive(Debug, Default)]
struct Gathered {
    /// Controllers that must be there, each with the limit that needs it.
    needed: BTreeMap<Controller, Limit>,
    /// Controllers that are taken where they are to be had.
    welcome: BTreeSet<Controller>,
    settings: Vec<Setting>,
    devices: Option<Vec<DeviceRule>>,
}

struct Planner<'a> {
    layout: &'a Layout,
    name: PathBuf,
    reuse: bool,
    systemd: bool,
    /// By the hierarchy's index in the layout.
    groups: BTreeMap<usize, Gathered>,
}

impl Planner<'_> {
    /// Where a controller's group is gathered.
    fn group(&mut self, controller: Controller) -> Option<(Version, &mut Gathered)> {
        let hierarchies = &self.layout.hierarchies;
        let index = hierarchies.iter().position(|h| h.controllers.contains(&controller))?;
        Some((hierarchies[index].version, self.groups.entry(index).or_default()))
    }

    /// Where v2's own files are (`cgroup.kill`, `cgroup.max.depth`, device programs).
    fn unified(&mut self) -> Option<&mut Gathered> {
        let hierarchies = &self.layout.hierarchies;
        let index = hierarchies.iter().position(|h| h.version == Version::V2)?;
        Some(self.groups.entry(index).or_default())
    }

    fn limit(&mut self, wanted: Wanted) -> Result<(), CgroupError> {
        let limit = wanted.limit;
        let (version, group) = match wanted.controller {
            Some(controller) => {
                let found = self.group(controller).ok_or(CgroupError::NoController {
                    limit,
                    controller,
                    why: Unavailable::NotMounted,
                })?;
                found.1.needed.entry(controller).or_insert(limit);
                found
            }
            None => match self.unified() {
                Some(group) => (Version::V2, group),
                None => return Err(CgroupError::NoEquivalent { limit, version: Version::V1 }),
            },
        };
        group.settings.extend(wanted.writes(version)?);
        Ok(())
    }

    fn welcome(&mut self, controllers: &[Controller]) {
        for &controller in controllers {
            if let Some((_, group)) = self.group(controller) {
                group.welcome.insert(controller);
            }
        }
    }

    /// A v2 group kills and freezes without any controller; it is made unless v1 serves for that.
    fn at_least_one(&mut self) {
        if self.groups.is_empty() {
            self.unified();
        }
    }

    fn devices(&mut self, rules: Vec<DeviceRule>, asked: bool) -> Result<(), CgroupError> {
        if let Some((Version::V1, group)) = self.group(Controller::Devices) {
            group.needed.insert(Controller::Devices, Limit::Devices);
            group.settings.extend(devices::v1_settings(&rules));
        } else if let Some(group) = self.unified() {
            group.devices = Some(rules);
        } else if asked {
            let why = Unavailable::NotMounted;
            let (limit, controller) = (Limit::Devices, Controller::Devices);
            return Err(CgroupError::NoController { limit, controller, why });
        }
        Ok(())
    }

    fn scoped(&self, hierarchy: &Hierarchy, gathered: Gathered) -> GroupPlan {
        let welcome = gathered.welcome.intersection(&hierarchy.controllers);
        GroupPlan {
            version: hierarchy.version,
            path: hierarchy.mount.join(&self.name),
            anchor: hierarchy.mount.clone(),
            welcome: welcome.filter(|c| !gathered.needed.contains_key(c)).copied().collect(),
            needed: gathered.needed.into_keys().collect(),
            reuse: true,
            settings: gathered.settings,
            devices: gathered.devices,
            owner: None,
        }
    }

    fn finish(mut self) -> Result<Vec<GroupPlan>, CgroupError> {
        let mut groups = Vec::new();
        for (index, gathered) in std::mem::take(&mut self.groups) {
            let hierarchy = &self.layout.hierarchies[index];
            if self.systemd && hierarchy.version == Version::V2 {
                // systemd makes it, wherever that is, and enables what it can.
                groups.push(self.scoped(hierarchy, gathered));
                continue;
            }
            let Some(anchor) = choose(hierarchy, &gathered.needed)? else { continue };
            let available = available(anchor);
            let welcome = gathered.welcome.intersection(available);
            let folder = hierarchy.folder(&anchor.path);
            groups.push(GroupPlan {
                version: hierarchy.version,
                path: folder.join(below(&self.name, &anchor.path)),
                anchor: folder,
                welcome: welcome.filter(|c| !gathered.needed.contains_key(c)).copied().collect(),
                needed: gathered.needed.into_keys().collect(),
                reuse: self.reuse,
                settings: gathered.settings,
                devices: gathered.devices,
                owner: None,
            });
        }
        Ok(groups)
    }
}

/// The name below an anchor. Whoever knows which group is delegated to them may have named it in full.
fn below<'a>(name: &'a Path, anchor: &Path) -> &'a Path {
    let known = anchor.strip_prefix("/").unwrap_or(anchor);
    match name.strip_prefix(known) {
        Ok(rest) if !rest.as_os_str().is_empty() => rest,
        _ => name,
    }
}

/// The controllers that a group made at this anchor can have.
fn available(anchor: &Anchor) -> &BTreeSet<Controller> {
    if anchor.busy { &anchor.enabled } else { &anchor.controllers }
}

/// The nearest anchor that has all that is needed. `None` when nothing is needed and there is none.
fn choose<'a>(
    hierarchy: &'a Hierarchy,
    needed: &BTreeMap<Controller, Limit>,
) -> Result<Option<&'a Anchor>, CgroupError> {
    let fits = |anchor: &&Anchor| needed.keys().all(|c| available(anchor).contains(c));
    if let Some(anchor) = hierarchy.anchors.iter().find(fits) {
        return Ok(Some(anchor));
    }
    let Some((anchor, (&controller, &limit))) = lacking(hierarchy, needed) else {
        // No anchor at all.
        return match needed.first_key_value() {
            None => Ok(None),
            Some((&controller, &limit)) => Err(CgroupError::NoController {
                limit,
                controller,
                why: Unavailable::NotDelegated { own: hierarchy.own.clone() },
            }),
        };
    };
    let group = anchor.path.clone();
    let why = if anchor.controllers.contains(&controller) {
        Unavailable::Occupied { group }
    } else {
        Unavailable::NotEnabled { group }
    };
    Err(CgroupError::NoController { limit, controller, why })
}

/// The anchor that lacks the fewest controllers, and the first of them.
fn lacking<'a, 'b>(
    hierarchy: &'a Hierarchy,
    needed: &'b BTreeMap<Controller, Limit>,
) -> Option<(&'a Anchor, (&'b Controller, &'b Limit))> {
    let missing = |anchor: &&Anchor| {
        needed.keys().filter(|controller| !available(anchor).contains(controller)).count()
    };
    let anchor = hierarchy.anchors.iter().min_by_key(missing)?;
    let first = needed.iter().find(|(controller, _)| !available(anchor).contains(controller))?;
    Some((anchor, first))
}
