//! How a command is started so that it is watched from its first instruction on.
//!
//! ```text
//! tracer ──▶ coracle __trace-child      what to do stands in a file in memory of the tracer
//!    │ seize      │ waits until it is watched
//!    │            │ no new privileges, the filter
//!    ▼            ▼
//!  events ◀── the command
//! ```
//! Decides the order of these steps; refuses to know what is made of the events. What fails is told by
//! the same file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_no_new_privs;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;
use rustix::fs::MemfdFlags;
use serde::{Deserialize, Serialize};

use super::calls;

/// The verb of `coracle` that [`enter`]s; it is not for people.
pub const VERB: &str = "__trace-child";

/// A tracer needs a moment to seize what it has started.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command, and what it is started with.
#[derive(Debug)]
pub struct Start {
    /// The program, by its path or to be found on the `PATH` of its own environment, and its arguments.
    pub command: Vec<OsString>,
    /// Its environment; that of this process where `None`.
    pub env: Option<BTreeMap<OsString, OsString>>,
    /// Its standard input.
    pub stdin: Stdio,
    /// Its standard output.
    pub stdout: Stdio,
    /// Its standard error.
    pub stderr: Stdio,
}

impl Start {
    /// A command with everything as this process has it.
    pub fn new(command: Vec<OsString>) -> Self {
        let inherit = Stdio::inherit;
        let (stdin, stdout, stderr) = (inherit(), inherit(), inherit());
        Self { command, env: None, stdin, stdout, stderr }
    }
}

/// What the started `coracle` reads.
#[derive(Serialize, Deserialize)]
struct Orders {
    command: Vec<OsString>,
    /// Pairs: the keys of a JSON object are texts, and these names need not be.
    env: Option<Vec<(OsString, OsString)>>,
    /// Signals that the tracer blocked for itself only.
    unblocked: Vec<i32>,
}

/// The step that failed before the command ran, and what the kernel said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", self.words())]
pub struct Failed {
    /// Which.
    pub step: Step,
    /// The number of the error, `errno(3)`.
    pub errno: i32,
}

/// A step of starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Being watched.
    Watch,
    /// The filter.
    Filter,
    /// Its program.
    Execute,
}

impl Failed {
    fn words(self) -> String {
        let what = match self.step {
            Step::Watch => "nobody watches it",
            Step::Filter => "cannot load the filter",
            Step::Execute => "cannot execute it",
        };
        format!("{what}: {}", io::Error::from_raw_os_error(self.errno))
    }
}

/// A `coracle` that has been started, and not yet become the command.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: Pid,
    file: File,
}

/// Starts this program again, which waits until it is watched.
pub(super) fn start(start: Start, unblocked: Vec<i32>) -> io::Result<Started> {
    let Start { command, env, stdin, stdout, stderr } = start;
    let mut file = File::from(rustix::fs::memfd_create("coracle-trace", MemfdFlags::CLOEXEC)?);
    let env = env.map(|env| env.into_iter().collect());
    let orders = Orders { command, env, unblocked };
    serde_json::to_writer(&file, &orders)?;
    file.flush()?;
    let child = Command::new("/proc/self/exe")
        .arg(VERB)
        .arg(std::process::id().to_string())
        .arg(file.as_raw_fd().to_string())
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .spawn()?;
    let process = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Started { process: Pid::from_raw(process), file })
}

impl Started {
    /// Why it ended without having become the command.
    pub(super) fn failure(mut self) -> Option<Failed> {
        self.file.rewind().ok()?;
        serde_json::from_reader(self.file).ok()
    }
}

/// The arguments of [`VERB`], in order.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    tracer: u32,
    file: u32,
}

/// Becomes the command. Only returns if that fails, which whoever started it reads from the file.
pub fn enter(arguments: &Arguments) {
    let path = format!("/proc/{}/fd/{}", arguments.tracer, arguments.file);
    let Ok(mut file) = File::options().read(true).write(true).open(path) else { return };
    let mut text = Vec::new();
    let read = file.read_to_end(&mut text);
    let Ok(orders) = read.and_then(|_| Ok(serde_json::from_slice::<Orders>(&text)?)) else {
        return;
    };
    let Err(failed) = become_command(orders);
    // Nobody else could be told.
    let _told = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| Ok(serde_json::to_writer(&file, &failed)?));
}

fn become_command(orders: Orders) -> Result<std::convert::Infallible, Failed> {
    let failed = |step| move |errno: nix::errno::Errno| Failed { step, errno: errno as i32 };
    wait_until_watched()?;
    let signals: SigSet =
        orders.unblocked.iter().filter_map(|&n| Signal::try_from(n).ok()).collect();
    signals.thread_unblock().map_err(failed(Step::Execute))?;
    set_no_new_privs().map_err(failed(Step::Filter))?;
    tracee::load_filter(&calls::filter())
        .map_err(|errno| Failed { step: Step::Filter, errno: errno.raw_os_error() })?;
    let mut words = orders.command.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    if let Some(env) = orders.env {
        command.env_clear().envs(env);
    }
    let error = command.exec();
    let errno = error.raw_os_error().unwrap_or(nix::libc::EINVAL);
    Err(Failed { step: Step::Execute, errno })
}

/// Until then a stop of the filter would make a call fail (`SECCOMP_RET_TRACE` of seccomp(2)).
fn wait_until_watched() -> Result<(), Failed> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        if tracer.is_some_and(|number| number.trim() != "0") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Err(Failed { step: Step::Watch, errno: nix::libc::ETIMEDOUT })
}
