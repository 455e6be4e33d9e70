//! A group of the unified hierarchy.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::folder::{self, access, keyed, maybe, number};
use super::{Cgroup, CgroupError, CgroupPaths, GroupPath, Join, Stats};
use crate::host::Controller;

/// All of a container on a pure v2 host; the rest of one on a hybrid host.
#[derive(Debug)]
pub(super) struct Unified {
    paths: CgroupPaths,
    group: GroupPath,
}

impl Unified {
    pub(super) fn new(group: GroupPath) -> Self {
        Self { paths: CgroupPaths(vec![group.clone()]), group }
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
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let group = openat(CWD, self.path(), flags, Mode::empty())
            .map_err(|errno| access(self.path())(errno.into()))?;
        Ok(Join { v2: Some(group), v1: Vec::new() })
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
        let events = self.path().join("cgroup.events");
        let state = if frozen { "frozen" } else { "thawed" };
        folder::wait_for(self.path(), state, || {
            Ok(keyed(&events, "frozen")? == Some(u64::from(frozen)))
        })
    }

    fn oom_kills(&self) -> Result<u64, CgroupError> {
        if !self.has(Controller::Memory) {
            return Ok(0);
        }
        let events = maybe(keyed(&self.path().join("memory.events"), "oom_kill"))?;
        Ok(events.flatten().unwrap_or(0))
    }

    fn stats(&self) -> Result<Stats, CgroupError> {
        let file = |name: &str| self.path().join(name);
        let count = |controller, name| {
            if self.has(controller) { maybe(number(&file(name))) } else { Ok(None) }
        };
        let time = |key| -> Result<_, CgroupError> {
            let found = maybe(keyed(&file("cpu.stat"), key))?.flatten();
            Ok(found.map(Duration::from_micros))
        };
        Ok(Stats {
            memory: count(Controller::Memory, "memory.current")?,
            memory_peak: count(Controller::Memory, "memory.peak")?,
            cpu: time("usage_usec")?,
            throttled: time("throttled_usec")?,
            pids: count(Controller::Pids, "pids.current")?,
            oom_kills: self.has(Controller::Memory).then(|| self.oom_kills()).transpose()?,
        })
    }

    fn remove(&self) -> Result<(), CgroupError> {
        folder::remove(self.path())
    }
}
