//! What only a host with systemd and pure cgroup v2 shows: where a container's group is, that its limits stand in the kernel's files and hold,
//! for root and for an ordinary user wherever that user may be. Runs in a guest, called by the suite `hosts`.
//!
//! The module is the place where the tests of it run (`tests::hosts::Place`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail as it does")]

mod bundle;
mod delegated;
mod manager;
mod memory;
mod root;
mod scope;
mod session;

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use tests::outcome::{Outcome, run};
use tests::samples;
use tests::scratch::Scratch;

/// Where the unified hierarchy is.
const UNIFIED: &str = "/sys/fs/cgroup";

/// The limits of `EVERY_LIMIT`, as the kernel's files show them.
const EVERY_LIMIT_READ: [(&str, &str); 8] = [
    ("memory.max", "67108864"),
    ("memory.swap.max", "33554432"),
    ("memory.low", "33554432"),
    ("cpu.max", "50000 100000"),
    ("cpu.weight", "50"),
    ("cpuset.cpus", "1"),
    ("pids.max", "20"),
    ("cgroup.procs", "one process"),
];

/// A limit of each kind.
const EVERY_LIMIT: [&str; 14] = [
    "--memory",
    "64m",
    "--memory-swap",
    "96m",
    "--memory-reservation",
    "32m",
    "--cpus",
    "0.5",
    "--cpu-weight",
    "50",
    "--cpuset",
    "1",
    "--pids-limit",
    "20",
];

/// A folder of the calling user with the image `load` in its store.
struct Bench {
    scratch: Scratch,
    /// What stands before the verb.
    globals: &'static [&'static str],
}

impl Bench {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let program = samples::load(scratch.path()).unwrap();
        scratch.pack(&[program]);
        Self { scratch, globals: &[] }
    }

    /// The same, where systemd makes the groups.
    fn of_systemd(name: &str) -> Self {
        Self { globals: &["--cgroup-manager", "systemd"], ..Self::new(name) }
    }

    /// `paddle run OPTIONS load ARGUMENTS`, with what a person's environment has of systemd.
    fn launch(&self, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.scratch.paddle();
        command.args(self.globals).args(["run", "--rm", "--name", &self.scratch.container()]);
        command.args(options).arg("load").args(arguments);
        for name in ["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
    }

    fn run(&self, options: &[&str], arguments: &[&str]) -> Outcome {
        run(&mut self.launch(options, arguments))
    }

    fn start(&self, options: &[&str]) -> Waiting {
        let mut command = self.launch(options, &["wait"]);
        let mut paddle = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(paddle.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "waiting\n");
        Waiting { paddle }
    }

    /// Limits of every kind hold: in the files of the group, whose path must start with this text, and for real.
    #[track_caller]
    fn limits_hold(&self, options: &[&str], start: &str) {
        let with = |more: &[&'static str]| [options, more].concat();
        let waiting = self.start(&with(&EVERY_LIMIT));
        let group = waiting.group(&self.scratch);
        let path = group.to_string_lossy();
        assert!(path.starts_with(start), "{path} does not start with {start}");
        for (file, expected) in EVERY_LIMIT_READ {
            let read = std::fs::read_to_string(group.join(file)).unwrap();
            match file {
                "cgroup.procs" => assert_eq!(read.lines().count(), 1, "{expected}"),
                _ => assert_eq!(read.trim(), expected, "{file} of {}", group.display()),
            }
        }
        waiting.stop();
        assert!(!group.exists(), "{} is left", group.display());

        // Also of a scope, which systemd removes as soon as it is empty, and what the kernel counted in it.
        self.run(&with(&["--memory", "32m", "--memory-swap", "32m"]), &["memory", "64"])
            .exits(137)
            .says(&["out of memory", "32"]);
        let forked = self.run(&with(&["--pids-limit", "10"]), &["processes", "50"]).ok();
        assert_eq!(forked.text(), "9");
    }

    /// A container of a `paddle` that was killed is gone with it, and its group with the next command.
    #[track_caller]
    fn a_killed_paddle_leaves_nothing(&self, options: &[&str]) {
        let mut waiting = self.start(&[options, &["--memory", "64m"]].concat());
        let group = waiting.group(&self.scratch);
        waiting.paddle.kill().unwrap();
        waiting.paddle.wait().unwrap();
        run(self.scratch.paddle().args(["ps", "--all"])).ok();
        let left = self.scratch.settled();
        assert!(left.is_empty(), "{left:?}");
        assert!(!group.exists());
    }
}

/// A container that waits to be killed.
struct Waiting {
    paddle: Child,
}

impl Waiting {
    /// The folder of its control group.
    fn group(&self, scratch: &Scratch) -> PathBuf {
        let children = format!("/proc/{0}/task/{0}/children", self.paddle.id());
        let children = std::fs::read_to_string(children).unwrap();
        // What made things ahead may not have been waited for yet.
        let groups: Vec<String> = children
            .split_whitespace()
            .filter_map(|child| std::fs::read_to_string(format!("/proc/{child}/cgroup")).ok())
            .collect();
        let own = groups.iter().find(|text| text.contains(scratch.mark()));
        let own = own.unwrap_or_else(|| panic!("no group of its own: {groups:?}"));
        let path = own.trim().strip_prefix("0::").unwrap_or_else(|| panic!("{own}"));
        Path::new(UNIFIED).join(path.trim_start_matches('/'))
    }

    fn stop(mut self) {
        let id = Pid::from_raw(i32::try_from(self.paddle.id()).unwrap());
        kill(id, Signal::SIGTERM).unwrap();
        let status = self.paddle.wait().unwrap();
        assert!(status.code() == Some(143) || status.signal() == Some(15), "{status:?}");
    }
}

/// The path of this process's own group.
fn own_group() -> String {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    text.trim().strip_prefix("0::").unwrap().to_owned()
}
