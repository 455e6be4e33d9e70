//! Containers for the suites of the sandbox: a root file system of one static program, and what became of a run.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "part of several suites, none of which uses all of it; a failure is a failed test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::oci::ImageConfiguration;
use common::root::Root;
use launcher::host::Host;
use launcher::plan::{self, Ground, NamespaceKind, Plan};
use launcher::spec::{self, Overrides};
use tempfile::TempDir;
use tests::samples;

/// A root file system and a place for its containers. Gone when it is dropped.
pub struct Box {
    name: &'static str,
    folder: TempDir,
    runs: AtomicU32,
    /// The user that launches; root otherwise.
    pub user: Option<u32>,
}

/// What became of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Box {
    /// A root file system with `/probe`, and the folders that every image has.
    pub fn new(name: &'static str) -> Self {
        let container = Self::bare(name);
        for folder in ["proc", "sys", "dev", "etc", "tmp"] {
            fs::create_dir(container.root().join(folder)).unwrap();
        }
        container
    }

    /// A root file system with nothing but `/probe`.
    pub fn bare(name: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("coracle-sandbox-").tempdir().unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        copy(&samples::helper("probe", &["-static", "-O1"]), &root.join("probe"));
        Self { name, folder, runs: AtomicU32::new(0), user: None }
    }

    /// Where the root file system is.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Makes a user the owner of the root file system, as of all that he unpacks.
    pub fn give_away(&self, user: u32) {
        for entry in walkdir::WalkDir::new(self.root()) {
            std::os::unix::fs::lchown(entry.unwrap().path(), Some(user), Some(user)).unwrap();
        }
    }

    /// A folder of the host beside it.
    pub fn host(&self) -> PathBuf {
        let host = self.folder.path().join("host");
        fs::create_dir_all(&host).unwrap();
        host
    }

    /// The plan for these questions.
    pub fn plan(&self, overrides: &Overrides, questions: &[&str]) -> Plan {
        let folder =
            self.folder.path().join(format!("run{}", self.runs.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&folder, self.user, self.user).unwrap();
        let mut overrides = overrides.clone();
        if overrides.args.is_empty() {
            overrides.args = vec!["/probe".to_owned()];
        }
        overrides.args.extend(questions.iter().map(|&question| question.to_owned()));
        overrides.user_namespace |= self.user.is_some();
        let root = Root::open(&self.root()).unwrap();
        let spec = spec::from_image(&ImageConfiguration::default(), &overrides, &root).unwrap();
        let snapshot = self.root();
        let ground = Ground {
            mount_points_exist: spec::mount_points_exist(&spec, &root),
            init: overrides.init,
            add_hosts: &overrides.add_hosts,
            ..Ground::of_image(self.name, &snapshot, &folder)
        };
        plan::plan(&spec, &ground, &self.launching_host()).unwrap()
    }

    fn launching_host(&self) -> Host {
        match self.user {
            None => Host::probe().unwrap(),
            Some(uid) => {
                let real = Host::probe().unwrap();
                Host::made_up(uid, real.kernel(), launcher::host::Layout::default())
            }
        }
    }

    /// Runs a plan.
    pub fn run(&self, plan: &Plan) -> Ran {
        self.start(plan).finish()
    }

    /// Starts a launcher that runs a plan.
    pub fn start(&self, plan: &Plan) -> Launcher {
        self.start_with(plan, &[])
    }

    /// Starts a launcher with these options, too.
    pub fn start_with(&self, plan: &Plan, options: &[&str]) -> Launcher {
        let file = tempfile::NamedTempFile::new_in(&self.folder).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        serde_json::to_writer(&file, plan).unwrap();
        // A copy that every user can reach, wherever the workspace is.
        let driver = self.folder.path().join("spawn-plan");
        if !driver.exists() {
            copy(Path::new(env!("CARGO_BIN_EXE_spawn-plan")), &driver);
        }
        let mut command = Command::new(driver);
        command.args(options).arg(file.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(user) = self.user {
            use std::os::unix::process::CommandExt as _;
            command.uid(user).gid(user);
        }
        Launcher { child: command.spawn().unwrap(), _plan: file }
    }

    /// Runs with everything by default, and compares what the program wrote.
    #[track_caller]
    pub fn check(&self, questions: &[&str], expected: &str) {
        self.check_with(&Overrides::default(), questions, expected);
    }

    /// Runs with these options, and compares what the program wrote.
    #[track_caller]
    pub fn check_with(&self, overrides: &Overrides, questions: &[&str], expected: &str) {
        let ran = self.run(&self.plan(overrides, questions));
        assert_eq!(
            ran,
            Ran { status: Some(0), stdout: expected.to_owned(), stderr: String::new() },
            "{questions:?}"
        );
    }

    /// Runs with everything by default, and compares the status.
    #[track_caller]
    pub fn check_status(&self, overrides: &Overrides, questions: &[&str], expected: i32) {
        let ran = self.run(&self.plan(overrides, questions));
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(expected), ""), "{questions:?}");
    }

    /// What the program wrote.
    #[track_caller]
    pub fn answer(&self, overrides: &Overrides, questions: &[&str]) -> String {
        let ran = self.run(&self.plan(overrides, questions));
        assert_eq!(
            (ran.status, ran.stderr.as_str()),
            (Some(0), ""),
            "{questions:?}: {}",
            ran.stdout
        );
        ran.stdout
    }

    /// Why the container did not start: status and message.
    #[track_caller]
    pub fn refusal(&self, plan: &Plan) -> (i32, String) {
        let ran = self.run(plan);
        assert_eq!(ran.stdout, "", "the program must not have run");
        (ran.status.unwrap(), ran.stderr.replace(&self.folder.path().display().to_string(), "TEST"))
    }
}

/// A launcher that runs.
pub struct Launcher {
    child: Child,
    _plan: tempfile::NamedTempFile,
}

impl Launcher {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The container's first process, once it is there.
    pub fn container(&self) -> u32 {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let mut found = None;
        within_seconds(10, || {
            let list = fs::read_to_string(&children).unwrap();
            found = list.split_ascii_whitespace().next().map(|pid| pid.parse().unwrap());
            found.is_some()
        });
        found.expect("the launcher starts a process")
    }

    /// Waits for a line that the program writes.
    pub fn line(&mut self) {
        let mut byte = [0];
        let stdout = self.child.stdout.as_mut().unwrap();
        while std::io::Read::read(stdout, &mut byte).unwrap() == 1 && byte != *b"\n" {}
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn finish(self) -> Ran {
        Ran::from(self.child.wait_with_output().unwrap())
    }
}

/// The plan without a cgroup namespace, so that the container sees where on the host it is; and without a view of groups, which
/// would be one of the namespace.
pub fn without_cgroup_namespace(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.namespaces.retain(|one| one.kind != NamespaceKind::Cgroup);
    plan.mounts.retain(|mount| !mount.destination.to_string().starts_with("/sys/fs/cgroup"));
    plan
}

/// Asks until the answer is yes, or time is up; returns the last answer.
pub fn within_seconds(seconds: u64, mut asked: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let answer = asked();
        if answer || Instant::now() > deadline {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Copies a program by another process: were it open for writing in this one, a test on another thread that forks right
/// then would take it along, and its execution would fail with ETXTBSY.
fn copy(program: &Path, to: &Path) {
    assert!(Command::new("cp").args([program, to]).status().unwrap().success());
}
