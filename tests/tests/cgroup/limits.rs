//! Limits hold, measured from inside.

use super::*;

const RUNTIME: &str = "cpu.rt_runtime_us";

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

/// Budgets of children may not exceed the parent's, and the folder of all containers has none at first.
#[test]
fn real_time_budgets_find_room_in_the_folder_that_containers_share() {
    if !require::root() {
        return;
    }
    let cpu = match require::controller("cpu") {
        Some(require::Hierarchy::V1(mount)) if mount.join(RUNTIME).exists() => mount,
        Some(_) => return require::skip(format_args!("needs v1's CONFIG_RT_GROUP_SCHED")),
        None => return,
    };
    let host = Host::probe().unwrap();
    let made = |name: &str, budget: Value| {
        let id = format!("test-{}-{name}", std::process::id());
        let resources = serde_json::from_value(json!({ "cpu": budget })).unwrap();
        let request = Request {
            id: &id,
            path: None,
            resources: Some(&resources),
            driver: Driver::Cgroupfs,
            annotations: None,
            complete: false,
        };
        cgroup::create(&cgroup::plan(&request, &host).unwrap()).map(|cgroup| Group { cgroup })
    };
    let number = |path: &Path| -> u64 { fs::read_to_string(path).unwrap().trim().parse().unwrap() };
    // As other containers' groups on this host have left it.
    let _folder = made("folder", json!({ "shares": 100 })).unwrap();
    let shared = cpu.join("coracle").join(RUNTIME);
    let before = number(&shared);
    let give = |budget: u64| {
        // Of groups that have gone the kernel forgets the budgets a moment later.
        wait_until("budgets go", || fs::write(&shared, budget.to_string()).is_ok());
    };
    give(0);
    let one = made("one", json!({ "realtimeRuntime": 1000, "realtimePeriod": 100_000 })).unwrap();
    assert_eq!(value(&one, Controller::Cpu, RUNTIME, ""), "1000");
    assert_eq!(number(&shared), 10_000);
    let two = made("two", json!({ "realtimeRuntime": 2000 })).unwrap();
    assert_eq!(number(&shared), 12_000, "both have room");
    drop(one);
    assert_eq!(number(&shared), 2_000, "what goes gives its own back");
    let three = made("three", json!({ "realtimeRuntime": 3000 })).unwrap();
    assert_eq!(number(&shared), 5_000);
    let much = made("much", json!({ "realtimeRuntime": 1_000_000 }));
    assert!(matches!(much, Err(CgroupError::Write { limit: Limit::CpuRealtime, .. })));
    assert!(three.cgroup.remove_empty());
    drop((two, three));
    assert_eq!(number(&shared), 0);
    give(before);
}
