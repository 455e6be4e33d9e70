//! What `paddle run` of a program that does nothing costs, beside bubblewrap and crun.
//!
//! ```sh
//! cargo bench -p tests --bench launch            # as root; ROUNDS=200 for more than 50 rounds
//! ```
//!
//! The program is a static `true`, compiled here, packed by `coracle`, and laid out as a plain root for the
//! others. All have every namespace but the user's; paddle and crun have cgroups with the same
//! limits, and the same seccomp profile; bubblewrap has neither. One round starts each once, in turn, so that a busy
//! moment hits all of them; the median of the rounds counts, from spawn to exit. Only the ratios mean
//! something on another machine.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to say")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use launcher::plan::seccomp::default_profile;
use launcher::spec::CapabilitySet;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use tests::{programs, require, samples};

/// The limits of paddle and crun.
const MEMORY: u64 = 64 << 20;
const PIDS: u64 = 64;

/// One way to start the program.
struct Contestant {
    name: &'static str,
    command: Command,
    times: Vec<Duration>,
}

fn main() {
    // `cargo test --benches` passes no `--bench`; it asks only whether this runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(50)
    } else {
        1
    };
    if !require::root() {
        return;
    }
    hide_unified();
    let folder = tempfile::tempdir().expect("a folder");
    let Some(root) = root(folder.path()) else { return };
    let mut all = paddle(folder.path(), &root.join("true"));
    all.extend(bubblewrap(&root));
    all.extend(crun(folder.path(), &root));
    all.push(contestant("the program alone", Command::new(root.join("true"))));
    for round in 0..rounds + 3 {
        for contestant in &mut all {
            let took = contestant.start();
            // The first rounds unpack, and fill caches.
            if round >= 3 || rounds == 1 {
                contestant.times.push(took);
            }
        }
    }
    report(&mut all);
}

impl Contestant {
    fn start(&mut self) -> Duration {
        let start = Instant::now();
        let status = self.command.status().expect("the program starts");
        let took = start.elapsed();
        assert!(status.success(), "{}: {status}: {:?}", self.name, self.command);
        took
    }

    fn quantile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() - 1) * percent / 100]
    }
}

fn contestant(name: &'static str, mut command: Command) -> Contestant {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Contestant { name, command, times: Vec::new() }
}

fn report(all: &mut [Contestant]) {
    for contestant in all.iter_mut() {
        contestant.times.sort();
    }
    let base = all[0].quantile(50).as_secs_f64();
    println!("{:24} {:>9} {:>9} {:>9} {:>9}", "", "median", "10 %", "90 %", "ratio");
    for contestant in all.iter() {
        let ms = |percent| contestant.quantile(percent).as_secs_f64() * 1000.0;
        println!(
            "{:24} {:6.2} ms {:6.2} ms {:6.2} ms {:9.2}",
            contestant.name,
            ms(50),
            ms(10),
            ms(90),
            contestant.quantile(50).as_secs_f64() / base
        );
    }
    println!("ratio: to `{}`; above 1 is slower than paddle", all[0].name);
}

/// crun refuses a host that mounts v1 and v2 beside each other; here, in a mount namespace of our own,
/// v2 is taken away from it, and from the others too.
fn hide_unified() {
    let unified = "/sys/fs/cgroup/unified";
    if !Path::new(unified).join("cgroup.procs").exists() {
        return;
    }
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
    umount2(unified, MntFlags::MNT_DETACH).expect("the v2 mount goes");
}

/// A root with the program and mount points.
fn root(folder: &Path) -> Option<PathBuf> {
    let root = folder.join("root");
    for name in ["proc", "dev", "sys", "tmp"] {
        fs::create_dir_all(root.join(name)).expect("a root");
    }
    let source = "int main(void) { return 0; }";
    samples::compile_c("gcc", &["-static", "-O2", "-s"], source, &root.join("true"))?;
    Some(root)
}

/// paddle, with a writable layer as people start it, and read-only as the others' roots are.
fn paddle(folder: &Path, program: &Path) -> Vec<Contestant> {
    let (coracle, paddle) = programs::release();
    let store = folder.join("store");
    let built = Command::new(coracle)
        .env("CORACLE_STORE", &store)
        .args(["build", "-t", "true:latest"])
        .arg(program)
        .stdout(Stdio::null())
        .status();
    assert!(built.expect("coracle starts").success());
    let run = |options: &[&str]| {
        let mut command = Command::new(paddle);
        command.env("CORACLE_STORE", &store).arg("--root").arg(folder.join("state"));
        command.args(["run", "--rm", "--memory", "64m", "--pids-limit", "64"]).args(options);
        command.arg("true:latest");
        command
    };
    vec![
        contestant("paddle run --read-only", run(&["--read-only"])),
        contestant("paddle run", run(&[])),
    ]
}

fn bubblewrap(root: &Path) -> Option<Contestant> {
    let mut command = Command::new(require::program("bwrap")?);
    command.args(["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]);
    command.args(["--unshare-cgroup", "--ro-bind"]).arg(root).args(["/", "--proc", "/proc"]);
    command.args(["--dev", "/dev", "--tmpfs", "/tmp", "/true"]);
    Some(contestant("bubblewrap", command))
}

fn crun(folder: &Path, root: &Path) -> Option<Contestant> {
    let crun = require::program("crun")?;
    let bundle = folder.join("bundle");
    fs::create_dir_all(&bundle).expect("a bundle");
    let made = Command::new(&crun).arg("spec").current_dir(&bundle).status();
    assert!(made.expect("crun starts").success());
    let file = bundle.join("config.json");
    let text = fs::read(&file).expect("crun's config.json");
    let mut config: Value = serde_json::from_slice(&text).expect("crun writes JSON");
    config["root"] = json!({"path": root, "readonly": true});
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/true"]);
    config["linux"]["resources"] = json!({"memory": {"limit": MEMORY}, "pids": {"limit": PIDS}, "devices": [{"allow": false, "access": "rwm"}]});
    config["linux"]["seccomp"] =
        serde_json::to_value(default_profile(CapabilitySet::DOCKER)).expect("JSON");
    fs::write(&file, config.to_string()).expect("a bundle");
    let mut command = Command::new(crun);
    command.arg("--root").arg(folder.join("crun")).args(["--cgroup-manager", "cgroupfs", "run"]);
    command.arg("--bundle").arg(&bundle).arg(format!("coracle-bench-{}", std::process::id()));
    Some(contestant("crun", command))
}
