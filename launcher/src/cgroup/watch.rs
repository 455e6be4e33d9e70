//! When a container's memory runs out: for callers that want to be told (`events`) rather than to ask, and for those that
//! cannot ask when all is over, because systemd removes a scope with its last process, and what was counted in it.
//!
//! v1 has an eventfd that counts whenever a group runs out, and once more when it is removed; v2 changes `memory.events`,
//! and `cgroup.events` when the last process is gone, both of which inotify(7) sees.
//!
//! The kernel counts a kill before it sends the signal (`__oom_kill_process` of `mm/oom_kill.c`), so who looks at once when a
//! process has ended finds it counted; unless systemd was faster. Then the group above, which counts what happens below it and
//! stays, has a kill more than when we last looked, and our own group has just changed its `memory.events` unread. Both
//! together are taken for a kill of ours. (Either alone is not: neighbours are killed as well, and a group that is full of
//! cached files changes its events all the time.)

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
    /// The kernel's count of kills, when last looked at.
    kills: u64,
}

#[derive(Debug)]
enum Kind {
    /// Whether it ran out since this watches. That is told before a process is killed for it.
    V1 {
        ran_out: bool,
    },
    V2(Unified),
}

/// The kernel tells of a change to a file of a group at once, but of the next ones only 10 milliseconds later
/// (`CGROUP_FILE_NOTIFY_MIN_INTV`), and of none when the group is gone by then. Wider, since we may be told late.
const UNTOLD: Duration = Duration::from_secs(1);

/// What is known of a group of the unified hierarchy.
#[derive(Debug)]
struct Unified {
    /// The watch of `memory.events`.
    memory: i32,
    /// When that last said something.
    heard: Option<Instant>,
    /// `memory.events` of the group above, and its count of kills; `None` where it has no memory controller, as the root of
    /// all.
    above: Option<(PathBuf, u64)>,
}

impl Unified {
    /// Kills in the group above since the last time.
    fn kills_above(&mut self) -> Result<u64, CgroupError> {
        let Some((path, before)) = &mut self.above else { return Ok(0) };
        let Some(now) = maybe(keyed(path, "oom_kill"))?.flatten() else { return Ok(0) };
        let more = now.saturating_sub(*before);
        *before = now;
        Ok(more)
    }

    /// Whether there may be a change that nobody has told us of.
    fn changes(&self) -> bool {
        self.heard.is_some_and(|heard| heard.elapsed() < UNTOLD)
    }
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
        let kills = keyed(&group.join("memory.oom_control"), "oom_kill")?.unwrap_or(0);
        Ok(Self { events, group: group.to_owned(), kind: Kind::V1 { ran_out: false }, kills })
    }

    /// Watches a group of the unified hierarchy that has the memory controller.
    pub(super) fn v2(group: &Path) -> Result<Self, CgroupError> {
        let failed = |errno: Errno| access(group)(errno.into());
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let events = inotify::init(flags).map_err(failed)?;
        let watch = |name: &str| {
            let path = group.join(name);
            inotify::add_watch(&events, &path, inotify::WatchFlags::MODIFY)
                .map_err(|errno| access(&path)(errno.into()))
        };
        let (memory, _) = (watch("memory.events")?, watch("cgroup.events")?);
        let above = group.parent().map(|above| above.join("memory.events"));
        let above = above.and_then(|path| {
            let kills = keyed(&path, "oom_kill").ok().flatten()?;
            Some((path, kills))
        });
        let kills = keyed(&group.join("memory.events"), "oom_kill")?.unwrap_or(0);
        let kind = Kind::V2(Unified { memory, heard: None, above });
        Ok(Self { events, group: group.to_owned(), kind, kills })
    }

    /// How many processes were killed for want of memory, from the making of the group to the last [`OomWatch::take`]. It
    /// stays known when the group is gone. Of v1, at least one, where the group went before its counter was read.
    pub fn kills(&self) -> u64 {
        self.kills
    }

    /// What has happened since the last time. Does not wait. Call it until it says [`OomEvent::Nothing`] or
    /// [`OomEvent::Gone`]: one wake-up can stand for both a kill and the end.
    ///
    /// # Errors
    /// The descriptor or the group cannot be read.
    pub fn take(&mut self) -> Result<OomEvent, CgroupError> {
        match &mut self.kind {
            Kind::V1 { ran_out } => {
                let heard = signals(&self.events).map_err(access(&self.group))?;
                let counter = self.group.join("memory.oom_control");
                let Some(now) = maybe(keyed(&counter, "oom_kill"))? else {
                    // One of the signals is the removal.
                    let again = heard > 1;
                    self.kills = self.kills.max(u64::from(*ran_out || again));
                    return Ok(if again { OomEvent::OutOfMemory } else { OomEvent::Gone });
                };
                self.kills = now.unwrap_or(self.kills);
                *ran_out |= heard > 0;
                Ok(if heard > 0 { OomEvent::OutOfMemory } else { OomEvent::Nothing })
            }
            Kind::V2(unified) => {
                let heard = changed(&self.events, unified.memory).map_err(access(&self.group))?;
                unified.heard = if heard { Some(Instant::now()) } else { unified.heard };
                // In this order: who is seen to be alive can still be killed, but who is not has been counted.
                let populated =
                    maybe(keyed(&self.group.join("cgroup.events"), "populated"))?.flatten();
                // Before our own count, which the kernel raises first.
                let mut above = unified.kills_above()?;
                let now = maybe(keyed(&self.group.join("memory.events"), "oom_kill"))?.flatten();
                let Some(now) = now else {
                    above += unified.kills_above()?;
                    let killed = above > 0 && unified.changes();
                    self.kills += u64::from(killed);
                    return Ok(if killed { OomEvent::OutOfMemory } else { OomEvent::Gone });
                };
                if now > self.kills {
                    self.kills = now;
                    return Ok(OomEvent::OutOfMemory);
                }
                Ok(if populated == Some(1) { OomEvent::Nothing } else { OomEvent::Gone })
            }
        }
    }
}

/// How often an eventfd that does not wait was signalled since it was last asked (eventfd(2)).
fn signals(events: &OwnedFd) -> io::Result<u64> {
    let mut count = [0; 8];
    loop {
        match rustix::io::read(events, &mut count) {
            Ok(_) => return Ok(u64::from_ne_bytes(count)),
            Err(Errno::AGAIN) => return Ok(0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Empties an inotify descriptor that does not wait; whether this watch is among what it said.
fn changed(events: &OwnedFd, watch: i32) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut reader = inotify::Reader::new(events, &mut buffer);
    let mut heard = false;
    loop {
        match reader.next() {
            Ok(event) => {
                let modified = event.events().contains(inotify::ReadFlags::MODIFY);
                heard |= event.wd() == watch && modified;
            }
            Err(Errno::AGAIN) => return Ok(heard),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
