//! A creation that is to end at once: whatever it waits for, a hook above all, is killed. Its creator finds that it failed, clears
//! up and runs what has to run then.

use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, getpgid, kill_process_group, pidfd_open};

use super::lock::{self, LOCK, Said};

/// Kills what the creator of the container with this folder has started, with all that this started. Whether there was anything.
pub(super) fn interrupt(folder: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(opened) = rustix::fs::open(folder, flags, Mode::empty()) else { return false };
    let said = lock::open(&opened, OFlags::empty()).map(|lock| Said::by(&lock));
    let Ok(Said::Monitor(creator)) = said else { return false };
    // The number may be another process's by now; one that has the lock open is the creator.
    if !has_open(creator, &folder.join(LOCK)) {
        return false;
    }
    children(creator).into_iter().filter(|child| kill(creator, *child)).count() > 0
}

fn has_open(pid: Pid, path: &Path) -> bool {
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let is_it = |link: &std::path::PathBuf| std::fs::read_link(link).is_ok_and(|to| to == path);
    descriptors.flatten().map(|entry| entry.path()).any(|link| is_it(&link))
}

/// None where the kernel does not list them (`CONFIG_PROC_CHILDREN`).
fn children(pid: Pid) -> Vec<Pid> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// A hook leads a group of its own; so does, since it leads a session, what becomes process 1. Neither number can become another
/// process's before the creator, who is its parent, has waited for it, and who waits for nothing else goes on then.
fn kill(creator: Pid, child: Pid) -> bool {
    let Ok(pidfd) = pidfd_open(child, PidfdFlags::empty()) else { return false };
    if !children(creator).contains(&child) {
        return false;
    }
    if getpgid(Some(child)) == Ok(child) {
        return kill_process_group(child, Signal::KILL).is_ok();
    }
    rustix::process::pidfd_send_signal(pidfd.as_fd(), Signal::KILL).is_ok()
}
