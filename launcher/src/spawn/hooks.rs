//! Hooks: programs of the host (or, before the program itself, of the container) that are told of a container on their
//! standard input.
//!
//! What a hook prints is not the container's output: it is kept in memory, and the end of it is part of the message when
//! the hook fails.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Serialize;

use super::step::{Done, Failure};
use super::{SpawnError, Step};
use crate::plan::{Hook, HookKind, Hooks, Plan};
use crate::spec::OCI_VERSION;
use crate::sys::exec::Strings;

/// How much of what a failed hook printed is repeated.
const SAID: u64 = 400;

/// The container that hooks are told of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its bundle.
    pub bundle: &'a Path,
    /// Its annotations.
    pub annotations: &'a BTreeMap<String, String>,
}

/// The state of a container, as the specification has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StateOf<'a> {
    oci_version: &'static str,
    id: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

impl Subject<'_> {
    /// Runs all hooks of one moment in this process's namespaces, until one fails: but poststop hooks all run, since there
    /// is nothing left that a failure could save.
    ///
    /// # Errors
    ///
    /// The first that failed.
    pub fn run(&self, hooks: &Hooks, kind: HookKind, pid: Option<Pid>) -> Result<(), SpawnError> {
        if hooks.of(kind).is_empty() {
            return Ok(());
        }
        let state = self.state(status_at(kind), pid).map_err(|error| cannot(kind, "", &error))?;
        // As other runtimes do. It may be gone when the container is.
        let folder = Some(self.bundle).filter(|bundle| bundle.is_dir());
        Ok(run_all(hooks.of(kind), kind, Around { state: &state, folder, env: None })?)
    }

    /// The state as a sealed file in memory.
    fn state(&self, status: &'static str, pid: Option<Pid>) -> io::Result<OwnedFd> {
        let file = memory()?;
        self.write(&file, status, pid)?;
        Ok(file)
    }

    fn write(&self, file: &OwnedFd, status: &'static str, pid: Option<Pid>) -> io::Result<()> {
        let told = StateOf {
            oci_version: OCI_VERSION,
            id: self.id,
            status,
            pid: pid.map(|pid| pid.as_raw_nonzero().get()),
            bundle: self.bundle,
            annotations: self.annotations,
        };
        let json = serde_json::to_vec(&told).map_err(io::Error::from)?;
        std::fs::File::from(file.try_clone()?).write_all(&json)?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        Ok(rustix::fs::fcntl_add_seals(file, seals)?)
    }
}

/// Files in memory with what hooks are told that run in the child: empty until the launcher knows the child's number.
#[derive(Debug)]
pub(super) struct Told {
    /// For those that run before the root is entered.
    pub(super) creating: OwnedFd,
    /// For those that run right before the program.
    pub(super) created: OwnedFd,
}

impl Told {
    /// None where no hook runs in the child.
    pub(super) fn new(plan: &Plan) -> io::Result<Option<Self>> {
        let hooks = &plan.hooks;
        let any = !hooks.create_container.is_empty() || !hooks.start_container.is_empty();
        any.then(|| Ok(Self { creating: memory()?, created: memory()? })).transpose()
    }

    /// In the launcher: fills them.
    pub(super) fn fill(&self, subject: &Subject<'_>, pid: Pid) -> io::Result<()> {
        subject.write(&self.creating, status_at(HookKind::CreateContainer), Some(pid))?;
        subject.write(&self.created, status_at(HookKind::StartContainer), Some(pid))
    }
}

/// Where the container is in its life when such a hook runs. Hooks come from step 3 on, and whatever is behind step 2 and
/// has not executed its program is created (runtime, "State").
fn status_at(kind: HookKind) -> &'static str {
    match kind {
        HookKind::Prestart
        | HookKind::CreateRuntime
        | HookKind::CreateContainer
        | HookKind::StartContainer => "created",
        HookKind::Poststart => "running",
        HookKind::Poststop => "stopped",
    }
}

fn memory() -> io::Result<OwnedFd> {
    Ok(rustix::fs::memfd_create("hook", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// What a hook finds around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// The state that it is told.
    pub(super) state: &'a OwnedFd,
    /// Its working folder; otherwise this process's.
    pub(super) folder: Option<&'a Path>,
    /// Its environment, where its own is not said; otherwise this process's.
    pub(super) env: Option<&'a Strings>,
}

/// Runs hooks in their order, each told the same state, until one fails. Those of poststop are all run: the first that
/// failed is what is told, as a warning (runtime, "Lifecycle").
pub(super) fn run_all(hooks: &[Hook], kind: HookKind, around: Around<'_>) -> Done {
    let mut all = Ok(());
    for hook in hooks {
        let one = run_one(hook, kind, around);
        if one.is_err() && kind != HookKind::Poststop {
            return one;
        }
        all = all.and(one);
    }
    all
}

fn run_one(hook: &Hook, kind: HookKind, around: Around<'_>) -> Done {
    let path = hook.path.to_string_lossy();
    let (status, said) = run(hook, around).map_err(|error| cannot(kind, &path, &error))?;
    if status.success() {
        return Ok(());
    }
    let said = if said.is_empty() { said } else { format!(", it said: {said}") };
    let object = format!("{} {path} ({status}{said})", kind.name());
    Err(Failure { step: Step::Hook, object, errno: Errno::CANCELED })
}

fn cannot(kind: HookKind, path: &str, error: &io::Error) -> Failure {
    let errno = match error.kind() {
        io::ErrorKind::TimedOut => Errno::TIMEDOUT,
        _ => Errno::from_io_error(error).unwrap_or(Errno::IO),
    };
    Failure { step: Step::Hook, object: format!("{} {path}", kind.name()), errno }
}

fn run(hook: &Hook, around: Around<'_>) -> io::Result<(ExitStatus, String)> {
    let mut input = std::fs::File::from(around.state.try_clone()?);
    input.seek(SeekFrom::Start(0))?;
    let output = memory()?;
    let mut command = Command::new(&hook.path);
    let mut arguments = hook.args.iter();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    set_environment(&mut command, hook, around.env);
    if let Some(folder) = around.folder {
        command.current_dir(folder);
    }
    let mut child = command
        .stdin(input)
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        // A group of its own, so that all that it started can be killed with it.
        .process_group(0)
        .spawn()?;
    let status = match hook.timeout {
        None => child.wait()?,
        Some(timeout) => wait_for(&mut child, timeout)?,
    };
    Ok((status, if status.success() { String::new() } else { said(output)? }))
}

fn set_environment(command: &mut Command, hook: &Hook, usual: Option<&Strings>) {
    let own = hook.env.as_ref().map(|env| env.iter().map(String::as_bytes).collect());
    let usual = || usual.map(|usual| usual.get().iter().map(|entry| entry.to_bytes()).collect());
    let Some(entries): Option<Vec<&[u8]>> = own.or_else(usual) else { return };
    command.env_clear();
    for entry in entries {
        let at = entry.iter().position(|byte| *byte == b'=').unwrap_or(entry.len());
        let (name, value) = entry.split_at(at);
        command.env(OsStr::from_bytes(name), OsStr::from_bytes(value.get(1..).unwrap_or_default()));
    }
}

/// Waits so long and no longer; kills it then.
fn wait_for(child: &mut Child, timeout: Duration) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + timeout;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&pidfd.as_fd(), PollFlags::IN)], Some(&limit)) {
            Ok(0) => break,
            Ok(_) => return child.wait(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    // Not waited for yet, so the number means it and its group.
    let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    child.wait()?;
    Err(io::ErrorKind::TimedOut.into())
}

/// The end of what it printed, on one line.
fn said(output: OwnedFd) -> io::Result<String> {
    let mut output = std::fs::File::from(output);
    let length = output.seek(SeekFrom::End(0))?;
    output.seek(SeekFrom::Start(length.saturating_sub(SAID)))?;
    let mut bytes = Vec::new();
    output.take(SAID).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(script: &str, timeout: Option<u64>) -> Hook {
        Hook {
            path: "/bin/sh".into(),
            args: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: Some(vec!["A=1".to_owned()]),
            timeout: timeout.map(Duration::from_secs),
        }
    }

    fn outcome(script: &str, timeout: Option<u64>) -> Result<(), (String, Errno)> {
        let annotations = [("k".to_owned(), "v".to_owned())].into();
        let subject = Subject { id: "box", bundle: Path::new("/b"), annotations: &annotations };
        let hooks = Hooks { poststop: vec![hook(script, timeout)], ..Hooks::default() };
        let done = subject.run(&hooks, HookKind::Poststop, None);
        done.map_err(|error| match error {
            SpawnError::Step { object, errno, .. } => (object, errno),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn a_hook_is_told_the_state_and_gets_its_own_environment_only() {
        let expected = r#"{"ociVersion":"1.3.0","id":"box","status":"stopped","bundle":"/b","annotations":{"k":"v"}}"#;
        let script = format!("[ \"$(cat)\" = '{expected}' ] && [ \"$A\" = 1 ] && [ -z \"$HOME\" ]");
        assert_eq!(outcome(&script, None), Ok(()));
    }

    #[test]
    fn a_hook_that_fails_says_how() {
        let (object, errno) = outcome("echo no way >&2; exit 3", Some(60)).unwrap_err();
        assert_eq!(object, "poststop /bin/sh (exit status: 3, it said: no way)");
        assert_eq!(errno, Errno::CANCELED);
    }

    #[test]
    fn hooks_after_the_end_are_all_run() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let touch = hook(&format!("echo >{}", mark.display()), None);
        for (kind, runs) in [(HookKind::Poststop, true), (HookKind::Poststart, false)] {
            let list = [hook("exit 3", None), touch.clone(), hook("exit 4", None)];
            let state = memory().unwrap();
            let around = Around { state: &state, folder: None, env: None };
            let failure = run_all(&list, kind, around).unwrap_err();
            assert!(failure.object.contains("status: 3"), "{}", failure.object);
            assert_eq!(std::fs::remove_file(&mark).is_ok(), runs, "{}", kind.name());
        }
    }

    #[test]
    fn a_hook_that_takes_too_long_is_killed_with_all_that_it_started() {
        let begun = Instant::now();
        let (object, errno) = outcome("sleep 100 & wait", Some(1)).unwrap_err();
        assert_eq!((object.as_str(), errno), ("poststop /bin/sh", Errno::TIMEDOUT));
        assert!(begun.elapsed() < Duration::from_secs(50));
    }
}
