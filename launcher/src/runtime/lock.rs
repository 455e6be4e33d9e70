//! The lock of a container: held by whoever looks after it, and by a child of that process until it
//! has executed its program.
//!
//! The file says who that is, since a child can outlive a killed monitor by a moment: then the lock is
//! taken though its monitor is dead, and who wants to clear has to wait for the child to notice.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// The file's name in the container's folder.
pub(super) const LOCK: &str = "lock";

/// What `lock` says when no death of any process leaves something to clear: the container has ended, or it was made by
/// `create` and stays until it is deleted.
pub(super) const CLEARED: &[u8] = b"-";

/// The length of the file: that of the longest pid and more.
const LENGTH: usize = 16;

/// How long the child of a killed monitor may take to notice.
const CHILD_PATIENCE: Duration = Duration::from_secs(1);

/// What an attempt to take a lock showed.
pub(super) enum Probe {
    /// The folder has no lock file: its creator has not come so far, or its remover is half through.
    NoLock,
    /// Somebody holds it.
    Taken,
    /// This process holds it now.
    Held(OwnedFd),
}

pub(super) fn try_lock(folder: &OwnedFd) -> Result<Probe, Errno> {
    let lock = match open(folder, OFlags::empty()) {
        Err(Errno::NOENT) => return Ok(Probe::NoLock),
        other => other?,
    };
    match retry(|| rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)) {
        Err(Errno::WOULDBLOCK) => Ok(Probe::Taken),
        other => other.map(|()| Probe::Held(lock)),
    }
}

/// As [`try_lock`], but when the monitor is dead, its child gets a moment to notice that.
pub(super) fn outwait_child(folder: &OwnedFd) -> Result<Probe, Errno> {
    let deadline = Instant::now() + CHILD_PATIENCE;
    loop {
        let probe = try_lock(folder)?;
        if !matches!(probe, Probe::Taken) || Instant::now() > deadline {
            return Ok(probe);
        }
        let monitor_is_dead =
            open(folder, OFlags::empty()).is_ok_and(|lock| Said::by(&lock).monitor_is_dead());
        if !monitor_is_dead {
            return Ok(probe);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a `lock` file says.
pub(super) enum Said {
    /// There is nothing to clear.
    Cleared,
    /// Who looks after the container.
    Monitor(Pid),
    /// Its creator has not come so far.
    Nothing,
}

impl Said {
    pub(super) fn by(lock: &OwnedFd) -> Self {
        let mut bytes = [0; LENGTH];
        let length = rustix::io::pread(lock, &mut bytes, 0).unwrap_or(0);
        if bytes.starts_with(CLEARED) {
            return Self::Cleared;
        }
        let text = std::str::from_utf8(&bytes[..length]).unwrap_or_default();
        let pid = text.trim_end().parse().ok();
        pid.and_then(Pid::from_raw).map_or(Self::Nothing, Self::Monitor)
    }

    /// Certainly dead: no process has its pid. (One that has it may be another by now; then the
    /// command after the next one clears.)
    pub(super) fn monitor_is_dead(&self) -> bool {
        matches!(self, Self::Monitor(pid) if test_kill_process(*pid) == Err(Errno::SRCH))
    }
}

/// Replaces what the file says. It is always of one length: to cut a file and fill it again costs a disk ten times as
/// much.
pub(super) fn say(lock: &OwnedFd, words: &[u8]) -> Result<(), Errno> {
    let mut line = [b'\n'; LENGTH];
    for (place, byte) in line.iter_mut().zip(words) {
        *place = *byte;
    }
    rustix::io::pwrite(lock, &line, 0).map(drop)
}

/// Opens the lock of a container's folder, which may not be a link.
pub(super) fn open(folder: &OwnedFd, more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    rustix::fs::openat(folder, LOCK, flags, Mode::RUSR | Mode::WUSR)
}

/// Repeats what a signal interrupted.
pub(super) fn retry(mut operation: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        match operation() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
