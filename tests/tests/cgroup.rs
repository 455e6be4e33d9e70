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
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::report::Diagnostic as _;
use launcher::cgroup::{
    self, Cgroup, CgroupError, CgroupPlan, Driver, GroupPlan, Limit, Request, Setting,
};
use launcher::host::{Anchor, Controller, Hierarchy, Host, Kernel, Layout, Version};
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
    let driver = Driver::Cgroupfs;
    let request =
        Request { id: name, path: Some(&path), resources: Some(&resources), driver, complete };
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
    };
    let plan = CgroupPlan { groups: vec![group] };
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
    };
    let error = cgroup::create(&CgroupPlan { groups: vec![group] }).unwrap_err();
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
