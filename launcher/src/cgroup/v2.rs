//! A group of the unified hierarchy.

use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxResources;
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::folder::{self, access, keyed, maybe};
use super::{Cgroup, CgroupError, CgroupPaths, GroupPath, Join, OomWatch, Stats, stats, update};
use crate::host::Controller;

/// All of a container on a pure v2 host; the rest of one on a hybrid host.
#[derive(Debug)]
pub(super) struct Unified {
    paths: CgroupPaths,
    group: GroupPath,
}

impl Unified {
    pub(super) fn new(group: GroupPath) -> Self {
        Self { paths: CgroupPaths { groups: vec![group.clone()], unit: None }, group }
    }

    pub(super) fn path(&self) -> &Path {
        &self.group.path
    }

    fn has(&self, controller: Controller) -> bool {
        self.group.controllers.contains(&controller)
    }
}

impl Cgroup for Unified {
    fn paths(&self) -> &CgroupPaths {
        &self.paths
    }

    fn join(&self) -> Result<Join, CgroupError> {
        open(self.path())
    }

    fn join_beside(&self, process: u32) -> Result<Join, CgroupError> {
        open(&group_beside(self.path(), process)?)
    }

    fn kill(&self) -> Result<(), CgroupError> {
        let file = self.path().join("cgroup.kill");
        let killed = folder::write(&file, "1").map_err(access(&file));
        if maybe(killed)?.is_some() || !self.path().exists() {
            return Ok(());
        }
        // Before Linux 5.14: what is frozen cannot fork, and is still killed.
        self.freeze(true)?;
        folder::kill(&[self.path()])
    }

    fn processes(&self) -> Result<Vec<u32>, CgroupError> {
        Ok(folder::processes(self.path())?.into_iter().collect())
    }

    fn freeze(&self, frozen: bool) -> Result<(), CgroupError> {
        let file = self.path().join("cgroup.freeze");
        folder::write(&file, if frozen { "1" } else { "0" }).map_err(access(&file))?;
        let state = if frozen { "frozen" } else { "thawed" };
        folder::wait_event(self.path(), state, "frozen", u64::from(frozen))
    }

    fn oom_kills(&self) -> Result<u64, CgroupError> {
        if !self.has(Controller::Memory) {
            return Ok(0);
        }
        let events = maybe(keyed(&self.path().join("memory.events"), "oom_kill"))?;
        Ok(events.flatten().unwrap_or(0))
    }

    fn frozen(&self) -> Result<bool, CgroupError> {
        let asked = maybe(folder::number(&self.path().join("cgroup.freeze")))?;
        let above = maybe(keyed(&self.path().join("cgroup.events"), "frozen"))?.flatten();
        Ok(asked == Some(1) || above == Some(1))
    }

    fn update(&mut self, resources: &LinuxResources) -> Result<(), CgroupError> {
        let mut paths = self.paths.clone();
        let processes = folder::processes(self.path())?;
        update::apply(&mut paths, resources, &processes)?;
        if let Some(group) = paths.groups.into_iter().next() {
            *self = Self::new(group);
        }
        Ok(())
    }

    fn watch_memory(&self) -> Result<OomWatch, CgroupError> {
        if !self.has(Controller::Memory) {
            return Err(CgroupError::NoMemory);
        }
        OomWatch::v2(self.path())
    }

    fn stats(&self) -> Result<Stats, CgroupError> {
        let mut stats = Stats::default();
        stats::v2::fill(&mut stats, self.path())?;
        Ok(stats)
    }

    fn remove(&self) -> Result<(), CgroupError> {
        folder::remove_populated(self.path())
    }
}

/// Where a further process joins: the container's group, or, when that has handed its controllers on and may hold no
/// process any more, the group of `process`.
pub(super) fn group_beside(group: &Path, process: u32) -> Result<PathBuf, CgroupError> {
    let enabled = maybe(folder::read(&group.join("cgroup.subtree_control")))?;
    if enabled.is_none_or(|enabled| enabled.trim().is_empty()) {
        return Ok(group.to_owned());
    }
    let text = maybe(folder::read(&PathBuf::from(format!("/proc/{process}/cgroup"))))?;
    let path = text.as_deref().and_then(|text| text.lines().find_map(|l| l.strip_prefix("0::/")));
    // It counts from where we see the root, as the mount does, which is above the group.
    let found = path.and_then(|path| {
        let mut all = group.ancestors().skip(1).map(|above| above.join(path));
        all.find(|found| found.starts_with(group) && found.is_dir())
    });
    Ok(found.unwrap_or_else(|| group.to_owned()))
}

fn open(group: &Path) -> Result<Join, CgroupError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let group =
        openat(CWD, group, flags, Mode::empty()).map_err(|errno| access(group)(errno.into()))?;
    Ok(Join { v2: Some(group), ..Join::default() })
}
