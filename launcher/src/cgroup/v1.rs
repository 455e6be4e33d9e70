//! The groups of one container in v1's hierarchies, and on a hybrid host the one in v2's beside them.

use std::collections::BTreeSet;
use std::path::Path;

use oci_spec::runtime::LinuxResources;
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::folder::{self, access, keyed, maybe, read};
use super::v2::Unified;
use super::{
    Cgroup, CgroupError, CgroupPaths, GroupPath, Join, OomWatch, Stats, realtime, stats, update,
};
use crate::host::{Controller, Version};

/// One folder per hierarchy.
#[derive(Debug)]
pub(super) struct Legacy {
    paths: CgroupPaths,
    groups: Vec<GroupPath>,
    unified: Option<Unified>,
}

impl Legacy {
    pub(super) fn new(groups: Vec<GroupPath>, unified: Option<GroupPath>) -> Self {
        let paths =
            CgroupPaths { groups: groups.iter().chain(&unified).cloned().collect(), unit: None };
        Self { paths, groups, unified: unified.map(Unified::new) }
    }

    /// The folder in the hierarchy of that controller.
    fn of(&self, controller: Controller) -> Option<&Path> {
        let group = self.groups.iter().find(|group| group.controllers.contains(&controller))?;
        Some(&group.path)
    }

    /// Makes forks fail in the groups, so that killing one by one comes to an end.
    fn stop_forks(&self) -> Result<(), CgroupError> {
        if let Some(group) = self.of(Controller::Pids) {
            let file = group.join("pids.max");
            maybe(folder::write(&file, "0").map_err(access(&file)))?;
        }
        Ok(())
    }

    fn kill_each(&self) -> Result<(), CgroupError> {
        folder::kill(&self.groups.iter().map(|group| group.path.as_path()).collect::<Vec<_>>())
    }
}

impl Cgroup for Legacy {
    fn paths(&self) -> &CgroupPaths {
        &self.paths
    }

    fn join(&self) -> Result<Join, CgroupError> {
        let mut join = match &self.unified {
            Some(unified) => unified.join()?,
            None => Join::default(),
        };
        for group in &self.groups {
            let file = group.path.join("tasks");
            let opened = openat(CWD, &file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
            join.v1.push(opened.map_err(|errno| access(&file)(errno.into()))?);
        }
        Ok(join)
    }

    fn join_beside(&self, process: u32) -> Result<Join, CgroupError> {
        let mut join = self.join()?;
        if let Some(unified) = &self.unified {
            join.v2 = unified.join_beside(process)?.v2;
        }
        Ok(join)
    }

    fn kill(&self) -> Result<(), CgroupError> {
        if let Some(unified) = &self.unified {
            unified.kill()?;
        }
        if self.of(Controller::Freezer).is_some() && self.frozen()? {
            // What is frozen dies once it is thawed: the signal has to be there before it can do anything else.
            self.kill_each()?;
            self.freeze(false)?;
        }
        self.stop_forks()?;
        self.kill_each()
    }

    fn processes(&self) -> Result<Vec<u32>, CgroupError> {
        // A process that died while joining is in some of them only.
        let mut all = BTreeSet::new();
        for group in &self.paths.groups {
            all.append(&mut folder::processes(&group.path)?);
        }
        Ok(all.into_iter().collect())
    }

    fn freeze(&self, frozen: bool) -> Result<(), CgroupError> {
        let Some(group) = self.of(Controller::Freezer) else {
            return self.unified.as_ref().ok_or(CgroupError::NoFreezer)?.freeze(frozen);
        };
        let file = group.join("freezer.state");
        let (value, state) = if frozen { ("FROZEN", "frozen") } else { ("THAWED", "thawed") };
        let set = || maybe(folder::write(&file, value).map_err(access(&file)));
        if set()?.is_none() {
            return Ok(());
        }
        folder::wait_for(group, state, || {
            if read(&file)?.trim() == value {
                return Ok(true);
            }
            // A fork during the freeze can leave it unfinished until it is asked again.
            set()?;
            Ok(false)
        })
    }

    fn oom_kills(&self) -> Result<u64, CgroupError> {
        let Some(group) = self.of(Controller::Memory) else {
            return self.unified.as_ref().map_or(Ok(0), Unified::oom_kills);
        };
        let counter = maybe(keyed(&group.join("memory.oom_control"), "oom_kill"))?;
        Ok(counter.flatten().unwrap_or(0))
    }

    fn frozen(&self) -> Result<bool, CgroupError> {
        let Some(group) = self.of(Controller::Freezer) else {
            return self.unified.as_ref().map_or(Ok(false), Unified::frozen);
        };
        let state = maybe(read(&group.join("freezer.state")))?;
        Ok(state.is_some_and(|state| state.trim() != "THAWED"))
    }

    fn update(&mut self, resources: &LinuxResources) -> Result<(), CgroupError> {
        let processes = self.processes()?.into_iter().collect();
        let mut paths = self.paths.clone();
        update::apply(&mut paths, resources, &processes)?;
        let (v2, v1) =
            paths.groups.into_iter().partition::<Vec<_>, _>(|g| g.version == Version::V2);
        *self = Self::new(v1, v2.into_iter().next());
        Ok(())
    }

    fn watch_memory(&self) -> Result<OomWatch, CgroupError> {
        match (self.of(Controller::Memory), &self.unified) {
            (Some(group), _) => OomWatch::v1(group),
            (None, Some(unified)) => unified.watch_memory(),
            (None, None) => Err(CgroupError::NoMemory),
        }
    }

    fn stats(&self) -> Result<Stats, CgroupError> {
        let mut stats = match &self.unified {
            Some(unified) => unified.stats()?,
            None => Stats::default(),
        };
        stats::v1::fill(&mut stats, |controller| self.of(controller))?;
        Ok(stats)
    }

    fn remove(&self) -> Result<(), CgroupError> {
        // All are tried, so that one stuck hierarchy keeps no other.
        let mut failed = Ok(());
        for group in &self.paths.groups {
            realtime::give_back(group);
            failed = failed.and(folder::remove(&group.path));
        }
        failed
    }
}
