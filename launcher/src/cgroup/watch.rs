//! When a container's memory runs out: for callers that want to be told (`events`), rather than to ask.
//!
//! v1 has an eventfd that counts whenever a group runs out, and once more when it is removed; v2 changes `memory.events`,
//! and `cgroup.events` when the last process is gone, both of which inotify(7) sees.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify;
use rustix::io::Errno;

use super::CgroupError;
use super::folder::{self, access, keyed, maybe};

/// What [`OomWatch::take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OomEvent {
    /// Nothing that matters.
    Nothing,
    /// Memory ran out, or a process was killed for it, since the last time.
    OutOfMemory,
    /// The container's last process is gone, or its group.
    Gone,
}

/// Becomes readable when there is something to [take](OomWatch::take).
#[derive(Debug)]
pub struct OomWatch {
    events: OwnedFd,
    group: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    V1,
    V2 { kills: u64 },
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl OomWatch {
    /// Watches a group of v1's memory hierarchy (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control").
    pub(super) fn v1(group: &Path) -> Result<Self, CgroupError> {
        let failed = |errno: Errno| access(group)(errno.into());
        let events = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let path = group.join("memory.oom_control");
        let control = std::fs::File::open(&path).map_err(access(&path))?;
        let path = group.join("cgroup.event_control");
        let line = format!("{} {}", events.as_raw_fd(), control.as_raw_fd());
        folder::write(&path, &line).map_err(access(&path))?;
        Ok(Self { events, group: group.to_owned(), kind: Kind::V1 })
    }

    /// Watches a group of the unified hierarchy that has the memory controller.
    pub(super) fn v2(group: &Path) -> Result<Self, CgroupError> {
        let failed = |errno: Errno| access(group)(errno.into());
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let events = inotify::init(flags).map_err(failed)?;
        for name in ["memory.events", "cgroup.events"] {
            let path = group.join(name);
            inotify::add_watch(&events, &path, inotify::WatchFlags::MODIFY)
                .map_err(|errno| access(&path)(errno.into()))?;
        }
        let kills = keyed(&group.join("memory.events"), "oom_kill")?.unwrap_or(0);
        Ok(Self { events, group: group.to_owned(), kind: Kind::V2 { kills } })
    }

    /// What has happened since the last time. Does not wait. Call it until it says [`OomEvent::Nothing`] or
    /// [`OomEvent::Gone`]: one wake-up can stand for both a kill and the end.
    ///
    /// # Errors
    /// The descriptor cannot be read.
    pub fn take(&mut self) -> Result<OomEvent, CgroupError> {
        let heard = self.drain().map_err(access(&self.group))?;
        match &mut self.kind {
            Kind::V1 if !self.group.exists() => Ok(OomEvent::Gone),
            Kind::V1 if heard => Ok(OomEvent::OutOfMemory),
            Kind::V1 => Ok(OomEvent::Nothing),
            Kind::V2 { kills } => {
                let now = maybe(keyed(&self.group.join("memory.events"), "oom_kill"))?.flatten();
                let populated =
                    maybe(keyed(&self.group.join("cgroup.events"), "populated"))?.flatten();
                let Some(now) = now else { return Ok(OomEvent::Gone) };
                if now > *kills {
                    *kills = now;
                    return Ok(OomEvent::OutOfMemory);
                }
                Ok(if populated == Some(1) { OomEvent::Nothing } else { OomEvent::Gone })
            }
        }
    }

    /// Empties the descriptor; whether there was anything.
    fn drain(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut heard = false;
        loop {
            match rustix::io::read(&self.events, &mut buffer) {
                Ok((read, _)) if !read.is_empty() => heard = true,
                Ok(_) | Err(Errno::AGAIN) => return Ok(heard),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
