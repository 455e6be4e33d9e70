//! Makes the groups of a plan and writes their limits; undoes all of it when a step fails.

use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::folder::{self, access, read};
use super::{Cgroup, CgroupError, CgroupPlan, GroupPlan, Setting, devices, reopen};
use crate::host::{Controller, Version};
use crate::sys::bpf;

/// Makes the groups, which must not exist yet, with all their limits.
///
/// # Errors
/// A group exists, or the kernel refuses a folder, a controller or a value. Nothing is left then but
/// folders between anchor and group.
pub fn create(plan: &CgroupPlan) -> Result<Box<dyn Cgroup>, CgroupError> {
    let mut made = Made { groups: Vec::new() };
    for group in &plan.groups {
        make(group, &mut made)?;
    }
    made.groups.clear();
    Ok(reopen(&plan.paths()))
}

/// The groups made so far: removed unless everything succeeds.
struct Made<'a> {
    groups: Vec<&'a Path>,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        for group in self.groups.iter().rev() {
            // The error that brought us here is the one to report; a group just made is empty.
            fs::remove_dir(group).ok();
        }
    }
}

fn make<'a>(group: &'a GroupPlan, made: &mut Made<'a>) -> Result<(), CgroupError> {
    for folder in folders(group) {
        if group.version == Version::V2
            && let Some(parent) = folder.parent()
        {
            enable(parent, group)?;
        }
        let last = folder == group.path;
        match fs::create_dir(&folder) {
            Ok(()) if last => made.groups.push(&group.path),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !last => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(CgroupError::Exists { path: folder });
            }
            Err(source) => return Err(CgroupError::Create { path: folder, source }),
        }
        if group.version == Version::V1 && group.controllers.contains(&Controller::Cpuset) {
            inherit_cpuset(&folder)?;
        }
    }
    for setting in &group.settings {
        set(&group.path, setting)?;
    }
    match &group.devices {
        Some(rules) => attach(&group.path, rules),
        None => Ok(()),
    }
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

/// Enables the group's controllers for the children of `parent`, those that are not yet.
fn enable(parent: &Path, group: &GroupPlan) -> Result<(), CgroupError> {
    if group.controllers.is_empty() {
        return Ok(());
    }
    let file = parent.join("cgroup.subtree_control");
    let enabled = Controller::parse_list(&read(&file)?, Version::V2);
    let missing: Vec<_> = group
        .controllers
        .difference(&enabled)
        .map(|c| format!("+{}", c.name(Version::V2)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let controllers = missing.join(" ");
    folder::write(&file, &controllers).map_err(|source| CgroupError::Enable {
        path: parent.to_owned(),
        controllers,
        source,
    })
}

/// A new v1 cpuset has no CPUs and no memory, and lets no process in until it has both.
fn inherit_cpuset(group: &Path) -> Result<(), CgroupError> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let file = group.join(name);
        if read(&file)?.trim().is_empty()
            && let Some(parent) = group.parent()
        {
            let value = read(&parent.join(name))?;
            folder::write(&file, value.trim()).map_err(access(&file))?;
        }
    }
    Ok(())
}

fn set(group: &Path, setting: &Setting) -> Result<(), CgroupError> {
    let limit = setting.limit;
    for (file, value) in &setting.choices {
        let path = group.join(file);
        match folder::write(&path, value) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(CgroupError::Write { limit, path, value: value.clone(), source });
            }
        }
    }
    let first = setting.choices.first().map(|(file, _)| file.as_str()).unwrap_or_default();
    Err(CgroupError::Missing { limit, path: group.join(first) })
}

fn attach(group: &Path, rules: &[devices::DeviceRule]) -> Result<(), CgroupError> {
    let failed = |source: io::Error| CgroupError::Devices { path: group.to_owned(), source };
    let folder = fs::File::open(group).map_err(failed)?;
    let program = bpf::load_device_program(&devices::program(rules)).map_err(failed)?;
    bpf::attach_device_program(folder.as_fd(), program.as_fd()).map_err(failed)
}
