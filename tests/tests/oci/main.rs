//! `paddle` as the OCI runtime that engines drive: the verbs on bundles, and what callers rely on beyond the specification.
//!
//! A bundle's root is a shell (busybox, static). Nothing here knows how paddle does it.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as it does")]

mod crash;
mod errors;
mod handles;
mod hooks;
mod life;
mod namespaces;
mod run;
mod users;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::require;
use tests::scratch::Scratch;

/// A folder of a test, with bundles.
struct Bench {
    scratch: Scratch,
}

/// What a command did.
#[derive(Debug)]
struct Did {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Did {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    #[track_caller]
    fn fails(self, code: i32, fragment: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(fragment), "`{fragment}` is not in {self:?}");
    }
}

impl Bench {
    /// For root, where there is a static busybox. `None` skips the test.
    fn new(name: &str) -> Option<Self> {
        if !require::root() {
            return None;
        }
        let busybox = require::program("busybox")?;
        Some(Self::with(Scratch::new(name), &busybox))
    }

    /// For an ordinary user, as whom paddle runs. `None` skips the test.
    fn of_user(name: &str, user: u32) -> Option<Self> {
        if !require::root() || !require::user_namespaces() {
            return None;
        }
        let busybox = require::program("busybox")?;
        let bench = Self::with(Scratch::of_user(name, user), &busybox);
        let owner = format!("{user}:{user}");
        let bundle = bench.bundle();
        let given = Command::new("chown").args(["-R", &owner]).arg(bundle).status().unwrap();
        assert!(given.success());
        Some(bench)
    }

    fn with(scratch: Scratch, busybox: &Path) -> Self {
        let bench = Self { scratch };
        for folder in ["bin", "proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir_all(bench.root().join(folder)).unwrap();
        }
        fs::copy(busybox, bench.root().join("bin/busybox")).unwrap();
        for applet in
            ["sh", "cat", "echo", "sleep", "id", "hostname", "readlink", "ls", "kill", "stty"]
        {
            std::os::unix::fs::symlink("busybox", bench.root().join("bin").join(applet)).unwrap();
        }
        bench
    }

    fn bundle(&self) -> PathBuf {
        self.scratch.path().join("bundle")
    }

    fn root(&self) -> PathBuf {
        self.bundle().join("rootfs")
    }

    /// A container's id, which bears the test's mark.
    fn id(&self) -> String {
        self.scratch.container()
    }

    /// Writes the bundle's configuration: a shell with a script, and `changes` on top.
    fn write(&self, script: &str, changes: &Value) {
        let mut config = json!({
            "ociVersion": "1.2.0",
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": ["sh", "-c", script],
                "env": ["PATH=/bin"],
                "cwd": "/",
                "capabilities": { "bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"] },
                "noNewPrivileges": true
            },
            "root": { "path": "rootfs" },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] },
                { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] }
            ],
            "linux": {
                "namespaces": [
                    { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" },
                    { "type": "network" }, { "type": "cgroup" }
                ]
            }
        });
        merge(&mut config, changes);
        fs::write(self.bundle().join("config.json"), config.to_string()).unwrap();
    }

    /// `paddle ARGUMENTS`, its output in files: a container that lives on holds them open, and nobody waits for that.
    fn paddle(&self, arguments: &[&str]) -> Did {
        self.finish(self.scratch.paddle().args(arguments))
    }

    fn finish(&self, command: &mut Command) -> Did {
        let files = ["out", "err"].map(|name| self.scratch.path().join(name));
        // New ones: an earlier command's container may still write to what it was given.
        for path in &files {
            drop(fs::remove_file(path));
        }
        let [out, err] = files.each_ref().map(|path| File::create(path).unwrap());
        let status = command.stdin(Stdio::null()).stdout(out).stderr(err).status().unwrap();
        let [out, err] = files.map(|path| fs::read_to_string(path).unwrap());
        Did { code: status.code(), out, err }
    }

    /// `paddle create`, which must succeed; the number of its process 1.
    #[track_caller]
    fn create(&self, id: &str) -> i32 {
        let pid_file = self.scratch.path().join("pid");
        let bundle = self.bundle();
        let arguments = ["create", "--bundle", text(&bundle), "--pid-file", text(&pid_file), id];
        self.paddle(&arguments).ok();
        fs::read_to_string(pid_file).unwrap().parse().unwrap()
    }

    /// Its state.
    #[track_caller]
    fn state(&self, id: &str) -> Value {
        serde_json::from_str(&self.paddle(&["state", id]).ok()).unwrap()
    }

    #[track_caller]
    fn status(&self, id: &str) -> String {
        self.state(id)["status"].as_str().unwrap().to_owned()
    }

    /// Waits until it has that status.
    #[track_caller]
    fn becomes(&self, id: &str, status: &str) {
        let mut last = String::new();
        let done = within_seconds(20, || {
            last = self.status(id);
            last == status
        });
        assert!(done, "{id} is {last}, not {status}");
    }

    /// Creates, starts, waits for the end and deletes; what it printed.
    #[track_caller]
    fn output(&self, script: &str, changes: &Value) -> String {
        self.write(script, changes);
        let id = self.id();
        let bundle = self.bundle();
        self.paddle(&["run", "--bundle", text(&bundle), &id]).ok().trim_end().to_owned()
    }

    /// Nothing is left: no state, no process, mount or cgroup.
    #[track_caller]
    fn is_clean(&self) {
        let left: Vec<_> = fs::read_dir(self.scratch.state())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "states are left: {left:?}");
        let leftovers = self.scratch.settled();
        assert!(leftovers.is_empty(), "{leftovers:#?}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Objects member by member; everything else is replaced.
fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                merge(into.entry(key).or_insert(Value::Null), change);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

fn within_seconds(seconds: u64, mut asked: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let answer = asked();
        if answer || Instant::now() > deadline {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
