//! What only v2 has; on a hybrid host, by its v2 mount.

use super::*;

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
