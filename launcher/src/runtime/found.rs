//! What a container turned out to be when asked: who has it, and whether it can be taken over.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, openat};
use rustix::io::Errno;

use super::directory::path_of;
use super::held::{CONFIG, Held, SOCKET, STATE_NEW, STATE_OLD, absent_is_fine, read_state};
use super::lock::{self, LOCK, Probe, Said};
use super::{ContainerId, RuntimeError, State, StateDirectory};

/// Modified when a command has glanced at some of many containers.
const GLANCE: &str = ".glance";

/// How long a verb waits for another one that is at the same container.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a container turned out to be when asked.
#[derive(Debug)]
pub enum Found {
    /// Its monitor lives.
    Living(State),
    /// Nobody holds it; now this process does.
    Free(Held),
    /// There is none (any more).
    Absent,
}

impl StateDirectory {
    /// How long ago a command noted that it has glanced at some of many containers. `None`: none has, or the clock was moved.
    pub(super) fn since_glance(&self) -> Option<Duration> {
        let noted = rustix::fs::statat(&self.fd, GLANCE, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let seconds = Duration::from_secs(u64::try_from(noted.st_mtime).ok()?);
        let nanoseconds = Duration::from_nanos(noted.st_mtime_nsec);
        (UNIX_EPOCH + seconds + nanoseconds).elapsed().ok()
    }

    /// Notes that. What cannot be noted is done again sooner.
    pub(super) fn note_glance(&self) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.fd, GLANCE, flags, Mode::RUSR | Mode::WUSR);
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let now = Timestamps { last_access: now, last_modification: now };
        file.and_then(|file| rustix::fs::futimens(file, &now)).ok();
    }

    /// Whether a container's monitor is dead and left something to clear, as far as a glance tells:
    /// four or five system calls, since each start asks this of other containers.
    pub(super) fn is_suspect(&self, id: &ContainerId) -> bool {
        // Not ours, it may be a FIFO, which would keep us waiting.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(lock) = openat(&self.fd, path_of(id).join(LOCK), flags, Mode::empty()) else {
            return true;
        };
        match Said::by(&lock) {
            Said::Cleared => false,
            // Shared, so that two who glance do not take each other for the monitor.
            said => {
                rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).is_ok()
                    || said.monitor_is_dead()
            }
        }
    }

    /// Takes a container over if its monitor is dead.
    pub fn claim(&self, id: &ContainerId) -> Result<Found, RuntimeError> {
        let path = self.path.join(id);
        let failed = |action| RuntimeError::io(action, path.clone());
        // The living are told apart without the global lock: that is the usual case.
        let fd = match self.open_folder(id) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Found::Absent),
            other => other.map_err(failed("open"))?,
        };
        if matches!(lock::outwait_child(&fd).map_err(failed("lock"))?, Probe::Taken) {
            return living(id, &fd, &path);
        }
        drop(fd);
        let _no_creators = self.global_lock(FlockOperation::LockExclusive)?;
        let fd = match self.open_folder(id) {
            Err(Errno::NOENT) => return Ok(Found::Absent),
            other => other.map_err(failed("open"))?,
        };
        match lock::try_lock(&fd).map_err(failed("lock"))? {
            Probe::Taken => living(id, &fd, &path),
            Probe::Held(lock) => match read_state(&fd, &path)? {
                Some(state) => Ok(Found::Free(Held { state, fd, path, lock })),
                None => self.remove_empty(id, &fd).map(|()| Found::Absent),
            },
            Probe::NoLock => self.remove_empty(id, &fd).map(|()| Found::Absent),
        }
    }

    /// Takes hold of a container that no monitor looks after, after whoever is at it now.
    pub fn hold(&self, id: &ContainerId) -> Result<Held, RuntimeError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.claim(id)? {
                Found::Free(held) => return Ok(held),
                Found::Absent => return Err(RuntimeError::Missing(id.clone())),
                Found::Living(state) if state.monitored || Instant::now() > deadline => {
                    return Err(RuntimeError::Held { id: id.clone(), status: state.status.word() });
                }
                Found::Living(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Removes the folder of a creator that died before it wrote a state: it has made nothing else.
    fn remove_empty(&self, id: &ContainerId, fd: &OwnedFd) -> Result<(), RuntimeError> {
        let failed = || RuntimeError::io("remove", self.path.join(id));
        for name in [STATE_NEW, STATE_OLD, CONFIG, SOCKET, LOCK] {
            absent_is_fine(rustix::fs::unlinkat(fd, name, AtFlags::empty())).map_err(failed())?;
        }
        let removed = rustix::fs::unlinkat(&self.fd, path_of(id), AtFlags::REMOVEDIR);
        absent_is_fine(removed).map_err(failed())
    }
}

/// A container whose monitor lives. Between the opening of its folder and the reading of its state that may have become
/// another container's.
pub(super) fn living(
    id: &ContainerId,
    folder: &OwnedFd,
    path: &Path,
) -> Result<Found, RuntimeError> {
    let state = read_state(folder, path)?.filter(|state| state.id == *id);
    Ok(state.map_or(Found::Absent, Found::Living))
}
