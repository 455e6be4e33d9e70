//! Makes the groups of a plan and writes their limits; undoes all of it when a step fails.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::folder::{self, access, keyed, read};
use super::{Cgroup, CgroupError, CgroupPlan, GroupPlan, devices, reopen, systemd, write};
use crate::host::{Controller, Version};
use crate::sys::bpf;

/// Makes the groups, with all their limits. A group that exists is an error, unless the plan may reuse it and nothing
/// lives in it.
///
/// # Errors
/// A group exists, or the kernel refuses a folder, a controller or a value. Nothing that was made is left then.
pub fn create(plan: &CgroupPlan) -> Result<Box<dyn Cgroup>, CgroupError> {
    if let Some(scope) = &plan.scope {
        return systemd::create(plan, scope);
    }
    let mut made = Made::default();
    for group in &plan.groups {
        made.group(group)?;
        fill(group)?;
    }
    made.folders.clear();
    Ok(reopen(&plan.paths()))
}

/// The limits and device rules of a group that exists.
pub(super) fn fill(group: &GroupPlan) -> Result<(), CgroupError> {
    write::all(&group.path, &group.settings)?;
    if let Some(owner) = group.owner {
        hand_over(&group.path, owner)?;
    }
    match &group.devices {
        Some(rules) => attach(&group.path, rules, !group.reuse),
        None => Ok(()),
    }
}

/// The folders made so far: removed unless everything succeeds.
#[derive(Debug, Default)]
pub(super) struct Made {
    folders: Vec<PathBuf>,
}

impl Drop for Made {
    fn drop(&mut self) {
        for folder in self.folders.iter().rev() {
            // The error that brought us here is the one to report. What somebody else has used meanwhile stays.
            fs::remove_dir(folder).ok();
        }
    }
}

impl Made {
    /// What was made is to stay.
    pub(super) fn keep(mut self) {
        self.folders.clear();
    }

    /// Makes a group's folder and those above it.
    pub(super) fn group(&mut self, group: &GroupPlan) -> Result<(), CgroupError> {
        let cpuset = group.controllers().contains(&Controller::Cpuset);
        // Those above it are there but for the first container's; only v2 and cpusets have something to do in them.
        if group.version == Version::V1 && !cpuset && fs::create_dir(&group.path).is_ok() {
            self.folders.push(group.path.clone());
            return Ok(());
        }
        let mut above = [String::new(), String::new()];
        for folder in folders(group) {
            if group.version == Version::V2
                && let Some(parent) = folder.parent()
            {
                enable(parent, group)?;
            }
            let last = folder == group.path;
            let made = fs::create_dir(&folder);
            let new = made.is_ok();
            match made {
                Ok(()) => self.folders.push(folder.clone()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if last {
                        take_over(group)?;
                    }
                }
                Err(source) => return Err(CgroupError::Create { path: folder, source }),
            }
            if group.version == Version::V1 && cpuset {
                inherit_cpuset(&folder, new, &mut above)?;
            }
        }
        Ok(())
    }
}

/// A group that is there already: ours if it may be reused, nothing lives in it and what would join could run.
fn take_over(group: &GroupPlan) -> Result<(), CgroupError> {
    let path = group.path.clone();
    if !group.reuse {
        return Err(CgroupError::Exists { path });
    }
    let count = folder::processes(&path)?.len();
    if count > 0 {
        return Err(CgroupError::Occupied { path, count });
    }
    let frozen = match group.version {
        Version::V1 if group.controllers().contains(&Controller::Freezer) => {
            read(&path.join("freezer.state"))?.trim() != "THAWED"
        }
        Version::V1 => false,
        Version::V2 => keyed(&path.join("cgroup.events"), "frozen")? == Some(1),
    };
    if frozen { Err(CgroupError::Frozen { path }) } else { Ok(()) }
}

/// The folders from below the anchor down to the group, in the order of creation.
fn folders(group: &GroupPlan) -> Vec<PathBuf> {
    let mut folders: Vec<_> = group
        .path
        .ancestors()
        .take_while(|path| *path != group.anchor)
        .map(Path::to_owned)
        .collect();
    folders.reverse();
    folders
}

/// Enables the group's controllers for the children of `parent`, those that are not yet. Those that are merely welcome
/// may be missing.
fn enable(parent: &Path, group: &GroupPlan) -> Result<(), CgroupError> {
    if group.needed.is_empty() && group.welcome.is_empty() {
        return Ok(());
    }
    let file = parent.join("cgroup.subtree_control");
    let enabled = Controller::parse_list(&read(&file)?, Version::V2);
    let missing = |wanted: &BTreeSet<Controller>| -> BTreeSet<Controller> {
        wanted.difference(&enabled).copied().collect()
    };
    let (needed, welcome) = (missing(&group.needed), missing(&group.welcome));
    let all: BTreeSet<_> = needed.union(&welcome).copied().collect();
    match switch_on(parent, &all) {
        Err(_) if needed.is_empty() && welcome.len() == 1 => Ok(()),
        // The kernel takes all of a line or nothing.
        Err(_) if !welcome.is_empty() => {
            for controller in welcome {
                switch_on(parent, &BTreeSet::from([controller])).ok();
            }
            switch_on(parent, &needed)
        }
        done => done,
    }
}

/// Enables these controllers for the children of a group.
pub(super) fn switch_on(
    group: &Path,
    controllers: &BTreeSet<Controller>,
) -> Result<(), CgroupError> {
    if controllers.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = controllers.iter().map(|c| format!("+{}", c.name(Version::V2))).collect();
    let controllers = names.join(" ");
    let file = group.join("cgroup.subtree_control");
    folder::write(&file, &controllers).map_err(|source| {
        let path = group.to_owned();
        // In a threaded subtree (cgroup-v2.rst, "Threads") no controller of whole processes can be had.
        let kind = read(&path.join("cgroup.type")).unwrap_or_default();
        match kind.trim() {
            kind @ ("threaded" | "domain threaded" | "domain invalid") => {
                CgroupError::Threaded { path, controllers, kind: kind.to_owned() }
            }
            _ => CgroupError::Enable { path, controllers, source },
        }
    })
}

/// A new v1 cpuset has no processors and no memory, and lets no process in until it has both. `above` is what the one above it
/// has, or nothing where that was not looked at; it becomes what this one has.
fn inherit_cpuset(group: &Path, new: bool, above: &mut [String; 2]) -> Result<(), CgroupError> {
    for (name, above) in ["cpuset.cpus", "cpuset.mems"].into_iter().zip(above) {
        let file = group.join(name);
        let own = if new { String::new() } else { read(&file)?.trim().to_owned() };
        if !own.is_empty() {
            *above = own;
            continue;
        }
        if above.is_empty()
            && let Some(parent) = group.parent()
        {
            read(&parent.join(name))?.trim().clone_into(above);
        }
        folder::write(&file, above).map_err(access(&file))?;
    }
    Ok(())
}

/// The group's folder and the files that the kernel says may be handed over; not those of its limits.
fn hand_over(group: &Path, owner: u32) -> Result<(), CgroupError> {
    let list = fs::read_to_string("/sys/kernel/cgroup/delegate");
    // Before Linux 4.15 there were these.
    let before = || "cgroup.procs\ncgroup.threads\ncgroup.subtree_control".to_owned();
    let list = list.unwrap_or_else(|_| before());
    chown(group, Some(owner), None).map_err(access(group))?;
    for file in list.lines().map(|name| group.join(name)) {
        match chown(&file, Some(owner), None) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(access(&file))?,
        }
    }
    Ok(())
}

/// The program of these rules; in a group that has existed before in place of the one that is there.
pub(super) fn attach(
    group: &Path,
    rules: &[devices::DeviceRule],
    fresh: bool,
) -> Result<(), CgroupError> {
    let failed = |source: io::Error| CgroupError::Devices { path: group.to_owned(), source };
    let folder = fs::File::open(group).map_err(failed)?;
    let program = bpf::load_device_program(&devices::program(rules)).map_err(failed)?;
    let attach = if fresh { bpf::attach_device_program } else { bpf::replace_device_program };
    attach(folder.as_fd(), program.as_fd()).map_err(failed)
}
