//! Changing the limits of groups that exist: all of what is asked, or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use super::create::{Made, attach, switch_on};
use super::devices::{self, DeviceRule};
use super::folder::{self, access, maybe, read};
use super::limits::{Wanted, wanted};
use super::write::{self, Undo};
use super::{CgroupError, CgroupPaths, GroupPath, GroupPlan, Limit, Setting, Unavailable};
use crate::host::{Controller, Host, Layout, Version};

/// Writes what `resources` gives into the groups at `paths`, which grow when a controller has to be added.
pub(super) fn apply(
    paths: &mut CgroupPaths,
    resources: &LinuxResources,
    processes: &BTreeSet<u32>,
) -> Result<(), CgroupError> {
    let resources = complete(paths, resources)?;
    check_use(paths, &resources)?;
    let mut changes = Changes::default();
    for wanted in wanted(&resources)? {
        changes.limit(paths, wanted, processes)?;
    }
    changes.devices(paths, &resources)?;
    changes.write()
}

/// What is to be written, by group.
#[derive(Debug, Default)]
struct Changes {
    settings: BTreeMap<PathBuf, Vec<Setting>>,
    program: Option<(PathBuf, Vec<DeviceRule>)>,
}

impl Changes {
    fn limit(
        &mut self,
        paths: &mut CgroupPaths,
        wanted: Wanted,
        processes: &BTreeSet<u32>,
    ) -> Result<(), CgroupError> {
        let limit = wanted.limit;
        let group = if let Some(controller) = wanted.controller {
            with(paths, controller, limit, processes)?
        } else {
            let version = Version::V1;
            unified(paths).ok_or(CgroupError::NoEquivalent { limit, version })?
        };
        let (version, path) = (group.version, group.path.clone());
        self.settings.entry(path).or_default().extend(wanted.writes(version)?);
        Ok(())
    }

    /// Rules replace all rules that there were.
    fn devices(
        &mut self,
        paths: &CgroupPaths,
        resources: &LinuxResources,
    ) -> Result<(), CgroupError> {
        let Some(asked) = resources.devices().as_deref() else { return Ok(()) };
        let rules = devices::rules(Some(asked))?;
        if let Some(group) = holder(paths, Controller::Devices) {
            let settings = self.settings.entry(group.path.clone()).or_default();
            settings.extend(devices::v1_settings(&rules));
        } else if let Some(group) = unified(paths) {
            self.program = Some((group.path.clone(), rules));
        }
        Ok(())
    }

    fn write(self) -> Result<(), CgroupError> {
        let mut undo = Undo::default();
        for (group, settings) in &self.settings {
            undo.remember(group, settings);
        }
        let written = self
            .settings
            .iter()
            .try_for_each(|(group, settings)| write::all(group, settings))
            .and_then(|()| match &self.program {
                Some((group, rules)) => attach(group, rules, false),
                None => Ok(()),
            });
        if written.is_err() {
            undo.apply();
        }
        written
    }
}

/// What a value depends on and was not given is what the group has now: swap means something beside a limit of memory
/// alone, and v2 has quota and period in one file.
fn complete(
    paths: &CgroupPaths,
    resources: &LinuxResources,
) -> Result<LinuxResources, CgroupError> {
    let mut complete = resources.clone();
    if let Some(memory) = resources.memory()
        && let Some(group) = holder(paths, Controller::Memory)
        && let Some(filled) = with_limit(*memory, group)?
    {
        complete.set_memory(Some(filled));
    }
    if let Some(cpu) = resources.cpu()
        && let Some(group) = holder(paths, Controller::Cpu).filter(|g| g.version == Version::V2)
        && let Some(filled) = with_period(cpu, &group.path)?
    {
        complete.set_cpu(Some(filled));
    }
    Ok(complete)
}

fn with_limit(
    mut memory: LinuxMemory,
    group: &GroupPath,
) -> Result<Option<LinuxMemory>, CgroupError> {
    let given = |value: Option<i64>| value.is_some_and(|bytes| bytes != 0);
    if memory.swap().is_none_or(|bytes| bytes <= 0) || given(memory.limit()) {
        return Ok(None);
    }
    let file = match group.version {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    let text = maybe(read(&group.path.join(file)))?.unwrap_or_default();
    memory.set_limit(Some(text.trim().parse().unwrap_or(-1)));
    Ok(Some(memory))
}

fn with_period(cpu: &LinuxCpu, group: &Path) -> Result<Option<LinuxCpu>, CgroupError> {
    let quota = cpu.quota().filter(|&us| us != 0);
    let period = cpu.period().filter(|&us| us != 0);
    if quota.is_some() == period.is_some() {
        return Ok(None);
    }
    let text = maybe(read(&group.join("cpu.max")))?.unwrap_or_default();
    let mut now = text.split_ascii_whitespace();
    let (old_quota, old_period) = (now.next(), now.next());
    let mut cpu = cpu.clone();
    match quota {
        Some(_) => cpu.set_period(old_period.and_then(|us| us.parse().ok())),
        None => cpu.set_quota(old_quota.map(|us| us.parse().unwrap_or(-1))),
    };
    Ok(Some(cpu))
}

/// `checkBeforeUpdate`: v2 takes a limit below what is used, and kills for it; v1 refuses it by itself.
fn check_use(paths: &CgroupPaths, resources: &LinuxResources) -> Result<(), CgroupError> {
    let Some(memory) = resources.memory() else { return Ok(()) };
    let Some(group) = holder(paths, Controller::Memory).filter(|g| g.version == Version::V2) else {
        return Ok(());
    };
    if memory.check_before_update() != Some(true) {
        return Ok(());
    }
    let Some(text) = maybe(read(&group.path.join("memory.current")))? else { return Ok(()) };
    let used: i64 = text.trim().parse().unwrap_or(0);
    for (limit, value) in [(Limit::Memory, memory.limit()), (Limit::Swap, memory.swap())] {
        if let Some(value) = value.filter(|&value| value > 0 && value <= used) {
            return Err(CgroupError::InUse { limit, value, used });
        }
    }
    Ok(())
}

/// The group that is known to have a controller.
fn holder(paths: &CgroupPaths, controller: Controller) -> Option<&GroupPath> {
    paths.groups.iter().find(|group| group.controllers.contains(&controller))
}

fn unified(paths: &CgroupPaths) -> Option<&GroupPath> {
    paths.groups.iter().find(|group| group.version == Version::V2)
}

/// The group with a controller, which it gets now if it has none.
fn with<'a>(
    paths: &'a mut CgroupPaths,
    controller: Controller,
    limit: Limit,
    processes: &BTreeSet<u32>,
) -> Result<&'a GroupPath, CgroupError> {
    let known = paths.groups.iter().position(|group| group.controllers.contains(&controller));
    if let Some(index) = known {
        return Ok(&paths.groups[index]);
    }
    let host = Host::probe()?;
    let layout = host.cgroups()?;
    let why = Unavailable::NotMounted;
    let hierarchy =
        layout.of(controller).ok_or(CgroupError::NoController { limit, controller, why })?;
    if hierarchy.version == Version::V2
        && let Some(index) = paths.groups.iter().position(|group| group.version == Version::V2)
    {
        enable_above(&hierarchy.mount, &paths.groups[index].path, controller)?;
        paths.groups[index].controllers.insert(controller);
        return Ok(&paths.groups[index]);
    }
    let group = beside(paths, layout, controller).ok_or(CgroupError::NoController {
        limit,
        controller,
        why: Unavailable::NotJoined,
    })?;
    let made = {
        let mut made = Made::default();
        made.group(&group)?;
        made
    };
    move_all(&group.path, processes)?;
    made.keep();
    paths.groups.push(GroupPath {
        version: group.version,
        controllers: group.controllers(),
        path: group.path,
    });
    Ok(&paths.groups[paths.groups.len() - 1])
}

/// The group of the same name in the hierarchy of another controller.
fn beside(paths: &CgroupPaths, layout: &Layout, controller: Controller) -> Option<GroupPlan> {
    let name = paths.groups.iter().find_map(|group| {
        let first = group.controllers.iter().next();
        let hierarchy = match first {
            Some(&controller) => layout.of(controller),
            None => layout.v2(),
        };
        group.path.strip_prefix(&hierarchy?.mount).ok()
    })?;
    let hierarchy = layout.of(controller)?;
    Some(GroupPlan {
        version: hierarchy.version,
        anchor: hierarchy.mount.clone(),
        path: hierarchy.mount.join(name),
        needed: BTreeSet::from([controller]),
        welcome: BTreeSet::new(),
        reuse: true,
        settings: Vec::new(),
        devices: None,
        owner: None,
    })
}

/// Moves running processes, and what they fork meanwhile. Slow (an RCU grace period), and never done at a start.
fn move_all(group: &Path, processes: &BTreeSet<u32>) -> Result<(), CgroupError> {
    let file = group.join("cgroup.procs");
    for pid in processes {
        match folder::write(&file, &pid.to_string()) {
            // It has ended.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
            done => done.map_err(access(&file))?,
        }
    }
    Ok(())
}

/// Enables a controller from the mount down to the group's parent.
pub(super) fn enable_above(
    mount: &Path,
    group: &Path,
    controller: Controller,
) -> Result<(), CgroupError> {
    let wanted = BTreeSet::from([controller]);
    let has = |folder: &Path, file: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        Controller::parse_list(&text, Version::V2).contains(&controller)
    };
    let mut above: Vec<_> =
        group.ancestors().skip(1).take_while(|folder| folder.starts_with(mount)).collect();
    above.reverse();
    above
        .into_iter()
        .filter(|folder| !has(folder, "cgroup.subtree_control"))
        .try_for_each(|folder| switch_on(folder, &wanted))
}
