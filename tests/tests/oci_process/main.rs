//! What a process of a bundle is and may do: the specification says it, and a program inside looks at itself.
//!
//! The program (`tests/src/rights.c`) is static and alone in its root. Containers are run in the foreground, but where it
//! matters who makes them: then by `create`, `start` and `exec`.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as it does")]

mod devices;
mod listener;
mod process;
mod refusals;
mod rights;
mod seccomp;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::scratch::Scratch;
use tests::{require, samples};

/// A bundle with the program, and containers of it.
struct Bench {
    scratch: Scratch,
    bundle: PathBuf,
}

impl Bench {
    /// For root. `None` skips the test.
    fn new(name: &str) -> Option<Self> {
        if !require::root() {
            return None;
        }
        require::program("gcc")?;
        let scratch = Scratch::new(name);
        let bundle = scratch.subfolder("bundle");
        for folder in ["etc", "proc", "tmp"] {
            std::fs::create_dir_all(bundle.join("rootfs").join(folder)).unwrap();
        }
        std::fs::copy(compiled("rights"), bundle.join("rootfs/rights")).unwrap();
        Some(Self { scratch, bundle })
    }

    /// Writes the configuration: `process` and `linux` are merged into a plain one.
    fn configure(&self, questions: &[&str], process: &Value, linux: &Value) {
        let capabilities = json!(["CAP_CHOWN", "CAP_KILL"]);
        let kinds = ["mount", "pid", "ipc", "uts", "network"];
        let namespaces: Vec<Value> = kinds.iter().map(|kind| json!({ "type": kind })).collect();
        let args: Vec<&str> = ["/rights"].iter().chain(questions).copied().collect();
        let mut config = json!({
            "ociVersion": "1.3.0",
            "root": { "path": "rootfs" },
            "process": {
                "args": args, "cwd": "/", "user": { "uid": 0, "gid": 0 }, "noNewPrivileges": true,
                "capabilities": {
                    "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                },
            },
            "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
            "linux": { "namespaces": namespaces },
        });
        for (key, changes) in [("process", process), ("linux", linux)] {
            let object = config[key].as_object_mut().unwrap();
            object.extend(changes.as_object().unwrap().clone());
        }
        std::fs::write(self.bundle.join("config.json"), config.to_string()).unwrap();
    }

    /// Runs the program with these questions: status, answers, message.
    fn run(&self, questions: &[&str], process: &Value, linux: &Value) -> (i32, String, String) {
        self.configure(questions, process, linux);
        let id = self.scratch.container();
        said(self.scratch.paddle().args(["run", "--bundle"]).arg(&self.bundle).arg(&id))
    }

    /// Compares the answers.
    #[track_caller]
    fn check(&self, questions: &[&str], process: &Value, linux: &Value, expected: &str) {
        let found = self.run(questions, process, linux);
        assert_eq!(found, (0, expected.to_owned(), String::new()), "{questions:?}");
    }

    /// Compares why the container does not start.
    #[track_caller]
    fn refuse(&self, process: &Value, linux: &Value, expected: &str) {
        let (status, answers, message) = self.run(&["ids"], process, linux);
        assert_eq!((status, answers.as_str()), (1, ""), "{message}");
        assert!(message.contains(expected), "{message}");
    }

    /// `paddle VERB ARGUMENTS`, which has to succeed; what it starts keeps none of our streams.
    #[track_caller]
    fn succeed(&self, arguments: &[&str]) {
        let errors = self.scratch.path().join("errors");
        let mut command = self.scratch.paddle();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.stderr(std::fs::File::create(&errors).unwrap()).status().unwrap();
        assert!(status.success(), "{}", std::fs::read_to_string(&errors).unwrap());
    }
}

/// A program of `tests/src`.
fn compiled(name: &str) -> PathBuf {
    samples::helper(name, &["-static", "-O1"])
}

/// How a command ended, and what it wrote to both streams.
fn said(command: &mut Command) -> (i32, String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn nothing() -> Value {
    json!({})
}
