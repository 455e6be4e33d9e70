//! Bundles whose program is the probe: what their `config.json` says is planned and started by the real stages, in a mount namespace of
//! the test's own, so that nothing that a test mounts is ever seen by the host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use launcher::host::Host;
use launcher::plan::{self, Ground, Plan, PlanError};
use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use crate::sandbox_support::{Box, Ran};

/// A bundle.
pub struct Bundle {
    container: Box,
    id: String,
    /// Run by a shell before the launcher, in the same mount namespace.
    before: String,
    /// Run by a shell when the container has ended; what it writes is behind what the program wrote.
    after: String,
    /// Whether the launcher runs in the background of `after`.
    beside: bool,
    no_pivot: bool,
    user: Option<u32>,
}

impl Bundle {
    /// With the folders that every root file system has.
    pub fn new(name: &'static str) -> Self {
        Self::of(Box::new(name), name)
    }

    /// With nothing but the program.
    pub fn bare(name: &'static str) -> Self {
        Self::of(Box::bare(name), name)
    }

    fn of(container: Box, name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("oci-mounts-{name}-{}-{number}", std::process::id());
        Self {
            container,
            id,
            before: String::new(),
            after: String::new(),
            beside: false,
            no_pivot: false,
            user: None,
        }
    }

    /// Its root file system.
    pub fn root(&self) -> PathBuf {
        self.container.root()
    }

    /// A folder of the host beside it.
    pub fn host(&self) -> PathBuf {
        self.container.host()
    }

    /// Runs `script` before the launcher. `%HOST` in it is the folder of the host, `%ROOT` the root file system.
    pub fn before(mut self, script: &str) -> Self {
        self.before = self.named(script);
        self
    }

    /// Runs `script` after the container.
    pub fn after(mut self, script: &str) -> Self {
        self.after = self.named(script);
        self
    }

    /// Runs `script` while the container runs.
    pub fn beside(mut self, script: &str) -> Self {
        self.after = self.named(script);
        self.beside = true;
        self
    }

    /// `--no-pivot`.
    pub fn without_pivot(mut self) -> Self {
        self.no_pivot = true;
        self
    }

    /// Launched by an ordinary user.
    pub fn launched_by(mut self, user: u32) -> Self {
        self.container.give_away(user);
        self.user = Some(user);
        self
    }

    fn named(&self, script: &str) -> String {
        let path = |path: PathBuf| path.display().to_string();
        script.replace("%HOST", &path(self.host())).replace("%ROOT", &path(self.root()))
    }

    /// What `config.json` says: a program with a few more rights than usual, `changes` merged into it.
    pub fn config(&self, changes: &Value, questions: &[&str]) -> Spec {
        let capabilities = json!([
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_FOWNER",
            "CAP_MKNOD",
            "CAP_SYS_ADMIN",
            "CAP_SETUID",
            "CAP_SETGID",
            "CAP_SETFCAP",
            "CAP_SYS_CHROOT",
            "CAP_KILL",
        ]);
        let args: Vec<&str> = ["/probe"].iter().chain(questions).copied().collect();
        let mut config = json!({
            "ociVersion": "1.2.0",
            "root": { "path": "rootfs" },
            "process": {
                "args": args,
                "cwd": "/",
                "user": { "uid": 0, "gid": 0 },
                "capabilities": {
                    "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                },
            },
            "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
            "linux": {
                "namespaces": [
                    { "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" },
                    { "type": "network" }, { "type": "cgroup" },
                ],
            },
        });
        merge(&mut config, changes);
        let text = self.named(&config.to_string());
        serde_json::from_str(&text).unwrap()
    }

    /// What is decided for it.
    pub fn plan(&self, changes: &Value, questions: &[&str]) -> Result<Plan, PlanError> {
        let root = self.root();
        let folder = root.parent().unwrap();
        let ground = Ground {
            foreground: true,
            session_keyring: false,
            bundle_folder: Some(folder),
            all_controllers: false,
            no_pivot: self.no_pivot,
            ..Ground::of_bundle(&self.id, &root)
        };
        let host = Host::probe().unwrap();
        let host = match self.user {
            None => host,
            Some(user) => Host::made_up(user, host.kernel(), launcher::host::Layout::default()),
        };
        plan::plan(&self.config(changes, questions), &ground, &host)
    }

    /// Runs it.
    pub fn run(&self, changes: &Value, questions: &[&str]) -> Ran {
        self.run_plan(&self.plan(changes, questions).unwrap())
    }

    /// Runs a plan.
    pub fn run_plan(&self, plan: &Plan) -> Ran {
        let folder = tempfile::Builder::new().prefix("coracle-bundle-").tempdir().unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.path().join("plan.json");
        fs::write(&file, serde_json::to_string(plan).unwrap()).unwrap();
        let driver = folder.path().join("spawn-plan");
        // By another process: were it open for writing in this one, a test on another thread that forks right then would
        // take it along, and its execution would fail with ETXTBSY.
        let program = Path::new(env!("CARGO_BIN_EXE_spawn-plan"));
        let copied = Command::new("cp").args([program, &driver]).status().unwrap();
        assert!(copied.success());
        let launch = match self.user {
            None => r#""$@""#.to_owned(),
            Some(user) => format!(r#"setpriv --reuid {user} --regid {user} --clear-groups "$@""#),
        };
        let script = if self.beside {
            format!("set -e\n{}\n{launch} &\nchild=$!\n{}\nwait $child", self.before, self.after)
        } else {
            format!(
                "set -e\n{}\nset +e\n{launch}\nstatus=$?\n{}\nexit $status",
                self.before, self.after
            )
        };
        // As on a host with systemd, where every mount is shared.
        let output = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(format!("mount --make-rshared /\n{script}"))
            .arg("sh")
            .args([&driver, &file])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran::from(output)
    }

    /// Runs it and compares what was written; the program and the scripts must succeed.
    #[track_caller]
    pub fn check(&self, changes: &Value, questions: &[&str], expected: &str) {
        let ran = self.run(changes, questions);
        let wanted = Ran { status: Some(0), stdout: expected.to_owned(), stderr: String::new() };
        assert_eq!(ran, wanted, "{changes} {questions:?}");
    }

    /// What the mount table inside says of a mount point, in the end.
    #[track_caller]
    pub fn line(&self, changes: &Value, destination: &str) -> Line {
        let ran = self.run(changes, &["cat=/proc/self/mountinfo"]);
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{changes}");
        let lines = ran.stdout.lines().rev().filter_map(Line::parse);
        lines
            .into_iter()
            .find(|line| line.at == destination)
            .unwrap_or_else(|| panic!("nothing is mounted at {destination}:\n{}", ran.stdout))
    }

    /// Why it does not start.
    #[track_caller]
    pub fn refusal(&self, changes: &Value) -> String {
        let ran = self.run(changes, &["echo=ran"]);
        assert_eq!(ran.stdout, "", "the program must not have run");
        assert_eq!(ran.status, Some(125), "{ran:?}");
        let folder = self.root().parent().unwrap().display().to_string();
        ran.stderr.replace(&folder, "TEST")
    }
}

/// A line of a mount table (`proc_pid_mountinfo(5)`).
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Which part of the file system is shown.
    pub root: String,
    /// Where.
    pub at: String,
    /// Of the mount: `rw,nosuid,relatime`.
    pub options: String,
    /// `shared`, `slave`, `shared slave`, `unbindable`, or nothing for private. Without the groups' numbers.
    pub travels: String,
    /// The file system.
    pub kind: String,
    /// Its source.
    pub source: String,
    /// Of the file system.
    pub superblock: String,
}

impl Line {
    /// Reads one.
    pub fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let mut travels: Vec<&str> =
            left[6..].iter().map(|field| field.split(':').next().unwrap_or(field)).collect();
        travels.retain(|&field| field != "propagate_from");
        travels.sort_unstable();
        travels.reverse();
        Some(Self {
            root: left[3].to_owned(),
            at: left[4].to_owned(),
            options: left[5].to_owned(),
            travels: travels.join(" ").replace("master", "slave"),
            kind: right[0].to_owned(),
            source: right[1].to_owned(),
            superblock: right[2].to_owned(),
        })
    }
}

/// Objects are merged, lists of mounts are appended, anything else is replaced.
fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                match (into.get_mut(key), value) {
                    (Some(Value::Array(all)), Value::Array(more)) if key == "mounts" => {
                        all.extend(more.iter().cloned());
                    }
                    (Some(there), value) => merge(there, value),
                    (None, value) => {
                        into.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}

/// `mounts` with one mount.
pub fn mount(destination: &str, kind: &str, source: &str, options: &str) -> Value {
    let options: Vec<&str> = options.split(' ').filter(|option| !option.is_empty()).collect();
    json!({ "mounts": [{
        "destination": destination, "type": kind, "source": source, "options": options,
    }] })
}

/// A bind of `%HOST/...`.
pub fn bind(destination: &str, source: &str, options: &str) -> Value {
    mount(destination, "bind", source, options)
}
