//! Limits hold, measured from inside (what the program could get) and from outside (what the kernel
//! was told, and counted).
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail as it does")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use tests::outcome::run;
use tests::require::{self, Hierarchy};
use tests::samples;
use tests::scratch::Scratch;

/// A folder with the image `load` in its store, and the hierarchy of the controller.
fn load(controller: &str) -> Option<(Scratch, Hierarchy)> {
    if !require::root() {
        return None;
    }
    let hierarchy = require::controller(controller)?;
    let scratch = Scratch::new(controller);
    let program = samples::load(scratch.path())?;
    scratch.pack(&[program]);
    Some((scratch, hierarchy))
}

/// A container that waits, and the folder of its control group.
struct Waiting {
    paddle: Child,
    group: PathBuf,
}

impl Waiting {
    fn start(scratch: &Scratch, hierarchy: &Hierarchy, options: &[&str]) -> Self {
        let mut command = scratch.launch(options, "load", &["wait"]);
        let mut paddle = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(paddle.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "waiting\n");
        let (Hierarchy::V1(at) | Hierarchy::V2(at)) = hierarchy;
        let groups = scratch.leftovers().cgroups;
        let group = groups.iter().find(|group| group.starts_with(at)).cloned();
        let group =
            group.unwrap_or_else(|| panic!("no group below {} in {groups:?}", at.display()));
        Self { paddle, group }
    }

    /// The content of a file of the group, named by its hierarchy.
    fn read(&self, hierarchy: &Hierarchy, v1: &str, v2: &str) -> String {
        let name = if matches!(hierarchy, Hierarchy::V1(_)) { v1 } else { v2 };
        let path = self.group.join(name);
        let text = std::fs::read_to_string(&path);
        text.unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
    }

    /// Ends the container by a signal to paddle, which forwards it.
    fn stop(mut self) {
        let id = Pid::from_raw(i32::try_from(self.paddle.id()).unwrap());
        kill(id, Signal::SIGTERM).unwrap();
        let status = self.paddle.wait().unwrap();
        assert!(status.code() == Some(143) || status.signal() == Some(15), "{status:?}");
    }
}

#[test]
fn memory_is_limited() {
    let Some((scratch, hierarchy)) = load("memory") else { return };
    let options = ["--memory", "32m", "--memory-swap", "32m"];
    let touch = |options: &[&str], mebibytes: &str| {
        run(&mut scratch.launch(options, "load", &["memory", mebibytes]))
    };
    assert_eq!(touch(&options, "16").ok().text(), "touched");
    assert_eq!(touch(&[], "64").ok().text(), "touched");
    // 137: killed. And the person is told why.
    touch(&options, "64").exits(137).says(&["out of memory", "32"]);

    let waiting = Waiting::start(&scratch, &hierarchy, &options);
    let limit = waiting.read(&hierarchy, "memory.limit_in_bytes", "memory.max");
    let used = waiting.read(&hierarchy, "memory.usage_in_bytes", "memory.current");
    waiting.stop();
    assert_eq!(limit, "33554432");
    assert!(used.parse::<u64>().unwrap() < 32 << 20, "{used}");
}

#[test]
fn processes_are_limited() {
    let Some((scratch, hierarchy)) = load("pids") else { return };
    let fork = |options: &[&str]| {
        run(&mut scratch.launch(options, "load", &["processes", "50"])).ok().text()
    };
    assert_eq!(fork(&[]), "50");
    // The program itself is one of the ten.
    assert_eq!(fork(&["--pids-limit", "10"]), "9");

    let waiting = Waiting::start(&scratch, &hierarchy, &["--pids-limit", "10"]);
    let limit = waiting.read(&hierarchy, "pids.max", "pids.max");
    let count = waiting.read(&hierarchy, "pids.current", "pids.current");
    waiting.stop();
    assert_eq!((limit.as_str(), count.as_str()), ("10", "1"));
}

#[test]
fn processor_time_is_limited() {
    let Some((scratch, hierarchy)) = load("cpu") else { return };
    let options = ["--cpus", "0.25"];
    let outcome = run(&mut scratch.launch(&options, "load", &["cpu", "2000"])).ok();
    let used: u64 = outcome.text().parse().unwrap();
    // A quarter of two seconds, and at most two more periods' worth of it (of 100 ms each).
    assert!(used <= 550, "{used} ms of processor time in 2000 ms");

    let waiting = Waiting::start(&scratch, &hierarchy, &options);
    let limit = waiting.read(&hierarchy, "cpu.cfs_quota_us", "cpu.max");
    let period = waiting.read(&hierarchy, "cpu.cfs_period_us", "cpu.max");
    waiting.stop();
    let quota: u64 = limit.split(' ').next().unwrap().parse().unwrap();
    let period: u64 = period.rsplit(' ').next().unwrap().parse().unwrap();
    assert_eq!(quota * 4, period);
}

#[test]
fn processor_throttling_is_counted_by_the_kernel() {
    let Some((scratch, hierarchy)) = load("cpu") else { return };
    let throttled = |options: &[&str]| {
        let mut command = scratch.launch(options, "load", &["cpu", "3000"]);
        let mut paddle = command.stdout(Stdio::null()).spawn().unwrap();
        let (Hierarchy::V1(at) | Hierarchy::V2(at)) = &hierarchy;
        let mut last = 0;
        while paddle.try_wait().unwrap().is_none() {
            let groups = scratch.leftovers().cgroups;
            if let Some(group) = groups.iter().find(|group| group.starts_with(at)) {
                last = last.max(count_of_throttled_periods(group));
            }
        }
        last
    };
    assert!(throttled(&["--cpus", "0.2"]) > 3);
    assert_eq!(throttled(&[]), 0);
}

/// `nr_throttled` of `cpu.stat`, which v1 and v2 have alike; 0 once the group is gone.
fn count_of_throttled_periods(group: &Path) -> u64 {
    let stat = std::fs::read_to_string(group.join("cpu.stat")).unwrap_or_default();
    stat.lines()
        .find_map(|line| line.strip_prefix("nr_throttled "))
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}
