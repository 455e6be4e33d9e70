//! Starting, watching and killing. As process 1, this one also reaps what others have left.
//!
//! Programs of the image are children of the main thread, which is their tracer; they go on only while it
//! asks for events ([`Processes::go_on`]). Peers, and everything where the kernel allows no tracer, are
//! children of a thread of their own that waits for them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, PipeReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use common::accounts::Account;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::accounts;
use super::begin;
use super::stream::Stream;
use crate::trace::{self, Event, Record, Status, TraceError, Tracer};

/// How long what nobody tells of, such as an open port, may stay unnoticed.
pub(super) const MOMENT: Duration = Duration::from_millis(2);
/// How long one wait is where the end of a program is waited for, which the kernel tells of.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A program, to be started.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) words: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) account: Account,
    /// The root of a peer.
    pub(super) root: Option<PathBuf>,
    pub(super) stdin: String,
}

/// A program that was started.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pid: Pid,
    kind: Kind,
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
}

#[derive(Debug, Clone)]
enum Kind {
    Watched(trace::Child),
    /// Its status, once it has ended.
    Waited(Arc<OnceLock<u8>>),
}

/// All that were started, and how those ended that did.
#[derive(Debug)]
pub(super) struct Processes {
    tracer: Tracer,
    /// Why nothing is watched.
    unwatched: Option<String>,
    ended: BTreeMap<trace::Child, u8>,
}

/// The three pipes of a program: its ends, and ours.
struct Pipes {
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
    printed: PipeReader,
    complained: PipeReader,
}

impl Processes {
    pub(super) fn new() -> Result<Self, TraceError> {
        Ok(Self { tracer: Tracer::new(&[])?, unwatched: None, ended: BTreeMap::new() })
    }

    /// Starts it, watched if it is of the image and the kernel allows it.
    pub(super) fn start(&mut self, start: Start) -> Result<Child, String> {
        let failed = |error: io::Error| format!("cannot start a process: {error}");
        let pipes = Pipes::new(start.stdin).map_err(failed)?;
        let stdout = Stream::new(pipes.printed.into()).map_err(failed)?;
        let stderr = Stream::new(pipes.complained.into()).map_err(failed)?;
        let Start { words, env, account, root, stdin: _ } = start;
        let is_peer = root.is_some();
        let mut command = vec![OsString::from(begin::PROGRAM), begin::VERB.into()];
        if let Some(root) = root {
            command.extend(["--root".into(), root.into()]);
        }
        let groups: Vec<String> = account.groups.iter().map(u32::to_string).collect();
        for (option, value) in [
            ("--uid", account.uid.to_string()),
            ("--gid", account.gid.to_string()),
            ("--groups", groups.join(",")),
        ] {
            if !value.is_empty() {
                command.extend([option.into(), value.into()]);
            }
        }
        command.push("--".into());
        command.extend(words.into_iter().map(OsString::from));
        let os = |(name, value): (String, String)| (name.into(), value.into());
        let env: BTreeMap<OsString, OsString> = env.into_iter().map(os).collect();
        let (pid, kind) = if is_peer || self.unwatched.is_some() {
            wait_for(&command, env, (pipes.stdin, pipes.stdout, pipes.stderr)).map_err(failed)?
        } else {
            let start = trace::Start {
                env: Some(env),
                stdin: pipes.stdin,
                stdout: pipes.stdout,
                stderr: pipes.stderr,
                ..trace::Start::new(command)
            };
            let child = self.tracer.spawn(start).map_err(|error| words_of(&error))?;
            (Pid::from_raw(child.id().cast_signed()), Kind::Watched(child))
        };
        Ok(Child { pid, kind, stdout, stderr })
    }

    /// Lets everything go on for a time, or until something happens.
    pub(super) fn go_on(&mut self, time: Duration) {
        match self.tracer.wait(Some(Instant::now() + time)) {
            Ok(Event::Ended(child, status)) => {
                self.ended.insert(child, Status::code(status));
            }
            Ok(Event::Late | Event::Signal { .. }) => {}
            // Nothing of it runs, or the kernel does not tell: others may.
            Ok(Event::Idle) | Err(_) => std::thread::sleep(MOMENT),
        }
    }

    /// How it ended, if it did: its status, or 128+n for signal n.
    pub(super) fn ended(&self, child: &Child) -> Option<u8> {
        match &child.kind {
            Kind::Watched(child) => self.ended.get(child).copied(),
            Kind::Waited(status) => status.get().copied(),
        }
    }

    /// Sends it a signal, unless it has ended.
    pub(super) fn send(&self, child: &Child, signal: Signal) {
        if self.ended(child).is_none() {
            // It may end just now.
            kill(child.pid, signal).ok();
        }
    }

    /// Kills everything in the sandbox but this process, waits until it is gone, and says what was seen of
    /// it.
    pub(super) fn finish(mut self) -> Result<Record, String> {
        // ESRCH: there is nobody.
        while kill(Pid::from_raw(-1), Signal::SIGKILL).is_ok() {
            self.go_on(MOMENT);
        }
        match self.unwatched {
            Some(why) => Err(why),
            None => self.tracer.finish().map_err(|error| words_of(&error)),
        }
    }

    /// Finds out whether the kernel allows a tracer.
    pub(super) fn try_to_watch(&mut self) {
        let start = Start {
            words: vec![begin::PROGRAM.to_owned(), "--version".to_owned()],
            env: BTreeMap::new(),
            account: accounts::root(),
            root: None,
            stdin: String::new(),
        };
        match self.start(start) {
            Ok(child) => {
                while self.ended(&child).is_none() {
                    self.go_on(PAUSE);
                }
            }
            Err(why) => self.unwatched = Some(why),
        }
    }
}

fn words_of(error: &TraceError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

impl Pipes {
    fn new(input: String) -> io::Result<Self> {
        let (printed, stdout) = io::pipe()?;
        let (complained, stderr) = io::pipe()?;
        let stdin = if input.is_empty() {
            Stdio::null()
        } else {
            let (stdin, mut pipe) = io::pipe()?;
            // A program that does not read it is killed in the end, which ends this too.
            let feed = move || pipe.write_all(input.as_bytes()).ok();
            std::thread::Builder::new().spawn(feed)?;
            stdin.into()
        };
        let (stdout, stderr) = (stdout.into(), stderr.into());
        Ok(Self { stdin, stdout, stderr, printed, complained })
    }
}

/// Starts a program in a thread that waits for its end.
fn wait_for(
    words: &[OsString],
    env: BTreeMap<OsString, OsString>,
    (stdin, stdout, stderr): (Stdio, Stdio, Stdio),
) -> io::Result<(Pid, Kind)> {
    use std::os::unix::process::ExitStatusExt as _;
    let mut command = Command::new(words.first().cloned().unwrap_or_default());
    command.args(words.get(1..).unwrap_or_default()).env_clear().envs(env);
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    let status = Arc::new(OnceLock::new());
    let told = Arc::clone(&status);
    let (sender, receiver) = mpsc::channel();
    let wait = move || {
        let started = command.spawn();
        // Our ends of its pipes would keep them open.
        drop(command);
        let mut child = match started {
            Ok(child) => child,
            Err(error) => return drop(sender.send(Err(error))),
        };
        sender.send(Ok(child.id())).ok();
        if let Ok(status) = child.wait() {
            let code = status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or_default();
            told.set(u8::try_from(code & 0xff).unwrap_or(u8::MAX)).ok();
        }
    };
    std::thread::Builder::new().spawn(wait)?;
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let id = receiver.recv().map_err(gone)??;
    Ok((Pid::from_raw(id.cast_signed()), Kind::Waited(status)))
}
