//! Groups for real: made, joined, measured from inside and outside, killed and removed, on whatever
//! layout this host has; v2's own code on the v2 mount of a hybrid host and in a made-up folder.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure of a helper fails its test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::report::Diagnostic as _;
use launcher::cgroup::OomEvent;
use launcher::cgroup::{
    self, Cgroup, CgroupError, CgroupPlan, Driver, GroupPlan, Limit, Request, Setting,
};
use launcher::host::{Anchor, Controller, Hierarchy, Host, Kernel, Layout, Version};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Value, json};
use tests::require;

/// A container's groups, removed at the end of the test whatever happens.
struct Group {
    cgroup: Box<dyn Cgroup>,
}

impl Drop for Group {
    fn drop(&mut self) {
        self.cgroup.kill().ok();
        self.cgroup.remove().ok();
    }
}

fn plan(host: &Host, name: &str, resources: &Value, complete: bool) -> CgroupPlan {
    let path = PathBuf::from(format!("/coracle-test-{}-{name}", std::process::id()));
    let resources = serde_json::from_value(resources.clone()).expect("resources");
    let request = Request {
        id: name,
        path: Some(&path),
        resources: Some(&resources),
        driver: Driver::Cgroupfs,
        annotations: None,
        complete,
    };
    cgroup::plan(&request, host).expect("this host can keep the limits")
}

impl Group {
    fn new(name: &str, resources: &Value) -> Self {
        let plan = plan(&Host::probe().unwrap(), name, resources, true);
        Self { cgroup: cgroup::create(&plan).unwrap() }
    }

    /// Starts a shell inside, joined as paddle's child joins: by a thread's `0` in v1. (A v2 group
    /// would need `CLONE_INTO_CGROUP`; a thread cannot leave its process there, so the shell moves.)
    fn start(&self, script: &str) -> Child {
        let join = self.cgroup.join().unwrap();
        let unified = self.cgroup.paths().groups.iter().find(|g| g.version == Version::V2).cloned();
        let script = match unified {
            Some(group) => format!("echo 0 > {}/cgroup.procs; {script}", group.path.display()),
            None => script.to_owned(),
        };
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                for tasks in &join.v1 {
                    rustix::io::write(tasks, b"0").expect("the thread joins");
                }
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &script]).stdin(Stdio::null());
                shell.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell")
            });
            thread.join().expect("the thread ends")
        })
    }

    fn run(&self, script: &str) -> ExitStatus {
        self.start(script).wait().unwrap()
    }

    fn folders(&self) -> Vec<PathBuf> {
        self.cgroup.paths().groups.iter().map(|group| group.path.clone()).collect()
    }
}

fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_memory_limit_holds_and_the_oom_kill_is_counted() {
    if !require::root() || require::controller("memory").is_none() {
        return;
    }
    let limit = 32 << 20;
    let group = Group::new("memory", &json!({"memory": {"limit": limit}}));
    assert_eq!(group.cgroup.oom_kills().unwrap(), 0);
    // tail keeps a line until it ends, and this one has no end.
    let status = group.run("exec tail /dev/zero");
    assert_eq!(status.signal(), Some(9), "{status}");
    assert!(group.cgroup.oom_kills().unwrap() >= 1);
    let stats = group.cgroup.stats().unwrap();
    assert!(stats.memory.usage.max <= limit, "{stats:?}");
    assert_eq!(stats.memory.usage.limit, limit);
    // What stays below the limit runs.
    assert!(group.run("head -c 4000000 /dev/zero | tail > /dev/null").success());
}

#[test]
fn the_limit_of_processes_holds() {
    if !require::root() || require::controller("pids").is_none() {
        return;
    }
    let group = Group::new("pids", &json!({"pids": {"limit": 4}}));
    // Inside: the fifth fork fails, and the shell with it.
    let status = group.run("for n in 1 2 3 4 5 6; do sleep 60 & done");
    assert!(!status.success());
    // Outside: the kernel counts what is left.
    let count = group.cgroup.stats().unwrap().pids.current;
    assert!((1..=4).contains(&count), "{count}");
    assert_eq!(group.cgroup.processes().unwrap().len() as u64, count);
}

#[test]
fn the_cpu_quota_holds() {
    if !require::root() || require::controller("cpu").is_none() {
        return;
    }
    let group = Group::new("cpu", &json!({"cpu": {"quota": 20_000, "period": 100_000}}));
    let start = Instant::now();
    let mut child = group.start("while :; do :; done");
    std::thread::sleep(Duration::from_millis(1500));
    // Outside: fields 14 and 15 of stat(5) are its ticks, a hundredth of a second each.
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let elapsed = start.elapsed();
    let fields: Vec<u64> =
        stat.rsplit_once(") ").unwrap().1.split(' ').filter_map(|f| f.parse().ok()).collect();
    let ticks = fields[10] + fields[11];
    group.cgroup.kill().unwrap();
    child.wait().unwrap();
    // A fifth of a CPU, and one period of slack at each end.
    let allowed = u64::try_from(elapsed.as_millis()).unwrap() / 10 / 5 + 5;
    assert!(ticks <= allowed, "{ticks} ticks of {allowed} allowed");
    assert!(group.cgroup.stats().unwrap().cpu.throttling.throttled_time > 0);
}

#[test]
fn a_cpuset_holds_and_its_memory_nodes_are_filled_in() {
    if !require::root() || require::controller("cpuset").is_none() {
        return;
    }
    let group = Group::new("cpuset", &json!({"cpu": {"cpus": "0"}}));
    assert!(group.run("grep -q '^Cpus_allowed_list:.0$' /proc/self/status").success());
}

#[test]
fn devices_outside_the_default_list_cannot_be_opened() {
    if !require::root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let group = Group::new("devices", &json!({}));
    let node = |name: &str, numbers: &str| {
        let path = folder.path().join(name);
        assert!(group.run(&format!("mknod {} {numbers}", path.display())).success());
        path
    };
    // Making a node is allowed, as in Docker; opening it is not. 1:11 is /dev/kmsg, 1:3 /dev/null.
    let (kmsg, null) = (node("kmsg", "c 1 11"), node("null", "c 1 3"));
    assert!(!group.run(&format!(": < {}", kmsg.display())).success());
    assert!(group.run(&format!(": < {}", null.display())).success());
    // The host itself may.
    assert!(fs::File::open(&kmsg).is_ok());
}

#[test]
fn device_programs_of_v2_decide_as_their_rules_say() {
    let Some(unified) = unified() else { return };
    let folder = tempfile::tempdir().unwrap();
    let host = only_v2(&unified);
    let rules = json!({"devices": [
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"},
    ]});
    let group = Group { cgroup: cgroup::create(&plan(&host, "bpf", &rules, false)).unwrap() };
    for (numbers, open, works) in [
        ("c 1 11", "<", true),
        ("c 1 11", ">", false),
        ("c 1 3", "<>", true),
        ("c 1 1", "<", false),
        ("c 136 200", "<", true),
    ] {
        let path = folder.path().join(numbers.replace(' ', "-"));
        let path = path.display();
        let made = group.run(&format!("test -e {path} || mknod {path} {numbers}"));
        assert!(made.success(), "{numbers}");
        let status = group.run(&format!("exec 3{open} {path}"));
        // A terminal that does not exist fails later, with another error, so only "works" is asked.
        assert_eq!(status.success(), works && !numbers.starts_with("c 136"), "{numbers} {open}");
    }
}

/// The content of a file of the group of that controller, by its name in either interface.
fn value(group: &Group, controller: Controller, v1: &str, v2: &str) -> String {
    let paths = &group.cgroup.paths().groups;
    let found = paths.iter().find(|path| path.controllers.contains(&controller)).expect("a group");
    let name = if found.version == Version::V1 { v1 } else { v2 };
    fs::read_to_string(found.path.join(name)).expect(name).trim().to_owned()
}

fn update(group: &mut Group, resources: Value) -> Result<(), CgroupError> {
    group.cgroup.update(&serde_json::from_value(resources).unwrap())
}

#[test]
fn only_what_is_given_is_changed() {
    if !require::root() || require::controller("cpu").is_none() {
        return;
    }
    let limits = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 10},
        "cpu": {"quota": 50_000, "period": 100_000, "shares": 512}});
    let mut group = Group::new("change", &limits);
    let memory =
        |group: &Group| value(group, Controller::Memory, "memory.limit_in_bytes", "memory.max");
    let quota = |group: &Group| value(group, Controller::Cpu, "cpu.cfs_quota_us", "cpu.max");
    update(&mut group, json!({"pids": {"limit": 20}})).unwrap();
    assert_eq!(value(&group, Controller::Pids, "pids.max", "pids.max"), "20");
    assert_eq!(memory(&group), (64 << 20).to_string());
    assert!(quota(&group).starts_with("50000"));
    update(&mut group, json!({"cpu": {"quota": -1}})).unwrap();
    assert!(["-1", "max 100000"].contains(&quota(&group).as_str()), "{}", quota(&group));
    assert!(
        ["512", "59"]
            .contains(&value(&group, Controller::Cpu, "cpu.shares", "cpu.weight").as_str())
    );
}

#[test]
fn memory_and_swap_are_raised_and_lowered_together() {
    if !require::root() || require::controller("memory").is_none() {
        return;
    }
    let at = |limit: i64| json!({"memory": {"limit": limit << 20, "swap": limit << 20}});
    let mut group = Group::new("swap", &at(32));
    let memory =
        |group: &Group| value(group, Controller::Memory, "memory.limit_in_bytes", "memory.max");
    for limit in [64, 16, 128] {
        update(&mut group, at(limit)).unwrap_or_else(|error| panic!("{limit}: {error}"));
        assert_eq!(memory(&group), (limit << 20).to_string());
    }
    // Without the limit of both there is none of memory either.
    update(&mut group, json!({"memory": {"limit": -1}})).unwrap();
    assert_ne!(memory(&group), (128_i64 << 20).to_string());
}

#[test]
fn an_update_that_is_refused_changes_nothing() {
    if !require::root() || require::controller("cpuset").is_none() {
        return;
    }
    let mut group = Group::new("undo", &json!({"pids": {"limit": 10}, "cpu": {"cpus": "0"}}));
    let error = update(&mut group, json!({"pids": {"limit": 20}, "cpu": {"cpus": "4000"}}));
    assert!(matches!(error, Err(CgroupError::Write { limit: Limit::Cpus, .. })), "{error:?}");
    assert_eq!(value(&group, Controller::Pids, "pids.max", "pids.max"), "10");
    assert_eq!(value(&group, Controller::Cpuset, "cpuset.cpus", "cpuset.cpus"), "0");
}

#[test]
fn a_limit_of_a_new_controller_takes_the_running_processes_along() {
    if !require::root() || require::controller("cpu").is_none() {
        return;
    }
    let plan = plan(&Host::probe().unwrap(), "grow", &json!({}), false);
    let mut group = Group { cgroup: cgroup::create(&plan).unwrap() };
    let mut child = group.start("sleep 100 & wait");
    wait_until("it forks", || group.cgroup.processes().unwrap().len() > 1);
    update(&mut group, json!({"cpu": {"quota": 20_000}})).unwrap();
    assert!(value(&group, Controller::Cpu, "cpu.cfs_quota_us", "cpu.max").starts_with("20000"));
    let held = value(&group, Controller::Cpu, "cgroup.procs", "cgroup.procs");
    assert_eq!(held.lines().count(), group.cgroup.processes().unwrap().len());
    group.cgroup.kill().unwrap();
    child.wait().unwrap();
    group.cgroup.remove().unwrap();
    assert!(group.folders().iter().all(|folder| !folder.exists()));
}

#[test]
fn a_new_device_program_takes_the_place_of_the_old_one() {
    let Some(unified) = unified() else { return };
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&only_v2(&unified), "bpf-update", &json!({}), false);
    let mut group = Group { cgroup: cgroup::create(&plan).unwrap() };
    let path = folder.path().join("kmsg");
    assert!(group.run(&format!("mknod {} c 1 11", path.display())).success());
    let opens = |group: &Group| group.run(&format!(": < {}", path.display())).success();
    assert!(!opens(&group));
    let rule = |allow| json!({"devices": [{"allow": allow, "type": "c", "major": 1, "minor": 11}]});
    // Programs add up to what all of them allow, so this works only if the old one is gone.
    update(&mut group, rule(true)).unwrap();
    assert!(opens(&group));
    update(&mut group, rule(false)).unwrap();
    assert!(!opens(&group));
}

#[test]
fn an_empty_group_of_the_callers_choice_is_used_and_a_busy_one_is_not() {
    if !require::root() {
        return;
    }
    let plan = plan(&Host::probe().unwrap(), "chosen", &json!({}), true);
    let group = Group { cgroup: cgroup::create(&plan).unwrap() };
    let mut child = group.start("exec sleep 100");
    wait_until("it is there", || !group.cgroup.processes().unwrap().is_empty());
    let error = cgroup::create(&plan).unwrap_err();
    assert!(matches!(error, CgroupError::Occupied { count: 1, .. }), "{error}");
    group.cgroup.kill().unwrap();
    child.wait().unwrap();
    wait_until("it is gone", || group.cgroup.processes().unwrap().is_empty());
    cgroup::create(&plan).unwrap();
    group.cgroup.freeze(true).unwrap();
    let error = cgroup::create(&plan).unwrap_err();
    assert!(matches!(error, CgroupError::Frozen { .. }), "{error}");
    assert!(group.cgroup.frozen().unwrap());
    group.cgroup.freeze(false).unwrap();
    assert!(!group.cgroup.frozen().unwrap());
}

#[test]
fn statistics_bear_the_names_that_callers_parse() {
    if !require::root() || require::controller("memory").is_none() {
        return;
    }
    let limits = json!({"memory": {"limit": 64 << 20}, "pids": {"limit": 10}});
    let group = Group::new("stats", &limits);
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = "head -c 8000000 /dev/zero > FILE; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 100";
    let mut child = group.start(&script.replace("FILE", &file.path().display().to_string()));
    wait_until("it has worked", || {
        let line = fs::read_to_string(format!("/proc/{}/cmdline", child.id())).unwrap();
        line.starts_with("sleep")
    });
    let stats = serde_json::to_value(group.cgroup.stats().unwrap()).unwrap();
    let number = |path: &str| stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    assert_eq!(number("/memory/usage/limit"), 64 << 20, "{stats}");
    assert_eq!(number("/pids/limit"), 10, "{stats}");
    assert_eq!(number("/pids/current"), 1, "{stats}");
    for counted in [
        "/memory/usage/usage",
        "/memory/usage/max",
        "/memory/cache",
        "/memory/raw/pgfault",
        "/cpu/usage/total",
        "/cpu/usage/user",
    ] {
        assert!(number(counted) > 0, "{counted}: {stats}");
    }
    assert!(stats.pointer("/cpu/usage/kernel").is_some() && stats["hugetlb"].is_object());
    group.cgroup.kill().unwrap();
    child.wait().unwrap();
    // And back.
    serde_json::from_value::<cgroup::Stats>(stats).unwrap();
}

#[test]
fn a_v2_group_counts_under_the_names_of_v1() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("memory.current", "1000\n"),
        ("memory.max", "4000\n"),
        ("memory.peak", "2000\n"),
        ("memory.swap.current", "10\n"),
        ("memory.swap.max", "max\n"),
        ("memory.stat", "anon 600\nfile 300\n"),
        ("memory.pressure", "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n"),
        (
            "cpu.stat",
            "usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 2\nnr_throttled 1\nthrottled_usec 5\n",
        ),
        ("pids.current", "3\n"),
        ("pids.max", "max\n"),
        ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n254:1 \n"),
        ("hugetlb.2MB.current", "0\n"),
        ("hugetlb.2MB.rsvd.current", "2097152\n"),
        ("hugetlb.2MB.events", "max 8\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let paths = json!({"groups": [
        {"version": "V2", "controllers": ["memory"], "path": folder.path()},
    ]});
    let group = cgroup::reopen(&serde_json::from_value(paths).unwrap());
    let stats = serde_json::to_value(group.stats().unwrap()).unwrap();
    let none = u64::MAX;
    assert_eq!(
        stats["memory"],
        json!({
            "cache": 300, "raw": {"anon": 600, "file": 300},
            "usage": {"limit": 4000, "usage": 1000, "max": 2000, "failcnt": 0},
            "swap": {"limit": none, "usage": 1010, "failcnt": 0},
            "kernel": {"limit": 0, "failcnt": 0}, "kernelTCP": {"limit": 0, "failcnt": 0},
            "psi": {"some": {"avg10": 1.5, "avg60": 0.0, "avg300": 0.0, "total": 9},
                    "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0}},
        })
    );
    assert_eq!(
        stats["cpu"],
        json!({
            "usage": {"total": 7000, "user": 4000, "kernel": 3000},
            "throttling": {"periods": 2, "throttledPeriods": 1, "throttledTime": 5000},
        })
    );
    assert_eq!(stats["pids"], json!({"current": 3}));
    assert_eq!(
        stats["blkio"],
        json!({
            "ioServiceBytesRecursive": [
                {"major": 8, "op": "Read", "value": 1}, {"major": 8, "op": "Write", "value": 2},
            ],
            "ioServicedRecursive": [
                {"major": 8, "op": "Read", "value": 3}, {"major": 8, "op": "Write", "value": 4},
            ],
        })
    );
    assert_eq!(stats["hugetlb"], json!({"2MB": {"usage": 2_097_152, "failcnt": 8}}));
}

#[test]
fn an_update_of_a_v2_group_keeps_what_shares_a_file_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for (name, content) in [
        ("cgroup.procs", ""),
        ("cpu.max", "50000 200000\n"),
        ("memory.max", "1000\n"),
        ("memory.current", "600\n"),
        ("memory.swap.max", "max\n"),
    ] {
        fs::write(file(name), content).unwrap();
    }
    let paths = json!({"groups": [
        {"version": "V2", "controllers": ["memory", "cpu"], "path": folder.path()},
    ]});
    let mut group = Group { cgroup: cgroup::reopen(&serde_json::from_value(paths).unwrap()) };
    // Files of a made-up group keep the tail of a longer old value.
    let is = |name: &str, wanted: &str| {
        let text = fs::read_to_string(file(name)).unwrap();
        assert!(text.starts_with(wanted), "{name}: {text}");
        fs::write(file(name), wanted).unwrap();
    };
    update(&mut group, json!({"cpu": {"quota": 20_000}})).unwrap();
    is("cpu.max", "20000 200000");
    update(&mut group, json!({"cpu": {"period": 100_000}})).unwrap();
    is("cpu.max", "20000 100000");
    update(&mut group, json!({"memory": {"swap": 1500}})).unwrap();
    is("memory.swap.max", "500");
    is("memory.max", "1000");
    let low = json!({"memory": {"limit": 500, "checkBeforeUpdate": true}});
    let error = update(&mut group, low).unwrap_err();
    assert!(matches!(error, CgroupError::InUse { limit: Limit::Memory, value: 500, used: 600 }));
    is("memory.max", "1000");
}

#[test]
fn running_out_of_memory_is_reported_and_so_is_the_end() {
    if !require::root() || require::controller("memory").is_none() {
        return;
    }
    let group = Group::new("watch", &json!({"memory": {"limit": 16 << 20}}));
    let mut watch = group.cgroup.watch_memory().unwrap();
    let mut heard = |wanted: OomEvent| {
        wait_until("the event", || {
            let mut poll = [PollFd::new(&watch, PollFlags::IN)];
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            rustix::event::poll(&mut poll, Some(&second)).unwrap();
            watch.take().unwrap() == wanted
        });
    };
    let status = group.run("exec tail /dev/zero");
    assert_eq!(status.signal(), Some(9));
    heard(OomEvent::OutOfMemory);
    group.cgroup.remove().unwrap();
    heard(OomEvent::Gone);
    assert_eq!(watch.kills(), 1);
}

#[test]
fn killing_reaches_every_process_and_removing_leaves_nothing() {
    if !require::root() {
        return;
    }
    let group = Group::new("kill", &json!({}));
    let mut child =
        group.start("fork() { while :; do sleep 100 & sleep 0.01; done; }; fork & fork & wait");
    wait_until("it forks", || group.cgroup.processes().unwrap().len() > 10);
    // Another process finds the groups by what was written down.
    let text = serde_json::to_string(group.cgroup.paths()).unwrap();
    let other = cgroup::reopen(&serde_json::from_str(&text).unwrap());
    other.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    wait_until("all are gone", || group.cgroup.processes().unwrap().is_empty());
    other.remove().unwrap();
    for folder in group.folders() {
        assert!(!folder.exists(), "{}", folder.display());
    }
    // Once more changes nothing.
    other.kill().unwrap();
    other.remove().unwrap();
    assert_eq!(other.oom_kills().unwrap(), 0);
}

#[test]
fn groups_that_a_container_made_inside_are_removed_too() {
    if !require::root() {
        return;
    }
    let group = Group::new("nested", &json!({}));
    for folder in group.folders() {
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        fs::create_dir(folder.join("a/d")).unwrap();
    }
    group.cgroup.remove().unwrap();
    assert!(group.folders().iter().all(|folder| !folder.exists()));
}

#[test]
fn a_frozen_container_stands_still_and_can_be_killed() {
    if !require::root() {
        return;
    }
    let group = Group::new("freeze", &json!({}));
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut child =
        group.start(&format!("while :; do echo >> {}; sleep 0.01; done", file.path().display()));
    let size = || file.path().metadata().unwrap().len();
    wait_until("it runs", || size() > 3);
    group.cgroup.freeze(true).unwrap();
    let before = size();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(size(), before);
    group.cgroup.freeze(false).unwrap();
    wait_until("it goes on", || size() > before);
    group.cgroup.freeze(true).unwrap();
    group.cgroup.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_group_that_exists_is_not_taken_over() {
    if !require::root() {
        return;
    }
    let mut plan = plan(&Host::probe().unwrap(), "twice", &json!({}), false);
    plan.groups.iter_mut().for_each(|group| group.reuse = false);
    let group = Group { cgroup: cgroup::create(&plan).unwrap() };
    let error = cgroup::create(&plan).unwrap_err();
    assert!(
        matches!(&error, CgroupError::Exists { path } if *path == plan.groups[0].path),
        "{error}"
    );
    assert!(group.folders().iter().all(|folder| folder.exists()));
}

#[test]
fn a_value_that_the_kernel_refuses_leaves_no_group_behind() {
    if !require::root() || require::controller("cpuset").is_none() {
        return;
    }
    let resources = json!({"cpu": {"cpus": "4000"}, "pids": {"limit": 5}});
    let plan = plan(&Host::probe().unwrap(), "refused", &resources, false);
    let error = cgroup::create(&plan).unwrap_err();
    assert!(
        matches!(&error, CgroupError::Write { limit: Limit::Cpus, value, .. } if value == "4000"),
        "{error}"
    );
    assert!(plan.groups.iter().all(|group| !group.path.exists()));
}

/// The v2 mount of this host.
fn unified() -> Option<Hierarchy> {
    if !require::root() {
        return None;
    }
    let layout = Host::probe().unwrap().cgroups().unwrap().clone();
    let found = layout.hierarchies.into_iter().find(|h| h.version == Version::V2);
    if found.is_none() {
        require::skip(format_args!("needs a cgroup2 mount"));
    }
    found
}

/// This host, were v2 all it had.
fn only_v2(unified: &Hierarchy) -> Host {
    let hierarchies = vec![unified.clone()];
    Host::made_up(0, Kernel::new(5, 14), Layout { hierarchies })
}

#[test]
fn a_v2_group_kills_freezes_and_counts() {
    let Some(unified) = unified() else { return };
    let host = only_v2(&unified);
    let group = Group { cgroup: cgroup::create(&plan(&host, "v2", &json!({}), true)).unwrap() };
    assert!(group.cgroup.join().unwrap().v2.is_some());
    let mut child = group.start("sleep 100 & sleep 100");
    wait_until("it forks", || group.cgroup.processes().unwrap().len() > 1);
    group.cgroup.freeze(true).unwrap();
    group.cgroup.freeze(false).unwrap();
    assert!(group.cgroup.stats().unwrap().cpu_time() > Duration::ZERO);
    group.cgroup.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    group.cgroup.remove().unwrap();
    assert!(group.folders().iter().all(|folder| !folder.exists()));
}

#[test]
fn a_group_is_handed_over_but_not_its_limits() {
    let Some(unified) = unified() else { return };
    let limits = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]});
    let mut plan = plan(&only_v2(&unified), "owner", &limits, false);
    plan.hand_to(12345);
    let group = Group { cgroup: cgroup::create(&plan).unwrap() };
    let folder = &group.folders()[0];
    let owner = |name: &str| folder.join(name).metadata().unwrap().uid();
    for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        assert_eq!(owner(name), 12345, "{name}");
    }
    for name in ["cgroup.kill", "cgroup.freeze", "hugetlb.2MB.max"] {
        assert_eq!(owner(name), 0, "{name}");
    }
}

#[test]
fn a_threaded_subtree_is_named_as_the_reason() {
    let Some(unified) = unified() else { return };
    let limits = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]});
    let mut plan = plan(&only_v2(&unified), "threaded", &limits, false);
    let parent = plan.groups[0].path.with_extension("parent");
    plan.groups[0].path = parent.join("threads/c1");
    let threads = parent.join("threads");
    fs::create_dir_all(&threads).unwrap();
    fs::write(threads.join("cgroup.type"), "threaded").unwrap();
    let error = cgroup::create(&plan).map(drop).unwrap_err();
    fs::remove_dir(&threads).unwrap();
    fs::remove_dir(&parent).unwrap();
    let CgroupError::Threaded { kind, .. } = &error else { panic!("{error}") };
    assert!(kind.contains("threaded"), "{kind}");
}

#[test]
fn controllers_are_enabled_from_the_anchor_down() {
    let folder = tempfile::tempdir().unwrap();
    let anchor = folder.path().to_owned();
    fs::create_dir(anchor.join("coracle")).unwrap();
    fs::write(anchor.join("cgroup.subtree_control"), "cpu io\n").unwrap();
    fs::write(anchor.join("coracle/cgroup.subtree_control"), "memory pids\n").unwrap();
    let path = anchor.join("coracle/c1");
    let group = GroupPlan {
        version: Version::V2,
        anchor: anchor.clone(),
        path: path.clone(),
        needed: BTreeSet::from([Controller::Memory]),
        welcome: BTreeSet::from([Controller::Pids]),
        reuse: false,
        settings: Vec::new(),
        devices: None,
        owner: None,
    };
    let plan = CgroupPlan { groups: vec![group], scope: None };
    cgroup::create(&plan).unwrap();
    let text = |path: &Path| fs::read_to_string(path.join("cgroup.subtree_control")).unwrap();
    assert_eq!(text(&anchor), "+memory +pids");
    // Enabled already: not written again.
    assert_eq!(text(&anchor.join("coracle")), "memory pids\n");
    assert!(path.is_dir());
}

#[test]
fn a_limit_without_its_file_says_what_the_kernel_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c1");
    let choices = [("io.bfq.weight", "100"), ("io.weight", "900")];
    let setting = Setting {
        limit: Limit::IoWeight,
        choices: choices.map(|(file, value)| (file.to_owned(), value.to_owned())).into(),
        optional: false,
    };
    let group = GroupPlan {
        version: Version::V1,
        anchor: folder.path().to_owned(),
        path: path.clone(),
        needed: BTreeSet::from([Controller::Io]),
        welcome: BTreeSet::new(),
        reuse: false,
        settings: vec![setting],
        devices: None,
        owner: None,
    };
    let error = cgroup::create(&CgroupPlan { groups: vec![group], scope: None }).unwrap_err();
    let file = path.join("io.bfq.weight");
    let expected = format!(
        "cannot keep the disk weight (--io-weight): this kernel has no `{}`",
        file.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("BFQ"));
    assert!(!path.exists());
}

#[test]
fn this_hosts_layout_is_what_the_mount_table_says() {
    let host = Host::probe().unwrap();
    let layout = host.cgroups().unwrap();
    for name in ["cpu", "cpuset", "memory", "pids"] {
        let Some(found) = require::controller(name) else { continue };
        let controller = Controller::parse_list(name, Version::V2).into_iter().next().unwrap();
        let hierarchy = layout.of(controller).expect(name);
        let expected = match found {
            require::Hierarchy::V1(mount) => (Version::V1, mount),
            require::Hierarchy::V2(mount) => (Version::V2, mount),
        };
        assert_eq!((hierarchy.version, hierarchy.mount.clone()), expected, "{name}");
        if rustix::process::geteuid().is_root() {
            let root: Vec<&Path> =
                hierarchy.anchors.iter().map(|a: &Anchor| a.path.as_path()).collect();
            assert_eq!(root, [Path::new("/")], "{name}");
        }
    }
}
