//! Podman with conmon, as root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{Bench, all, limit, until};
use tests::outcome::{Outcome, run};
use tests::require;

/// Podman with folders of its own, and the image.
pub(super) struct Podman {
    pub(super) bench: Bench,
}

impl Podman {
    fn new(name: &str) -> Option<Self> {
        let bench = Bench::new(name, &["podman", "conmon"])?;
        let podman = Self::with(bench);
        podman.ok(&["load", "--quiet", "--input", "busybox.oci.tar"]);
        Some(podman)
    }

    pub(super) fn with(bench: Bench) -> Self {
        // Where root may not raise limits, Podman's own wishes for them fail with every runtime.
        bench.scratch.file(
            "containers.conf",
            "[containers]\ndefault_ulimits = [\"nofile=1000:1000\", \"nproc=2000:2000\"]\n\
             [engine]\nevents_logger = \"file\"\ncgroup_manager = \"cgroupfs\"\n",
        );
        // Not by --runtime-flag: what Podman 4.3 has conmon start when a container has ended knows nothing of that.
        let (runtime, states) = (bench.runtime(), bench.scratch.state());
        let (runtime, states) = (runtime.display(), states.display());
        let wrapper = format!("#!/bin/sh\nexec '{runtime}' --root '{states}' \"$@\"\n");
        bench.scratch.subfolder("runtime");
        let wrapper = bench.scratch.file("runtime/paddle", wrapper);
        fs::set_permissions(wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        Self { bench }
    }

    /// `podman ARGUMENTS`, with everything that it keeps below the test's folder.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let scratch = &self.bench.scratch;
        let path = |name: &str| scratch.path().join(name);
        let mut command = scratch.command(&require::program("podman").unwrap());
        command
            .env("CONTAINERS_CONF", path("containers.conf"))
            .args(["--root".as_ref(), path("storage").as_os_str()])
            .args(["--runroot".as_ref(), path("runroot").as_os_str()])
            .args(["--tmpdir".as_ref(), path("tmp").as_os_str()])
            .args(["--network-config-dir".as_ref(), path("networks").as_os_str()])
            .args(["--storage-driver", "vfs"])
            .arg("--runtime")
            .arg(path("runtime/paddle"))
            .args(arguments);
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Outcome {
        run(&mut self.command(arguments))
    }

    #[track_caller]
    pub(super) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok().text()
    }

    /// `podman run --rm` without a network, in a group of the test's own.
    fn once(&self, options: &[&str], program: &[&str]) -> Outcome {
        let parent = format!("/{}", self.bench.scratch.mark());
        let mut arguments = vec!["run", "--rm", "--cgroup-parent", &parent, "--network", "none"];
        arguments.extend(options);
        arguments.push("busybox");
        arguments.extend(program);
        self.run(&arguments)
    }

    /// `podman run --detach --name NAME`.
    #[track_caller]
    fn start(&self, name: &str, options: &[&str], program: &[&str]) {
        let parent = format!("/{}", self.bench.scratch.mark());
        let mut arguments = vec!["run", "--detach", "--name", name, "--cgroup-parent", &parent];
        arguments.extend(options);
        arguments.push("busybox");
        arguments.extend(program);
        self.ok(&arguments);
    }

    #[track_caller]
    fn inspect(&self, name: &str, format: &str) -> String {
        self.ok(&["inspect", "--format", &format!("{{{{{format}}}}}"), name])
    }

    fn pid(&self, name: &str) -> u32 {
        self.inspect(name, ".State.Pid").parse().unwrap()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let left = self.run(&["ps", "--all", "--quiet"]).text();
        self.run(&["rm", "--all", "--force", "--time", "0"]);
        if !std::thread::panicking() {
            assert_eq!(left, "", "a test removes its containers");
            self.bench.remove_parents();
        }
    }
}

#[test]
fn statuses_and_streams_pass() {
    let Some(podman) = Podman::new("podman-run") else { return };
    let shell = |script| podman.once(&["--interactive"], &["busybox", "sh", "-c", script]);
    let said = shell("echo out; echo err >&2; exit 7").exits(7).says(&["err"]);
    assert_eq!(said.text(), "out");
    podman.once(&[], &["/missing"]).exits(127);
    podman.once(&[], &["/etc/passwd"]).exits(126);
    let said = podman.once(&["--tty"], &["busybox", "sh", "-c", "tty; stty size"]).ok();
    assert!(said.text().starts_with("/dev/pts/0"), "{said:?}");
}

#[test]
fn a_step_of_a_build_says_what_its_program_does_and_no_more() {
    let Some(podman) = Podman::new("podman-build") else { return };
    let folder = podman.bench.scratch.subfolder("build");
    let steps = "FROM busybox\nRUN [\"busybox\", \"sh\", \"-c\", \"echo out; echo err >&2\"]\n";
    podman.bench.scratch.file("build/Containerfile", steps);
    let parent = format!("/{}", podman.bench.scratch.mark());
    let mut command = podman.command(&["build", "--network", "none", "--cgroup-parent", &parent]);
    let said = run(command.args(["--isolation", "oci"]).arg(folder)).ok();
    let lines: Vec<_> = said.text().lines().map(str::to_owned).collect();
    let step = lines.iter().position(|line| line.starts_with("STEP 2/2")).unwrap();
    assert_eq!(lines[step + 1..step + 3], ["out", "COMMIT"], "{said:?}");
    assert_eq!(String::from_utf8(said.stderr).unwrap(), "err\n");
}

#[test]
fn what_is_asked_for_is_what_is_found_inside() {
    let Some(podman) = Podman::new("podman-options") else { return };
    let shared = podman.bench.scratch.subfolder("shared");
    let volume = format!("{}:/data:ro", shared.display());
    podman.bench.scratch.file("shared/file", "from outside\n");
    #[rustfmt::skip]
    let table: &[(&[&str], &str, &str)] = &[
        (&["--hostname", "berth"], "hostname", "berth"),
        (&["--user", "12:34"], "id -u; id -g", "12\n34"),
        (&["--volume", &volume], "cat /data/file; touch /data/x 2>&1", "from outside\ntouch: /data/x: Read-only file system"),
        (&["--read-only"], "touch /x 2>&1; touch /tmp/x && echo yes", "touch: /x: Read-only file system\nyes"),
        (&["--tmpfs", "/cache:size=1m,mode=700"], "stat -c %a /cache; df -k /cache | tail -n 1 | awk '{ print $2 }'", "700\n1024"),
        (&["--workdir", "/usr"], "pwd", "/usr"),
        (&["--env", "A=b"], "echo $A", "b"),
        (&["--cap-drop", "all", "--cap-add", "chown"], "grep CapEff /proc/self/status", "CapEff:\t0000000000000001"),
        (&["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"),
        (&[], "grep Seccomp: /proc/self/status", "Seccomp:\t2"),
        (&["--ulimit", "nofile=100:200", "--ulimit", "nproc=2000:2000"], "ulimit -n; ulimit -Hn", "100\n200"),
        (&["--shm-size", "2m"], "df -k /dev/shm | tail -n 1 | awk '{ print $2 }'", "2048"),
        (&["--device", "/dev/kmsg:/dev/words:r"], "stat -c %t:%T /dev/words; { echo x >/dev/words; } 2>&1", "1:b\nsh: can't create /dev/words: Operation not permitted"),
        (&["--sysctl", "kernel.shmmax=12345"], "cat /proc/sys/kernel/shmmax", "12345"),
        (&["--uidmap", "0:100000:65536"], "cat /proc/self/uid_map | tr -s ' '", " 0 100000 65536"),
        (&["--uidmap", "0:100000:65536", "--user", "7"], "touch /tmp/x; stat -c %u /tmp/x", "7"),
        (&["--pid", "host"], "test $$ -gt 2 && echo many", "many"),
        (&["--init"], "cat /proc/1/comm", "podman-init"),
        (&["--privileged"], "grep Seccomp: /proc/self/status; test -w /proc/sys/kernel/shmmax && echo w", "Seccomp:\t0\nw"),
        (&["--oom-score-adj", "500"], "cat /proc/self/oom_score_adj", "500"),
        (&["--umask", "077"], "umask", "0077"),
        (&["--ipc", "host", "--uts", "host"], "echo joined", "joined"),
        (&["--cgroupns", "host"], "grep -c libpod- /proc/self/cgroup >/dev/null && echo outer", "outer"),
    ];
    if require::file("/usr/libexec/podman/catatonit").is_none() {
        return;
    }
    for (options, script, expected) in table {
        let said = podman.once(options, &["busybox", "sh", "-c", script]);
        assert_eq!(said.text(), *expected, "{options:?}\n{said:?}");
    }
}

#[test]
fn a_container_lives_as_podman_wants() {
    let Some(podman) = Podman::new("podman-life") else { return };
    let script = "trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.1; done";
    podman.start("one", &["--network", "none"], &["busybox", "sh", "-c", script]);
    assert_eq!(podman.inspect("one", ".State.Status"), "running");
    until("the first line is in the log", || podman.ok(&["logs", "one"]) == "hello");

    podman.run(&["exec", "one", "busybox", "sh", "-c", "echo in; exit 5"]).exits(5);
    assert_eq!(
        podman.ok(&[
            "exec",
            "--user",
            "9",
            "--env",
            "B=c",
            "one",
            "busybox",
            "sh",
            "-c",
            "id -u; echo $B"
        ]),
        "9\nc"
    );
    podman.run(&["exec", "one", "/missing"]).exits(127);
    podman.ok(&["exec", "--detach", "one", "busybox", "touch", "/tmp/detached"]);
    until("the detached process ran", || {
        podman.run(&["exec", "one", "busybox", "test", "-e", "/tmp/detached"]).status.success()
    });
    assert!(podman.ok(&["top", "one"]).contains("sleep"));

    podman.ok(&["pause", "one"]);
    assert_eq!(podman.inspect("one", ".State.Status"), "paused");
    podman.run(&["exec", "one", "busybox", "true"]).exits(255).says(&["running containers"]);
    podman.ok(&["unpause", "one"]);

    podman.ok(&["stop", "--time", "10", "one"]);
    assert_eq!(podman.inspect("one", ".State.ExitCode"), "3");
    assert_eq!(podman.ok(&["logs", "one"]), "hello\nbye");
    podman.ok(&["start", "one"]);
    assert_eq!(podman.inspect("one", ".State.Running"), "true");
    podman.ok(&["restart", "--time", "0", "one"]);
    podman.ok(&["kill", "--signal", "KILL", "one"]);
    assert_eq!(podman.ok(&["wait", "one"]), "137");
    podman.ok(&["rm", "one"]);
}

#[test]
fn limits_are_kept_changed_and_measured() {
    let Some(podman) = Podman::new("podman-limits") else { return };
    let options = ["--network", "none", "--memory", "64m", "--cpus", "0.5", "--pids-limit", "20"];
    podman.start("one", &options, &[]);
    let pid = podman.pid("one");
    assert_eq!(limit(pid, "memory", "memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(limit(pid, "pids", "pids.max", "pids.max"), "20");
    assert!(limit(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("50000"));

    podman.ok(&["update", "--memory", "80m", "--cpus", "1.5", "one"]);
    assert_eq!(limit(pid, "memory", "memory.limit_in_bytes", "memory.max"), "83886080");
    assert!(limit(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").starts_with("150000"));

    let stats = podman.ok(&["stats", "--no-stream", "--format", "{{.PIDs}}", "one"]);
    assert_eq!(stats, "1");

    let grow = "head -c 200m /dev/zero | tail -c 150m >/dev/null";
    podman.run(&["exec", "one", "busybox", "sh", "-c", grow]).exits(137);
    podman.ok(&["rm", "--force", "--time", "0", "one"]);
}

#[test]
fn a_health_check_runs_inside() {
    let Some(podman) = Podman::new("podman-health") else { return };
    let check = [
        "--network",
        "none",
        "--health-cmd",
        "[\"busybox\", \"test\", \"-e\", \"/tmp/well\"]",
        "--health-interval",
        "disable",
        "--health-retries",
        "1",
    ];
    podman.start("one", &check, &[]);
    podman.run(&["healthcheck", "run", "one"]).exits(1);
    podman.ok(&["exec", "one", "busybox", "touch", "/tmp/well"]);
    podman.run(&["healthcheck", "run", "one"]).exits(0);
    assert_eq!(podman.inspect("one", ".State.Health.Status"), "healthy");
    podman.ok(&["rm", "--force", "--time", "0", "one"]);
}

#[test]
fn containers_of_a_network_and_of_a_pod_reach_each_other() {
    let Some(podman) = Podman::new("podman-network") else { return };
    if !all(&["iptables"]) || require::file("/usr/lib/podman/netavark").is_none() {
        return;
    }
    let (name, number) = (podman.bench.short(), podman.bench.subnet());
    let subnet = format!("10.213.{number}.0/24");
    podman.ok(&["network", "create", "--disable-dns", "--subnet", &subnet, &name]);

    let server = ["busybox", "httpd", "-f", "-p", "80", "-h", "/etc"];
    let address = format!("10.213.{number}.9");
    let port = 20_000 + u16::from(number);
    let published = format!("127.0.0.1:{port}:80");
    podman.start(
        "server",
        &["--network", &name, "--ip", &address, "--publish", &published],
        &server,
    );
    let fetch = |from: &str| format!("busybox wget -q -O - http://{from}/passwd");
    let inside = ["busybox", "sh", "-c", &fetch(&address)];
    until("another container is answered", || {
        let parent = format!("/{}", podman.bench.scratch.mark());
        let mut arguments =
            vec!["run", "--rm", "--cgroup-parent", &parent, "--network", &name, "busybox"];
        arguments.extend(inside);
        podman.run(&arguments).text().contains("root")
    });
    // Published on the loopback of the host.
    let outside = run(Command::new("sh").args(["-c", &fetch(&format!("127.0.0.1:{port}"))])).ok();
    assert!(outside.text().contains("root"), "{outside:?}");
    podman.ok(&["rm", "--force", "--time", "0", "server"]);

    let parent = format!("/{}", podman.bench.scratch.mark());
    let infra = ["--infra-image", "busybox", "--infra-command", "busybox sleep 1000"];
    let mut create =
        vec!["pod", "create", "--name", "pod", "--network", "none", "--cgroup-parent", &parent];
    create.extend(infra);
    podman.ok(&create);
    podman.ok(&[
        "run", "--detach", "--pod", "pod", "--name", "member", "busybox", "busybox", "httpd", "-f",
        "-p", "8080", "-h", "/etc",
    ]);
    until("a member of the pod is answered on the shared loopback", || {
        let get = "busybox wget -q -O - http://127.0.0.1:8080/passwd";
        podman
            .run(&["run", "--rm", "--pod", "pod", "busybox", "busybox", "sh", "-c", get])
            .text()
            .contains("root")
    });
    assert!(podman.ok(&["pod", "ps", "--format", "{{.Status}}"]).contains("Running"));
    podman.ok(&["generate", "kube", "pod"]);
    podman.ok(&["pod", "stop", "--time", "0", "pod"]);
    podman.ok(&["pod", "rm", "--force", "pod"]);
    podman.ok(&["network", "rm", &name]);
}
