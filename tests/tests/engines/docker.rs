//! Docker's daemon, with paddle among its runtimes.

use std::process::Command;

use serde_json::json;

use super::{Bench, Daemon, limit};
use tests::outcome::{Outcome, run};
use tests::require;

struct Docker {
    daemon: Option<Daemon>,
    bench: Bench,
}

impl Docker {
    fn new(name: &str) -> Option<Self> {
        let bench = Bench::new(name, &["dockerd", "docker", "containerd"])?;
        let folder = bench.scratch.path().to_owned();
        let at = |name: &str| folder.join(name);
        let config = json!({
            "data-root": at("data"),
            "exec-root": at("exec"),
            "pidfile": at("docker.pid"),
            "hosts": [format!("unix://{}", at("docker.sock").display())],
            "storage-driver": "vfs",
            "bridge": "none",
            "iptables": false,
            "cgroup-parent": format!("/{}", bench.scratch.mark()),
            "runtimes": { "paddle": { "path": bench.runtime() } },
            "default-runtime": "paddle",
        });
        let config = bench.scratch.file("daemon.json", config.to_string());
        let mut command = bench.scratch.command(&require::program("dockerd")?);
        command.arg("--config-file").arg(config);
        let ready = || run(&mut docker(&bench, &["version"])).status.success();
        let daemon = Daemon::start(&mut command, at("log"), ready);
        let engine = Self { daemon: Some(daemon), bench };
        // Docker 20.10 loads no OCI archives, but takes any root file system.
        let (root, archive) = (at("rootfs/"), at("rootfs.tar"));
        engine.bench.scratch.pack(&["/bin/busybox".as_ref(), "-o".as_ref(), root.as_os_str()]);
        run(Command::new("tar").args(["-c", "-C"]).arg(root).arg("-f").arg(&archive).arg(".")).ok();
        engine.run(&["import", archive.to_str().unwrap(), "busybox"]).ok();
        Some(engine)
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        run(&mut docker(&self.bench, arguments))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        self.daemon.take();
        if !std::thread::panicking() {
            self.bench.remove_parents();
        }
    }
}

fn docker(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = bench.scratch.command(&require::program("docker").unwrap());
    let socket = bench.scratch.path().join("docker.sock");
    command.env("DOCKER_HOST", format!("unix://{}", socket.display())).args(arguments);
    command
}

#[test]
fn docker_runs_executes_limits_pauses_and_removes() {
    let Some(docker) = Docker::new("docker") else { return };
    let shell = |options: &[&str], script: &str| {
        let mut arguments = vec!["run", "--rm", "--network", "none"];
        arguments.extend(options);
        arguments.extend(["busybox", "/bin/busybox", "sh", "-c", script]);
        docker.run(&arguments)
    };
    shell(&[], "echo err >&2; exit 7").exits(7).says(&["err"]);
    docker.run(&["run", "--rm", "--network", "none", "busybox", "/missing"]).exits(127);
    #[rustfmt::skip]
    let table: &[(&[&str], &str, &str)] = &[
        (&["--user", "12:34", "--hostname", "berth"], "id -u; id -g; hostname", "12\n34\nberth"),
        (&["--read-only"], "touch /x 2>&1", "touch: /x: Read-only file system"),
        (&["--cap-drop", "all", "--cap-add", "chown"], "grep CapEff /proc/self/status", "CapEff:\t0000000000000001"),
        (&["--tmpfs", "/cache:size=1m"], "df -k /cache | tail -n 1 | awk '{ print $2 }'", "1024"),
        (&["--security-opt", "no-new-privileges"], "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status", "NoNewPrivs:\t1\nSeccomp:\t2"),
        (&["--tty"], "tty", "/dev/pts/0\r"),
    ];
    for (options, script, expected) in table {
        let said = shell(options, script);
        assert_eq!(said.text(), *expected, "{options:?}\n{said:?}");
    }

    let start = [
        "run",
        "--detach",
        "--name",
        "one",
        "--network",
        "none",
        "--memory",
        "64m",
        "--cpus",
        "0.5",
    ];
    docker.run(&[&start[..], &["busybox", "/bin/busybox", "sleep", "1000"]].concat()).ok();
    let inspect = |what: &str| {
        docker.run(&["inspect", "--format", &format!("{{{{{what}}}}}"), "one"]).ok().text()
    };
    let pid = inspect(".State.Pid").parse().unwrap();
    assert_eq!(limit(pid, "memory", "memory.limit_in_bytes", "memory.max"), "67108864");
    docker.run(&["update", "--memory", "80m", "--memory-swap", "80m", "one"]).ok();
    assert_eq!(limit(pid, "memory", "memory.limit_in_bytes", "memory.max"), "83886080");
    docker.run(&["exec", "one", "/bin/busybox", "sh", "-c", "exit 5"]).exits(5);
    assert!(docker.run(&["top", "one"]).ok().text().contains("sleep"));
    docker.run(&["pause", "one"]).ok();
    assert_eq!(inspect(".State.Status"), "paused");
    docker.run(&["unpause", "one"]).ok();
    docker.run(&["restart", "--time", "0", "one"]).ok();
    docker.run(&["kill", "one"]).ok();
    assert_eq!(docker.run(&["wait", "one"]).ok().text(), "137");
    docker.run(&["rm", "one"]).ok();
}
