//! The sandbox: `paddle run` of the image with this program, static as it is, as its process 1.
//!
//! Decides which `paddle`, and which options; what they mean is docs/paddle.md's.

use std::env;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::oci::reference::Reference;
use common::report::Diagnostic;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::script::Script;
use super::{OURS, Outcome, inside};
use crate::elf::Object;
use crate::interrupt::Interrupt;
use crate::spec::check::Seconds;

/// A moment longer than the check may take: then it is the sandbox that does not answer.
const SPARE: u32 = 30;
/// How long paddle has to clear away when it is asked to end.
const CLEARING: Duration = Duration::from_secs(15);
/// Bytes of an outcome: some hundreds of steps with their logs.
const MOST_OUTCOME: u64 = 64 << 20;
/// Bytes of the end of paddle's own messages that are shown.
const MOST_SAID: usize = 4 << 10;
/// What a peer can open in its `/dev`.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// The launcher, and the program that becomes process 1.
#[derive(Debug, Clone)]
pub struct Paddle {
    program: PathBuf,
    own: PathBuf,
}

/// Why there was no run, or no word from it.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// There is no launcher.
    #[error("there is no `paddle` beside coracle, nor on PATH")]
    NoPaddle,
    /// The path that was given is no program.
    #[error("there is no `paddle` at `{}`", .0.display())]
    NotThere(PathBuf),
    /// This program cannot be found or read.
    #[error("cannot read coracle's own program")]
    Own(#[source] io::Error),
    /// This program would need libraries in the image.
    #[error("this coracle is no static program, so it cannot run inside an image")]
    Dynamic,
    /// It cannot be started.
    #[error("cannot start `{}`", path.display())]
    Start {
        /// The launcher.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody wanted the end.
    #[error("interrupted")]
    Interrupted,
    /// It tells of fewer steps than there are.
    #[error("the sandbox does not tell of every step")]
    Short,
    /// What it tells of files is no profile.
    #[error("the sandbox tells of files what cannot be understood: {0}")]
    Unread(String),
    /// It ended without a word of the steps.
    #[error("the sandbox did not work ({status})\n{said}")]
    Silent {
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
}

impl Diagnostic for SandboxError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoPaddle | Self::NotThere(_) => {
                Some("it is built along with coracle; name it with --paddle".to_owned())
            }
            Self::Dynamic => Some(
                "build it for a target whose C library can be linked statically, as \
                 .cargo/config.toml does"
                    .to_owned(),
            ),
            Self::Silent { .. } => {
                Some("does `paddle run` of any image work for this user?".to_owned())
            }
            Self::Own(_)
            | Self::Start { .. }
            | Self::Interrupted
            | Self::Unread(_)
            | Self::Short => None,
        }
    }
}

impl Paddle {
    /// The launcher at `given`, else beside this program, else on PATH.
    pub fn find(given: Option<&Path>) -> Result<Self, SandboxError> {
        let own = env::current_exe().map_err(SandboxError::Own)?;
        let object =
            File::open(&own).map_err(SandboxError::Own).map(|file| Object::parse(&file))?;
        if object.is_ok_and(|object| object.interpreter.is_some()) {
            return Err(SandboxError::Dynamic);
        }
        let program = match given {
            Some(path) if path.is_file() => std::path::absolute(path).map_err(SandboxError::Own)?,
            Some(path) => return Err(SandboxError::NotThere(path.to_owned())),
            None => beside(&own).or_else(on_path).ok_or(SandboxError::NoPaddle)?,
        };
        Ok(Self { program, own })
    }
}

fn beside(own: &Path) -> Option<PathBuf> {
    Some(own.parent()?.join("paddle")).filter(|path| path.is_file())
}

fn on_path() -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("paddle"))
        .find(|path| path.is_file())
}

/// One run.
pub(super) struct Sandbox<'a> {
    /// The bench's.
    pub(super) folder: &'a Path,
    pub(super) name: &'a Reference,
    pub(super) hosts: Vec<String>,
    pub(super) peers: Vec<String>,
    pub(super) timeout: Seconds,
    pub(super) interrupt: &'a Interrupt,
}

impl Sandbox<'_> {
    /// Runs the script; the outcome, as process 1 tells it.
    pub(super) fn run(&self, paddle: &Paddle, script: &Script) -> Result<Outcome, SandboxError> {
        let start = |source| SandboxError::Start { path: paddle.program.clone(), source };
        let mut command = self.command(paddle);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(start)?;
        let outcome = child.stdout.take().map(|pipe| collect(pipe.take(MOST_OUTCOME)));
        let said = child.stderr.take().map(collect_end);
        // Process 1 ends when this pipe does, so it is held until the end.
        let mut input = child.stdin.take();
        if let Some(pipe) = &mut input {
            // If nobody reads it, the sandbox has said why.
            let mut line = serde_json::to_vec(script).unwrap_or_default();
            line.push(b'\n');
            pipe.write_all(&line).ok();
        }
        let status = self.wait(&mut child);
        drop(input);
        let status = status.map_err(start)?;
        self.interrupt.check().map_err(|_interrupted| SandboxError::Interrupted)?;
        let outcome = outcome.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let said = said.and_then(|thread| thread.join().ok()).unwrap_or_default();
        match serde_json::from_slice(&outcome) {
            Ok(outcome) if status.success() => Ok(outcome),
            _ => Err(SandboxError::Silent { status, said: String::from_utf8_lossy(&said).into() }),
        }
    }

    fn command(&self, paddle: &Paddle) -> Command {
        let mut command = Command::new(&paddle.program);
        let below = |name: &str| self.folder.join(name);
        command.arg("--store").arg(below("store")).arg("--root").arg(below("state"));
        command.args(["run", "--rm", "-i", "--net", "none", "--user", "0:0"]);
        // What a program of another user did is seen by its tracer only with this.
        command.args(["--cap-add", "SYS_PTRACE"]);
        if let Some(name) = self.folder.file_name() {
            command.arg("--name").arg(name).args(["--hostname", "check"]);
        }
        let limit = self.timeout.number() + SPARE;
        command.args(["--timeout", &limit.to_string()]);
        for host in &self.hosts {
            command.args(["--add-host", &format!("{host}:127.0.0.1")]);
        }
        let mut volume = |source: &Path, to: &str, how: &str| {
            let mut text = source.as_os_str().to_owned();
            text.push(format!(":{OURS}/{to}:{how}"));
            command.arg("--volume").arg(text);
        };
        volume(&paddle.own, "coracle", "ro");
        volume(&below("given"), "given", "ro");
        for peer in &self.peers {
            let devices = DEVICES.map(|device| (device, Path::new("/dev").join(device)));
            for (device, source) in devices.iter().filter(|(_, source)| source.exists()) {
                volume(source, &format!("peers/{peer}/dev/{device}"), "dev");
            }
        }
        command.arg("--entrypoint").arg(format!("{OURS}/coracle"));
        command.arg(self.name.to_string()).arg(inside::VERB);
        command
    }

    /// Waits for its end; asks for it when somebody wants it.
    fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let pid = Pid::from_raw(child.id().cast_signed());
        let mut asked: Option<Instant> = None;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            match asked {
                None if self.interrupt.check().is_err() => {
                    kill(pid, Signal::SIGTERM).ok();
                    asked = Some(Instant::now());
                }
                Some(when) if when.elapsed() > CLEARING => child.kill()?,
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Reads to the end, in a thread of its own.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).ok();
        bytes
    })
}

/// Reads to the end and keeps that.
fn collect_end(pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let (mut bytes, mut buffer) = (Vec::new(), [0; 1 << 12]);
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            bytes.drain(..bytes.len().saturating_sub(MOST_SAID));
        }
        bytes
    })
}
