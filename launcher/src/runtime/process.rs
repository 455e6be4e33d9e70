//! `ProcessId`: a process that is still the same one.
//!
//! A pid alone is recycled. Together with what marks its process it names one for the life of the system
//! (docs/security.md, crash safety); a pidfd then holds on to it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};

use crate::host::pseudo;

/// `PID_FS_MAGIC` of `linux/magic.h`.
const PIDFS_MAGIC: i64 = 0x5049_4446;

/// A pid of this pid namespace and what tells its process from others that have the pid before or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid.
    pub pid: i32,
    /// The process.
    #[serde(flatten)]
    pub mark: ProcessMark,
}

/// What no other process with the same pid has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessMark {
    /// The inode number of its pidfds, which is never given again (pidfs, Linux 6.9). Some forty times as fast to get as the other.
    Inode(u64),
    /// Field 22 of `/proc/<pid>/stat` (`proc_pid_stat(5)`): clock ticks since the system started.
    StartTime(u64),
}

impl ProcessId {
    /// Names a living process (or one not yet waited for).
    pub fn of(pid: Pid) -> io::Result<Self> {
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        let mark = match inode(pidfd.as_fd())? {
            Some(inode) => ProcessMark::Inode(inode),
            None => ProcessMark::StartTime(started(pid)?),
        };
        Ok(Self { pid: pid.as_raw_nonzero().get(), mark })
    }

    /// A descriptor of the process, `None` when it is gone. The mark is compared after the descriptor is open, so the
    /// descriptor cannot be that of a successor.
    pub fn open(self) -> io::Result<Option<OwnedFd>> {
        let gone = |error: &io::Error| {
            matches!(
                rustix::io::Errno::from_io_error(error),
                Some(rustix::io::Errno::SRCH | rustix::io::Errno::NOENT)
            )
        };
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let opened = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|pidfd| {
                let same = match self.mark {
                    ProcessMark::Inode(known) => inode(pidfd.as_fd())? == Some(known),
                    ProcessMark::StartTime(known) => started(pid)? == known,
                };
                Ok(same.then_some(pidfd))
            });
        match opened {
            Err(error) if gone(&error) => Ok(None),
            other => other,
        }
    }
}

/// The inode number of a pidfd, where it is the process's own.
fn inode(pidfd: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    if rustix::fs::fstatfs(pidfd)?.f_type as i64 != PIDFS_MAGIC {
        return Ok(None);
    }
    Ok(Some(rustix::fs::fstat(pidfd)?.st_ino))
}

fn started(pid: Pid) -> io::Result<u64> {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    start_time(&pseudo::bytes(&path)?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{path} is malformed")))
}

impl ProcessId {
    /// Whether it runs. One that has ended and was not waited for does not.
    pub fn is_alive(self) -> io::Result<bool> {
        let Some(pidfd) = self.open()? else { return Ok(false) };
        let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let ended = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&now)))?;
        Ok(ended == 0)
    }
}

/// Field 22. The second field is the program's name in parentheses and may itself hold spaces and
/// parentheses, so counting starts behind the last one.
fn start_time(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    fields.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        for name in ["(sh)", "(a b) c)", "() 1 2 3 (x)"] {
            assert_eq!(start_time(format!("42 {name} {tail}").as_bytes()), Some(777), "{name}");
        }
        assert_eq!(start_time(b"42 (sh) S 1"), None);
    }

    #[test]
    fn a_recycled_pid_is_another_process() {
        let own = ProcessId::of(rustix::process::getpid()).unwrap();
        assert!(own.open().unwrap().is_some() && own.is_alive().unwrap());
        let pid = rustix::process::getpid();
        // As an older paddle has it, and an older kernel.
        let start = started(pid).unwrap();
        assert!(marked(ProcessMark::StartTime(start)).open().unwrap().is_some());
        assert!(marked(ProcessMark::StartTime(start + 1)).open().unwrap().is_none());
        if let ProcessMark::Inode(inode) = own.mark {
            assert!(marked(ProcessMark::Inode(inode + 1)).open().unwrap().is_none());
        }
    }

    /// This process, with another mark.
    fn marked(mark: ProcessMark) -> ProcessId {
        ProcessId { pid: rustix::process::getpid().as_raw_nonzero().get(), mark }
    }

    #[test]
    fn a_process_that_ended_is_not_alive_before_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let id = ProcessId::of(pid).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while id.is_alive().unwrap() {
            assert!(std::time::Instant::now() < deadline, "it ends at once");
        }
        assert!(id.open().unwrap().is_some(), "nobody waited for it yet");
        child.wait().unwrap();
        assert!(!id.is_alive().unwrap());
    }
}
