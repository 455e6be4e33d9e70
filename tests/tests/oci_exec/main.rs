//! The verbs that look at or change a container which runs: `exec`, `ps`, `pause`, `resume`, `update`, `events`; and
//! those that need none: `features`, `spec`.
//!
//! Containers are of bundles whose root has one static program, busybox; `paddle spec` writes their configuration.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as it does")]

mod attacks;
mod caller;
mod checkpoint;
mod limits;
mod process;
mod status;
mod tables;

use std::cell::RefCell;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::outcome::{Outcome, run};
use tests::require;
use tests::scratch::Scratch;

/// Programs of busybox that the tests use.
const APPLETS: [&str; 25] = [
    "sh", "cat", "ls", "id", "sleep", "tty", "stty", "ps", "head", "kill", "mount", "readlink",
    "env", "pwd", "true", "false", "touch", "wc", "test", "grep", "dd", "mkdir", "umount", "stat",
    "chmod",
];

/// A folder of a test, and the containers in it.
struct Bench {
    scratch: Scratch,
    containers: RefCell<Vec<String>>,
}

impl Bench {
    /// For root. `None` skips the test.
    fn new(name: &str) -> Option<Self> {
        if !require::root() {
            return None;
        }
        require::file("/bin/busybox")?;
        Some(Self { scratch: Scratch::new(name), containers: RefCell::default() })
    }

    /// A bundle with busybox, its configuration changed.
    fn bundle(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let bundle = self.scratch.subfolder(name);
        let root = bundle.join("rootfs");
        for folder in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in APPLETS {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        std::fs::write(
            root.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nann:x:1234:4321::/home/ann:/bin/sh\n",
        )
        .unwrap();
        std::fs::write(root.join("etc/group"), "root:x:0:\nstaff:x:4321:\nextra:x:55:ann\n")
            .unwrap();
        std::fs::write(root.join("etc/plain"), "not a program\n").unwrap();
        run(self.scratch.paddle().args(["spec", "--bundle"]).arg(&bundle)).ok();
        let file = bundle.join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sleep", "1000"]);
        config["root"]["readonly"] = json!(false);
        // What other runtimes' containers on this host have, too: a place of its own.
        config["linux"]["cgroupsPath"] = json!(format!("/coracle/{}", self.scratch.mark()));
        change(&mut config);
        std::fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
        bundle
    }

    /// Creates and starts a container of a bundle.
    fn start(&self, change: impl FnOnce(&mut Value)) -> String {
        let id = self.create(change);
        run(self.scratch.paddle().args(["start", &id])).ok();
        id
    }

    /// Creates one.
    fn create(&self, change: impl FnOnce(&mut Value)) -> String {
        let id = self.scratch.container();
        let bundle = self.bundle(&format!("bundle-{}", self.containers.borrow().len()), change);
        self.containers.borrow_mut().push(id.clone());
        // Its first process inherits the streams: a pipe would stay open.
        let errors = self.scratch.path().join("errors");
        let mut command = self.scratch.paddle();
        command.args(["create", "--bundle"]).arg(&bundle).arg(&id);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.stderr(std::fs::File::create(&errors).unwrap()).status().unwrap();
        assert!(status.success(), "{}", std::fs::read_to_string(&errors).unwrap());
        id
    }

    /// `paddle exec OPTIONS ID ARGUMENTS`.
    fn command(&self, id: &str, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = self.scratch.paddle();
        command.arg("exec").args(options).arg(id).args(arguments);
        command
    }

    fn exec(&self, id: &str, options: &[&str], arguments: &[&str]) -> Outcome {
        run(&mut self.command(id, options, arguments))
    }

    /// Runs a program that goes on when this returns: its pid. A pipe would stay open.
    fn detach(&self, id: &str, arguments: &[&str]) -> u32 {
        let file = self.scratch.path().join("detached");
        let mut command = self.command(id, &["--detach", "--pid-file", "detached"], arguments);
        assert!(command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap().success());
        std::fs::read_to_string(file).unwrap().parse().unwrap()
    }

    /// What a shell says inside.
    fn says(&self, id: &str, options: &[&str], script: &str) -> String {
        all(self.exec(id, options, &["sh", "-c", script]).ok())
    }

    /// Runs a process that is written down.
    fn process(&self, id: &str, process: &Value) -> Outcome {
        let file = self.scratch.file("process.json", serde_json::to_vec(process).unwrap());
        self.exec(id, &["--process", file.to_str().unwrap()], &[])
    }

    /// `paddle WORDS`.
    fn paddle(&self, words: &[&str]) -> Outcome {
        run(self.scratch.paddle().args(words))
    }

    /// The container's first process, as the host numbers it.
    fn pid(&self, id: &str) -> u32 {
        let state: Value = serde_json::from_str(&self.paddle(&["state", id]).ok().text()).unwrap();
        u32::try_from(state["pid"].as_u64().unwrap()).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for id in self.containers.borrow().iter() {
            // Paused, it could not die.
            let deleted = run(self.scratch.paddle().args(["delete", "--force", id]));
            if !std::thread::panicking() {
                deleted.ok();
            }
        }
    }
}

/// All that a program printed, the end of its last line included.
fn all(outcome: Outcome) -> String {
    String::from_utf8(outcome.stdout).unwrap()
}

/// A process as callers write it down.
fn process(args: &[&str]) -> Value {
    json!({
        "user": { "uid": 0, "gid": 0 },
        "args": args,
        "env": ["PATH=/bin"],
        "cwd": "/",
    })
}

/// A file of the host's procfs.
fn proc(pid: u32, file: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(file)
}

/// Waits until it holds.
fn within_seconds(seconds: u64, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !holds() {
        if std::time::Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    true
}
