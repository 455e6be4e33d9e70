//! Groups are made, frozen, killed and removed.

use super::*;

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
