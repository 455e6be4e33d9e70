//! Reading, writing and removing one group's folder: what both interfaces share.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::CgroupError;
use crate::host::pseudo;

/// How long [`remove`] waits for processes that have been killed.
const REMOVAL: Duration = Duration::from_secs(5);
/// How long [`kill`] hunts for processes that keep appearing.
const HUNT: Duration = Duration::from_secs(10);

pub(super) fn access(path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_owned();
    |source| CgroupError::Access { path, source }
}

pub(super) fn read(path: &Path) -> Result<String, CgroupError> {
    pseudo::text(path).map_err(access(path))
}

/// Writes without creating: a file that the kernel does not have is an error, in a made-up cgroup
/// file system as in a real one.
pub(super) fn write(path: &Path, value: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// One number.
pub(super) fn number(path: &Path) -> Result<u64, CgroupError> {
    let text = read(path)?;
    text.trim().parse().or(Err(CgroupError::Parse { path: path.to_owned() }))
}

/// One number of a file of lines `key value`.
pub(super) fn keyed(path: &Path, key: &str) -> Result<Option<u64>, CgroupError> {
    Ok(find(&read(path)?, key))
}

fn find(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key { value.trim().parse().ok() } else { None }
    })
}

/// `None` for a file or group that is not there.
pub(super) fn maybe<T>(found: Result<T, CgroupError>) -> Result<Option<T>, CgroupError> {
    match found {
        Err(CgroupError::Access { source, .. }) if is_gone(&source) => Ok(None),
        found => found.map(Some),
    }
}

/// ENOENT from a group that was removed before, ENODEV from one removed while its file was open.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::NODEV)
}

/// The groups directly below.
pub(super) fn subgroups(group: &Path) -> Result<Vec<PathBuf>, CgroupError> {
    let entries = match fs::read_dir(group) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(access(group)(error)),
    };
    Ok(entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect())
}

/// The processes of a group and of all groups below it. Without recursion: how deep groups nest is the
/// container's choice.
pub(super) fn processes(group: &Path) -> Result<BTreeSet<u32>, CgroupError> {
    let mut found = BTreeSet::new();
    let mut open = vec![group.to_owned()];
    while let Some(group) = open.pop() {
        let Some(list) = maybe(read(&group.join("cgroup.procs")))? else { continue };
        // 0 stands for a process that our pid namespace cannot name.
        found.extend(
            list.lines().filter_map(|line| line.parse().ok()).filter(|&pid: &u32| pid != 0),
        );
        open.extend(subgroups(&group)?);
    }
    Ok(found)
}

/// Kills every process of the groups, one by one: the way of v1, and of v2 before Linux 5.14. The
/// caller has stopped forks where it can; else this goes on until a round finds nobody new.
pub(super) fn kill(groups: &[&Path]) -> Result<(), CgroupError> {
    let start = Instant::now();
    let mut killed = BTreeSet::new();
    while start.elapsed() < HUNT {
        let mut fresh = false;
        for group in groups {
            let found = processes(group)?;
            let new: Vec<_> = found.difference(&killed).copied().collect();
            fresh |= !new.is_empty();
            signal(group, &new)?;
            killed.extend(new);
        }
        if !fresh {
            return Ok(());
        }
    }
    let path = groups.first().map(|path| (*path).to_owned()).unwrap_or_default();
    Err(CgroupError::Timeout { path, state: "killed", seconds: HUNT.as_secs() })
}

/// Kills these processes of the group. A number may have passed to a stranger since the list was read,
/// so each is held by a descriptor first, and must then still be in the group.
fn signal(group: &Path, pids: &[u32]) -> Result<(), CgroupError> {
    let held: Vec<_> = pids
        .iter()
        .filter_map(|&pid| {
            let process = Pid::from_raw(i32::try_from(pid).ok()?)?;
            Some((pid, pidfd_open(process, PidfdFlags::empty()).ok()?))
        })
        .collect();
    let still = processes(group)?;
    for (pid, process) in held.iter().filter(|(pid, _)| still.contains(pid)) {
        match pidfd_send_signal(process, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                let (path, source) = (group.to_owned(), error.into());
                return Err(CgroupError::Kill { pid: *pid, path, source });
            }
        }
    }
    Ok(())
}

/// Removes a group that is empty; whether it is gone.
pub(super) fn remove_empty(group: &Path) -> bool {
    match fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => is_gone(&error),
    }
}

/// Removes a group and all below it, waiting for dying processes.
pub(super) fn remove(group: &Path) -> Result<(), CgroupError> {
    let start = Instant::now();
    // The kernel lets go of a dead process a moment after its parent has heard of it.
    let mut pause = Duration::from_micros(50);
    loop {
        match fs::remove_dir(group) {
            Ok(()) => return Ok(()),
            Err(error) if is_gone(&error) => return Ok(()),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => {}
            Err(error) => return Err(access(group)(error)),
        }
        let below = descendants(group)?;
        for child in below.iter().rev() {
            // Its own process keeps it; the next round tries again.
            fs::remove_dir(child).ok();
        }
        if start.elapsed() > REMOVAL {
            let (path, seconds) = (group.to_owned(), REMOVAL.as_secs());
            return Err(CgroupError::Timeout { path, state: "empty", seconds });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Removes a v2 group and all below it. The kernel says when the last process is gone, so nothing is asked in a loop.
pub(super) fn remove_populated(group: &Path) -> Result<(), CgroupError> {
    match fs::remove_dir(group) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => {}
        // Also where it is gone, or cannot be removed for another reason, which the next attempt reports.
        Ok(()) => return Ok(()),
        Err(_) => return remove(group),
    }
    match wait_within(group, "empty", "populated", 0, REMOVAL) {
        // Gone while we looked.
        Err(CgroupError::Access { source, .. }) if is_gone(&source) => Ok(()),
        waited => waited.and_then(|()| remove(group)),
    }
}

/// All groups below, parents before their children.
fn descendants(group: &Path) -> Result<Vec<PathBuf>, CgroupError> {
    let mut found = subgroups(group)?;
    let mut next = 0;
    while let Some(group) = found.get(next).cloned() {
        found.extend(subgroups(&group)?);
        next += 1;
    }
    Ok(found)
}

/// Waits until `cgroup.events` says `key value`.
pub(super) fn wait_event(
    group: &Path,
    state: &'static str,
    key: &str,
    value: u64,
) -> Result<(), CgroupError> {
    wait_within(group, state, key, value, HUNT)
}

/// The file becomes exceptional (POLLPRI) when it has changed since it was read.
fn wait_within(
    group: &Path,
    state: &'static str,
    key: &str,
    value: u64,
    within: Duration,
) -> Result<(), CgroupError> {
    let path = group.join("cgroup.events");
    let mut file = fs::File::open(&path).map_err(access(&path))?;
    let start = Instant::now();
    loop {
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).map_err(access(&path))?;
        if find(&text, key) == Some(value) {
            return Ok(());
        }
        let Some(left) = within.checked_sub(start.elapsed()) else {
            let (path, seconds) = (group.to_owned(), within.as_secs());
            return Err(CgroupError::Timeout { path, state, seconds });
        };
        let timeout = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&file, PollFlags::PRI)], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(access(&path)(errno.into())),
        }
    }
}

/// Waits until `reached` says yes.
pub(super) fn wait_for(
    group: &Path,
    state: &'static str,
    mut reached: impl FnMut() -> Result<bool, CgroupError>,
) -> Result<(), CgroupError> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(50);
    while !reached()? {
        if start.elapsed() > HUNT {
            let (path, seconds) = (group.to_owned(), HUNT.as_secs());
            return Err(CgroupError::Timeout { path, state, seconds });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(())
}
