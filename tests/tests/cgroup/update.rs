//! Limits are changed while a container runs: all that is given, or nothing.

use super::*;

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
    // Swap alone goes by the limit of memory that there is.
    update(&mut group, json!({"memory": {"swap": 192 << 20}})).unwrap();
    let swap = value(&group, Controller::Memory, "memory.memsw.limit_in_bytes", "memory.swap.max");
    let expected = [192_i64 << 20, 64 << 20].map(|bytes| bytes.to_string());
    assert!(expected.contains(&swap), "{swap}");
    assert_eq!(memory(&group), (128 << 20).to_string());
    let error = update(&mut group, json!({"memory": {"swap": 64 << 20}}));
    assert!(matches!(error, Err(CgroupError::Value { limit: Limit::Swap, .. })), "{error:?}");
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
