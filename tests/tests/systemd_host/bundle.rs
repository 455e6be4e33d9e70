//! A bundle's whole life where systemd makes its group, as an engine with `--systemd-cgroup` has it: systemd itself is asked at each step.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::outcome::{Outcome, run};
use tests::scratch::Scratch;

use crate::UNIFIED;

/// What is inside, beside busybox.
const APPLETS: [&str; 5] = ["sh", "cat", "dd", "sleep", "true"];

/// A container of a bundle in a scope of its own.
struct Engine {
    scratch: Scratch,
    id: String,
    /// Whose systemd: `systemctl`'s option.
    whose: Option<&'static str>,
}

impl Engine {
    /// A container with limits whose scope is `engine-ID.scope` in this slice. `user` is whether an ordinary user asks.
    fn new(name: &str, user: bool, slice: &str) -> Self {
        let scratch = Scratch::new(name);
        let bundle = scratch.subfolder("bundle");
        for folder in ["bin", "dev", "mem", "proc", "sys"] {
            fs::create_dir_all(bundle.join("rootfs").join(folder)).unwrap();
        }
        fs::copy("/bin/busybox", bundle.join("rootfs/bin/busybox")).unwrap();
        for applet in APPLETS {
            std::os::unix::fs::symlink("busybox", bundle.join("rootfs/bin").join(applet)).unwrap();
        }
        let rootless = user.then_some("--rootless");
        run(scratch.paddle().arg("spec").args(rootless).arg("--bundle").arg(&bundle)).ok();
        let file = bundle.join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let id = scratch.container();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sleep", "1000"]);
        config["linux"]["cgroupsPath"] = json!(format!("{slice}:engine:{id}"));
        config["linux"]["resources"] = json!({
            "memory": {"limit": 64 << 20, "swap": 64 << 20}, "pids": {"limit": 20}, "cpu": {"quota": 50_000, "period": 100_000},
        });
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.push(json!({"destination": "/mem", "type": "tmpfs", "source": "mem"}));
        fs::write(&file, config.to_string()).unwrap();
        Self { scratch, id, whose: user.then_some("--user") }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.scratch.paddle();
        command.arg("--systemd-cgroup").args(words);
        command
    }

    fn paddle(&self, words: &[&str]) -> Outcome {
        run(&mut self.command(words))
    }

    /// `paddle create`, and the container's first process. That inherits the streams: a pipe would stay open.
    #[track_caller]
    fn create(&self) -> u32 {
        let errors = self.scratch.path().join("errors");
        let words = ["create", "--bundle", "bundle", "--pid-file", "pid", &self.id];
        let mut command = self.command(&words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&errors).unwrap());
        assert!(command.status().unwrap().success(), "{}", fs::read_to_string(&errors).unwrap());
        fs::read_to_string(self.scratch.path().join("pid")).unwrap().parse().unwrap()
    }

    /// A property of the scope, as systemd has it.
    fn show(&self, property: &str) -> String {
        let mut command = Command::new("systemctl");
        command.args(self.whose).args(["show", "--value", "-p", property]);
        run(command.arg(format!("engine-{}.scope", self.id))).ok().text()
    }

    fn status(&self) -> String {
        let state: Value =
            serde_json::from_str(&self.paddle(&["state", &self.id]).ok().text()).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn becomes(&self, status: &str) {
        let start = Instant::now();
        while self.status() != status {
            assert!(start.elapsed() < Duration::from_secs(60), "it is {}", self.status());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Nothing is left, in the kernel or in systemd's book.
    #[track_caller]
    fn is_gone(&self, group: &Path) {
        assert!(!group.exists(), "{} is left", group.display());
        assert_eq!(self.show("LoadState"), "not-found");
        self.paddle(&["state", &self.id]).exits(1).says(&["does not exist"]);
    }
}

/// The group of a process.
fn group_of(process: u32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap();
    Path::new(UNIFIED).join(text.trim().strip_prefix("0::/").unwrap())
}

#[track_caller]
fn files(group: &Path, expected: &[(&str, &str)]) {
    for (file, expected) in expected {
        assert_eq!(fs::read_to_string(group.join(file)).unwrap().trim(), *expected, "{file}");
    }
}

/// Every verb, on a container in the slice of this name, whose folder is `below` the mount.
pub(crate) fn every_verb(name: &str, user: bool, slice: &str, below: &str) {
    let engine = Engine::new(name, user, slice);
    let id = engine.id.as_str();
    let first = engine.create();
    let group = group_of(first);
    let expected = Path::new(UNIFIED).join(below).join(format!("engine-{id}.scope"));
    assert_eq!(group, expected);
    assert_eq!(engine.status(), "created");
    files(&group, &[("memory.max", "67108864"), ("pids.max", "20"), ("cpu.max", "50000 100000")]);
    assert_eq!(
        (engine.show("MemoryMax").as_str(), engine.show("TasksMax").as_str()),
        ("67108864", "20")
    );
    engine.paddle(&["start", id]).ok();
    assert_eq!(engine.status(), "running");

    engine.paddle(&["update", "--memory", "32m", "--pids-limit", "30", id]).ok();
    // What systemd does when any unit of it changes: the limits must not be undone.
    run(Command::new("systemctl").args(engine.whose).arg("daemon-reload")).ok();
    files(&group, &[("memory.max", "33554432"), ("pids.max", "30"), ("cpu.max", "50000 100000")]);
    assert_eq!(
        (engine.show("MemoryMax").as_str(), engine.show("TasksMax").as_str()),
        ("33554432", "30")
    );

    // A further process is in the same group, and sees it as its root.
    assert_eq!(engine.paddle(&["exec", id, "cat", "/proc/self/cgroup"]).ok().text(), "0::/");
    let statistics: Value =
        serde_json::from_str(&engine.paddle(&["events", "--stats", id]).ok().text()).unwrap();
    let data = &statistics["data"];
    assert_eq!(
        (&data["pids"]["current"], &data["memory"]["usage"]["limit"]),
        (&json!(1), &json!(33_554_432))
    );
    let listed: Vec<u32> =
        serde_json::from_str(&engine.paddle(&["ps", "--format", "json", id]).ok().text()).unwrap();
    assert_eq!(listed, [first]);

    engine.paddle(&["pause", id]).ok();
    assert_eq!(engine.status(), "paused");
    files(&group, &[("cgroup.freeze", "1")]);
    engine.paddle(&["resume", id]).ok();
    assert_eq!(engine.status(), "running");

    // Beyond the limit that it was updated to, of which the container does not die.
    let fill = ["exec", id, "dd", "if=/dev/zero", "of=/mem/x", "bs=1M", "count=48"];
    assert!(!engine.paddle(&fill).status.success());
    let events = fs::read_to_string(group.join("memory.events")).unwrap();
    assert!(events.lines().any(|line| line == "oom_kill 1"), "{events}");
    assert_eq!(engine.status(), "running");

    engine.paddle(&["kill", id, "KILL"]).ok();
    engine.becomes("stopped");
    engine.paddle(&["delete", id]).ok();
    engine.is_gone(&group);
}

/// The same name can be had again, also when what had it was killed and not deleted, or is deleted while it lives.
pub(crate) fn a_name_again(name: &str, user: bool, slice: &str) {
    let engine = Engine::new(name, user, slice);
    let id = engine.id.as_str();
    for paused in [false, true] {
        let group = group_of(engine.create());
        engine.paddle(&["start", id]).ok();
        let mut again = engine.command(&["create", "--bundle", "bundle", id]);
        run(again.stdin(Stdio::null())).exits(1).says(&["already exists"]);
        if paused {
            engine.paddle(&["pause", id]).ok();
        }
        assert!(group.exists());
        engine.paddle(&["delete", "--force", id]).ok();
        engine.is_gone(&group);
        // As containerd ends every container, which is gone then.
        engine.paddle(&["delete", "--force", id]).ok();
    }
}
