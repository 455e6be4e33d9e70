//! Runs a command under a time limit, and keeps all that it said.

use std::fmt;
use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Long enough for a debug build of the programs on a busy machine; short enough that a hang is
/// reported before the whole run is given up.
const LIMIT: Duration = Duration::from_mins(4);

/// How long the pipes may stay open after the command's end: by then, somebody else holds them.
const SILENCE: Duration = Duration::from_secs(20);

/// What a command did.
pub struct Outcome {
    command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, as bytes.
    pub stdout: Vec<u8>,
    /// Its standard error, as bytes.
    pub stderr: Vec<u8>,
    /// From spawn to end.
    pub took: Duration,
}

/// Runs the command with an empty standard input.
///
/// # Panics
/// When it cannot be started, does not end within four minutes (it is killed then), or leaves a
/// process behind that holds its output open.
pub fn run(command: &mut Command) -> Outcome {
    run_with_input(command, b"")
}

/// Runs the command with `input` on its standard input.
///
/// # Panics
/// As [`run`].
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Outcome {
    let started = Instant::now();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A command that does not read its input closes the pipe: not this function's concern.
    let mut stdin = child.stdin.take().expect("the input is piped");
    let input = input.to_vec();
    std::thread::spawn(move || stdin.write_all(&input).ok());
    let stdout = collect(child.stdout.take().expect("the output is piped"));
    let stderr = collect(child.stderr.take().expect("the errors are piped"));
    let status = wait(&mut child, command);
    let took = started.elapsed();
    let text = |pipe: Receiver<Vec<u8>>| {
        pipe.recv_timeout(SILENCE)
            .unwrap_or_else(|_| panic!("{command:?} left a process that holds its output open"))
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    Outcome { command: format!("{command:?}"), status, stdout, stderr, took }
}

/// Reads the pipe to its end, in a thread of its own.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).ok();
        sender.send(bytes).ok();
    });
    receiver
}

fn wait(child: &mut Child, command: &Command) -> ExitStatus {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().ok();
            child.wait().ok();
            panic!("{command:?} did not end within {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "an assertion does its work by not panicking; its value is often not needed"
)]
impl Outcome {
    /// The outcome itself, if the status is 0.
    ///
    /// # Panics
    /// With all that the command said, if it is not.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// The outcome itself, if the program ended by itself with this status.
    ///
    /// # Panics
    /// With all that the command said, if it did not.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status.code(), Some(status), "{self:?}");
        self
    }

    /// The outcome itself, if standard error contains each of `fragments`.
    ///
    /// # Panics
    /// With all that the command said, if it does not.
    #[track_caller]
    pub fn says(self, fragments: &[&str]) -> Self {
        let stderr = String::from_utf8_lossy(&self.stderr);
        for fragment in fragments {
            assert!(stderr.contains(fragment), "`{fragment}` is not in the errors of {self:?}");
        }
        self
    }

    /// Standard output as text, without the last newline.
    pub fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        text.strip_suffix('\n').unwrap_or(&text).to_owned()
    }

    /// Standard error as text.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => format!("{}", self.status),
        };
        writeln!(f, "{}\n  ended with {ended} after {:?}", self.command, self.took)?;
        writeln!(f, "--- standard output\n{}", String::from_utf8_lossy(&self.stdout))?;
        writeln!(f, "--- standard error\n{}---", String::from_utf8_lossy(&self.stderr))
    }
}
