//! Starting, reaping and killing. As process 1, this one also reaps what others have left.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::accounts::Account;
use super::begin;
use super::stream::Stream;

/// A moment: how long a program's end, or an open port, may stay unnoticed.
pub(super) const MOMENT: Duration = Duration::from_millis(2);

/// A program, to be started.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) words: Vec<String>,
    /// `NAME=VALUE`; of two with one name the last counts.
    pub(super) env: BTreeMap<String, String>,
    pub(super) account: Account,
    /// The root of a peer.
    pub(super) root: Option<PathBuf>,
    pub(super) stdin: String,
}

/// A program that was started.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
}

/// All that were started, and how those ended that did.
#[derive(Debug, Default)]
pub(super) struct Processes {
    ended: BTreeMap<Pid, Option<u8>>,
}

impl Processes {
    pub(super) fn start(&mut self, start: Start) -> io::Result<Child> {
        let Start { words, env, account, root, stdin } = start;
        let mut command = Command::new("/proc/self/exe");
        command.arg(begin::VERB);
        if let Some(root) = root {
            command.arg("--root").arg(root);
        }
        command.args(["--uid", &account.uid.to_string(), "--gid", &account.gid.to_string()]);
        if !account.groups.is_empty() {
            let groups: Vec<String> = account.groups.iter().map(u32::to_string).collect();
            command.args(["--groups", &groups.join(",")]);
        }
        command.arg("--").args(words).env_clear().envs(env);
        // A group of its own: a program that signals its group means what it has started.
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        let mut child = command.spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        self.ended.insert(pid, None);
        if let Some(mut pipe) = child.stdin.take() {
            // One that does not read has closed it, or is killed in the end.
            let feed = move || pipe.write_all(stdin.as_bytes()).ok();
            let _detached = std::thread::spawn(feed);
        }
        let pipe = |pipe: Option<OwnedFd>| {
            pipe.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe)).and_then(Stream::new)
        };
        let stdout = pipe(child.stdout.take().map(OwnedFd::from))?;
        let stderr = pipe(child.stderr.take().map(OwnedFd::from))?;
        Ok(Child { pid, stdout, stderr })
    }

    /// Reaps whatever has ended.
    pub(super) fn reap(&mut self) {
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, u8::try_from(code & 0xff).ok()),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    (pid, u8::try_from(128 + signal as i32).ok())
                }
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) | Err(Errno::EINTR) => continue,
                // There is nobody left.
                Err(_) => break,
            };
            if let Some(known) = self.ended.get_mut(&pid) {
                *known = status;
            }
        }
    }

    /// How it ended, if it did: its status, or 128+n for signal n.
    pub(super) fn ended(&mut self, pid: Pid) -> Option<u8> {
        self.reap();
        self.ended.get(&pid).copied().flatten()
    }

    /// Kills everything in the sandbox but this process, and waits until it is gone.
    pub(super) fn kill_all(&mut self) {
        // ESRCH: there is nobody.
        while kill(Pid::from_raw(-1), Signal::SIGKILL).is_ok() {
            self.reap();
            std::thread::sleep(MOMENT);
        }
        self.reap();
    }
}
