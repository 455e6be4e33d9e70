//! `paddle run`, `ps` and `rm` as an operator meets them: statuses, signals, terminals, streams,
//! what the program finds, and what becomes of a container.
//!
//! The image is a root file system of one static program, `/bin/probe`, which the test compiles and
//! packs with tar(1): nothing here depends on `coracle`.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as it does")]

mod files;
mod lifecycle;
mod signals;
mod status;
mod surroundings;
mod terminal;
mod user;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use tests::outcome::{Outcome, run};
use tests::require;
use tests::samples::compile_c;
use tests::scratch::Scratch;

/// A folder of a test with the image at `probe.tar`.
struct Bench {
    scratch: Scratch,
}

impl Bench {
    /// For root. `None` skips the test.
    fn new(name: &str) -> Option<Self> {
        let scratch = require::root().then(|| Scratch::new(name))?;
        Self::with(scratch)
    }

    fn with(scratch: Scratch) -> Option<Self> {
        scratch.file("probe.tar", std::fs::read(image()?).unwrap());
        Some(Self { scratch })
    }

    /// `paddle run OPTIONS probe.tar ARGUMENTS`.
    fn command(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.scratch.paddle();
        command.arg("run").args(options).arg("probe.tar").args(arguments);
        command
    }

    /// Runs `/bin/probe ARGUMENTS` with `--rm` and `options` to its end.
    fn probe(&self, options: &[&str], arguments: &[&str]) -> Outcome {
        run(&mut self.launch(options, arguments))
    }

    fn launch(&self, options: &[&str], arguments: &[&str]) -> Command {
        let name = self.scratch.container();
        let options: Vec<&str> = ["--rm", "--name", &name].iter().chain(options).copied().collect();
        let arguments: Vec<&str> = ["/bin/probe"].iter().chain(arguments).copied().collect();
        self.command(&options, &arguments)
    }

    /// Starts the probe and waits until it says `ready`.
    fn start(&self, options: &[&str], arguments: &[&str]) -> Running {
        Running::start(self.launch(options, arguments))
    }

    /// `paddle ps OPTIONS`.
    fn ps(&self, options: &[&str]) -> String {
        run(self.scratch.paddle().arg("ps").args(options)).ok().text()
    }
}

/// A `paddle run` whose program has said `ready`.
struct Running {
    paddle: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut paddle = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(paddle.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), "ready", "{command:?}");
        Self { paddle, output }
    }

    fn send(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.paddle.id()).unwrap()), signal).unwrap();
    }

    /// What it still printed, and paddle's status.
    fn finish(mut self) -> (String, Option<i32>) {
        let rest = std::io::read_to_string(&mut self.output).unwrap();
        (rest, self.paddle.wait().unwrap().code())
    }
}

/// The root file system with `/bin/probe`, made once in each test process.
fn image() -> Option<&'static PathBuf> {
    static MADE: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        for name in ["bin", "etc", "tmp", "data"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/:/\nann:x:1234:4321::/data:/\n")
            .unwrap();
        std::fs::write(root.join("etc/group"), "root:x:0:\nstaff:x:4321:\n").unwrap();
        std::fs::write(root.join("data/plain"), "not a program\n").unwrap();
        compile_c("gcc", &["-static"], include_str!("probe.c"), &root.join("bin/probe"))?;
        std::fs::remove_file(root.join("bin/probe.c")).unwrap();
        let archive = folder.path().join("probe.tar");
        let tar = require::program("tar")?;
        let mut command = Command::new(tar);
        command.args(["--owner=0", "--group=0", "--numeric-owner", "-cf"]).arg(&archive);
        run(command.arg("-C").arg(&root).args(["bin", "etc", "tmp", "data"])).ok();
        Some((folder, archive))
    });
    made.as_ref().map(|(_, archive)| archive)
}
