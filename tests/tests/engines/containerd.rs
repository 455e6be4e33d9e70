//! containerd with its runc shim, driven by `ctr`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Bench, Daemon, limit, until};
use tests::outcome::{Outcome, run};
use tests::require;

/// A containerd with folders and a socket of its own.
pub(super) struct Containerd {
    daemon: Option<Daemon>,
    pub(super) bench: Bench,
}

impl Containerd {
    /// Whose CRI plugin is set up too.
    pub(super) fn new(name: &str) -> Option<Self> {
        let bench = Bench::new(name, &["containerd", "containerd-shim-runc-v2", "ctr"])?;
        let config = bench.scratch.file("containerd.toml", config(&bench));
        let containerd = require::program("containerd")?;
        let socket = bench.scratch.path().join("containerd.sock");
        let ready = || {
            let mut ask = ctr(&bench);
            ask.args(["--connect-timeout", "1s", "version"]);
            socket.exists() && run(&mut ask).status.success()
        };
        // As systemd leaves the mounts: volumes may ask for what is mounted on the host later, and for nothing else does it matter.
        let mut command = bench.scratch.command(&require::program("unshare")?);
        command.args(["--mount", "--propagation", "shared"]);
        command.arg(containerd).arg("--config").arg(config);
        let daemon = Daemon::start(&mut command, bench.scratch.path().join("log"), ready);
        Some(Self { daemon: Some(daemon), bench })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.bench.scratch.path().join("containerd.sock")
    }

    pub(super) fn ctr(&self, arguments: &[&str]) -> Outcome {
        run(ctr(&self.bench).args(arguments))
    }

    /// Imports the archive `NAME.oci.tar` into this namespace.
    pub(super) fn import(&self, namespace: &str, name: &str) {
        let archive = format!("{name}.oci.tar");
        self.ctr(&["-n", namespace, "images", "import", "--snapshotter", "native", &archive]).ok();
    }

    /// The command line of `ctr run` for a container `NAME` of the image.
    fn arguments(&self, name: &str, options: &[&str], program: &[&str]) -> Vec<String> {
        let runtime = self.bench.runtime().display().to_string();
        let group = format!("/{}/{name}", self.bench.scratch.mark());
        let state = self.bench.scratch.state().display().to_string();
        let mut arguments = vec!["run", "--snapshotter", "native", "--runc-binary", &runtime];
        arguments.extend(["--runc-root", &state, "--cgroup", &group]);
        arguments.extend(options);
        arguments.extend(["busybox:latest", name]);
        arguments.extend(program);
        arguments.into_iter().map(str::to_owned).collect()
    }

    fn once(&self, name: &str, options: &[&str], program: &[&str]) -> Outcome {
        let options: Vec<&str> = ["--rm"].iter().chain(options).copied().collect();
        run(ctr(&self.bench).args(self.arguments(name, &options, program)))
    }

    fn start(&self, name: &str, options: &[&str], program: &[&str]) {
        let options: Vec<&str> = ["--detach"].iter().chain(options).copied().collect();
        run(ctr(&self.bench).args(self.arguments(name, &options, program))).ok();
    }

    /// The second and third column of `ctr tasks ls`.
    fn task(&self, name: &str) -> (u32, String) {
        let list = self.ctr(&["tasks", "ls"]).ok().text();
        let line = list.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        let mut words = line.split_whitespace().skip(1);
        let pid = words.next().and_then(|pid| pid.parse().ok()).unwrap_or(0);
        (pid, words.next().unwrap_or("none").to_owned())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.daemon.take();
        if !std::thread::panicking() {
            self.bench.remove_parents();
        }
    }
}

fn ctr(bench: &Bench) -> Command {
    let mut command = bench.scratch.command(&require::program("ctr").unwrap());
    command.arg("--address").arg(bench.scratch.path().join("containerd.sock"));
    command
}

fn config(bench: &Bench) -> String {
    let at = bench.scratch.path().display();
    let runtime = bench.runtime();
    let runtime = runtime.display();
    format!(
        r#"version = 2
root = "{at}/root"
state = "{at}/run"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "{at}/containerd.sock"
[ttrpc]
address = "{at}/containerd.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/library/pause:latest"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{at}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
default_runtime_name = "paddle"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.paddle]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.paddle.options]
BinaryName = "{runtime}"
Root = "{at}/state"
"#
    )
}

#[test]
fn ctr_runs_executes_limits_pauses_and_removes() {
    let Some(engine) = Containerd::new("containerd") else { return };
    engine.import("default", "busybox");
    let said = engine.once("first", &[], &["busybox", "sh", "-c", "echo out; exit 7"]).exits(7);
    assert_eq!(said.text(), "out");
    let missing = engine.once("missing", &[], &["/missing"]);
    assert!(!missing.status.success(), "{missing:?}");
    missing.says(&["no such file or directory"]);
    #[rustfmt::skip]
    let table: &[(&[&str], &str, &str)] = &[
        (&["--read-only"], "touch /x 2>&1", "touch: /x: Read-only file system"),
        (&["--env", "A=b", "--cwd", "/usr"], "echo $A; pwd", "b\n/usr"),
        (&["--seccomp"], "grep Seccomp: /proc/self/status", "Seccomp:\t2"),
        (&["--privileged"], "test -w /proc/sys/kernel/shmmax && echo w", "w"),
        (&["--device", "/dev/zero"], "head -c 2 /dev/zero | wc -c", "2"),
        (&["--mount", "type=tmpfs,src=tmpfs,dst=/cache,options=size=1m"], "df -k /cache | tail -n 1 | awk '{ print $2 }'", "1024"),
        (&["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"], "cat /proc/self/uid_map | tr -s ' '", " 0 100000 65536"),
    ];
    for (options, script, expected) in table {
        let said = engine.once("option", options, &["busybox", "sh", "-c", script]);
        assert_eq!(said.text(), *expected, "{options:?}\n{said:?}");
    }

    engine.start(
        "long",
        &["--memory-limit", "67108864", "--cpus", "0.5"],
        &["busybox", "sleep", "1000"],
    );
    let (pid, status) = engine.task("long");
    assert_eq!(status, "RUNNING");
    assert_eq!(limit(pid, "memory", "memory.limit_in_bytes", "memory.max"), "67108864");
    assert!(limit(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));
    let inside = |script| {
        engine.ctr(&["tasks", "exec", "--exec-id", "e", "long", "busybox", "sh", "-c", script])
    };
    assert_eq!(inside("echo in; exit 5").exits(5).text(), "in");
    assert!(engine.ctr(&["tasks", "ps", "long"]).ok().text().contains(&pid.to_string()));
    assert!(engine.ctr(&["tasks", "metrics", "long"]).ok().text().contains("memory"));

    engine.ctr(&["tasks", "pause", "long"]).ok();
    assert_eq!(engine.task("long").1, "PAUSED");
    engine.ctr(&["tasks", "resume", "long"]).ok();
    assert_eq!(engine.task("long").1, "RUNNING");

    engine.ctr(&["tasks", "kill", "--signal", "KILL", "long"]).ok();
    until("the task ends", || engine.task("long").1 == "STOPPED");
    engine.ctr(&["tasks", "delete", "long"]).ok();
    engine.ctr(&["containers", "delete", "long"]).ok();
    let left = fs::read_dir(engine.bench.scratch.state()).unwrap().count();
    assert!(left <= 1, "{left} entries are left in the state of the runtime");
}

#[test]
fn a_terminal_is_passed_to_ctr() {
    let Some(engine) = Containerd::new("containerd-tty") else { return };
    if require::program("script").is_none() {
        return;
    }
    engine.import("default", "busybox");
    let options = ["--rm", "--tty"];
    let arguments = engine.arguments("tty", &options, &["busybox", "tty"]);
    let mut command = ctr(&engine.bench);
    command.args(arguments);
    let line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ");
    // script(1) gives ctr a terminal to stand in.
    let mut wrapped = engine.bench.scratch.command(&require::program("script").unwrap());
    let said = run(wrapped.args(["--quiet", "--return", "--command", &line, "/dev/null"])).ok();
    assert!(said.text().contains("/dev/pts/0"), "{said:?}");
}
