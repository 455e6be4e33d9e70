//! Which groups are planned on which host: tables over made-up hosts, nothing is touched.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure of a helper fails its test"
)]

mod hosts;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::report::Diagnostic as _;
use launcher::cgroup::{self, CgroupPlan, Driver, Request, shares_to_weight, weight_to_shares};
use launcher::host::{Controller, Host};
use oci_spec::runtime::LinuxResources;
use serde_json::{Value, json};

use hosts::{SCOPE, SLICE, anchor, host, hybrid, v1, v2, v2_root, v2_ssh, v2_user};

fn request(resources: Option<&LinuxResources>) -> Request<'_> {
    let driver = Driver::Cgroupfs;
    Request { id: "c1", path: None, resources, driver, annotations: None, complete: false }
}

fn plan(host: &Host, resources: &Value) -> Result<CgroupPlan, String> {
    let resources = serde_json::from_value(resources.clone()).expect("resources");
    let request = request(Some(&resources));
    cgroup::plan(&request, host)
        .map_err(|error| format!("{error}\nhint: {}", error.hint().unwrap_or_default()))
}

/// One line a group, one line a value; device rules are counted, they have a test of their own.
fn dump(plan: &CgroupPlan) -> String {
    let mut text = String::new();
    for group in &plan.groups {
        let controllers: Vec<_> = group.controllers().iter().map(ToString::to_string).collect();
        writeln!(text, "{} [{}]", group.path.display(), controllers.join(" ")).unwrap();
        for setting in &group.settings {
            let choices: Vec<_> =
                setting.choices.iter().map(|(file, value)| format!("{file}={value}")).collect();
            if !choices[0].starts_with("devices.") {
                writeln!(text, "  {}", choices.join(" | ")).unwrap();
            }
        }
        if let Some(rules) = &group.devices {
            writeln!(text, "  {} device rules", rules.len()).unwrap();
        }
    }
    text
}

#[expect(clippy::needless_pass_by_value, reason = "rows are written as literals")]
fn check(host: &Host, resources: Value, expected: &str) {
    let got = plan(host, &resources).map_or_else(|error| error, |plan| dump(&plan));
    let lines = |text: &str| {
        text.lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&got), lines(expected), "{resources}");
}

#[test]
fn root_gets_a_group_without_limits_and_only_where_it_is_cheap() {
    check(&v2_root(), json!({}), "/sys/fs/cgroup/coracle/c1 [memory pids]\n 11 device rules");
    check(
        &hybrid(0, &["/"]),
        json!({}),
        "/sys/fs/cgroup/memory/coracle/c1 [memory]
         /sys/fs/cgroup/pids/coracle/c1 [pids]
         /sys/fs/cgroup/devices/coracle/c1 [devices]",
    );
}

#[test]
fn a_user_without_limits_gets_no_group() {
    for host in [v2_user(), v2_ssh(), hybrid(1000, &[])] {
        check(&host, json!({}), "");
    }
}

#[test]
fn a_user_gets_the_nearest_delegated_group_without_processes() {
    let expected =
        format!("/sys/fs/cgroup{SLICE}/coracle/c1 [memory pids]\n memory.max=1048576\n pids.max=7");
    check(&v2_user(), json!({"memory": {"limit": 1_048_576}, "pids": {"limit": 7}}), &expected);
}

#[test]
fn what_is_not_delegated_is_an_error_that_says_how_to_mend_it() {
    check(
        &v2_user(),
        json!({"cpu": {"quota": 50000}}),
        &format!("cannot keep the CPU quota (--cpus): the cgroup controller `cpu` is not delegated to the group `{SCOPE}`
         hint: let the administrator add `Delegate=cpu` to user@.service (systemctl edit user@.service)"),
    );
    check(
        &v2_ssh(),
        json!({"memory": {"limit": 1}}),
        "cannot keep the memory limit (--memory): the cgroup controller `memory` is not delegated to this user (own group `/user.slice/user-1000.slice/session-1.scope`)
         hint: let the user's systemd make the group (--cgroup-manager systemd; `loginctl enable-linger` starts one), with `Delegate=memory` for user@.service; or run paddle as root",
    );
    let crowded = host(0, vec![v2("/", vec![anchor("/", "memory pids", true)])]);
    check(
        &crowded,
        json!({"memory": {"limit": 1}}),
        "cannot keep the memory limit (--memory): the cgroup controller `memory` cannot be enabled in the group `/`, in which processes live
         hint: move those processes to a group below it, then enable the controller in its cgroup.subtree_control",
    );
    check(
        &host(0, Vec::new()),
        json!({"pids": {"limit": 1}}),
        "cannot keep the limit of processes (--pids-limit): the cgroup controller `pids` is not mounted
         hint: see /proc/cgroups whether the kernel has it; mount it, or remove `cgroup_disable=pids` from the kernel's command line",
    );
}

#[test]
fn each_limit_has_its_file_in_both_interfaces() {
    let resources = json!({
        "memory": {"limit": 1000, "swap": 1500, "reservation": 500},
        "cpu": {"shares": 1024, "quota": 150_000, "period": 100_000, "cpus": "0-1,3"},
        "pids": {"limit": -1},
        "blockIO": {"weight": 500, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 4096}],
                    "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 10}]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 0}],
    });
    let root =
        host(0, vec![v2("/", vec![anchor("/", "cpu cpuset io memory pids hugetlb", false)])]);
    check(
        &root,
        resources.clone(),
        "/sys/fs/cgroup/coracle/c1 [cpu cpuset memory pids io hugetlb]
           memory.max=1000
           memory.swap.max=500
           memory.low=500
           cpu.weight=100
           cpu.max=150000 100000
           cpuset.cpus=0-1,3
           pids.max=max
           io.bfq.weight=500 | io.weight=4950
           io.max=8:0 rbps=4096
           io.max=8:0 wiops=10
           hugetlb.2MB.max=0
           hugetlb.2MB.rsvd.max=0
           11 device rules",
    );
    check(
        &hybrid(0, &["/"]),
        resources,
        "/sys/fs/cgroup/cpu,cpuacct/coracle/c1 [cpu]
           cpu.shares=1024
           cpu.cfs_period_us=100000
           cpu.cfs_quota_us=150000
         /sys/fs/cgroup/cpuset/coracle/c1 [cpuset]
           cpuset.cpus=0-1,3
         /sys/fs/cgroup/memory/coracle/c1 [memory]
           memory.limit_in_bytes=1000
           memory.memsw.limit_in_bytes=1500
           memory.soft_limit_in_bytes=500
         /sys/fs/cgroup/blkio/coracle/c1 [io]
           blkio.bfq.weight=500 | blkio.weight=500
           blkio.throttle.read_bps_device=8:0 4096
           blkio.throttle.write_iops_device=8:0 10
         /sys/fs/cgroup/pids/coracle/c1 [pids]
           pids.max=max
         /sys/fs/cgroup/devices/coracle/c1 [devices]
         /sys/fs/cgroup/unified/coracle/c1 [hugetlb]
           hugetlb.2MB.max=0
           hugetlb.2MB.rsvd.max=0",
    );
}

#[test]
fn what_one_interface_lacks_is_refused_there() {
    let refused = |host: &Host, resources: Value, words: &str| {
        let error = plan(host, &resources).expect_err(words);
        assert!(error.contains(words), "{error}");
    };
    refused(&v2_root(), json!({"memory": {"swappiness": 10}}), "cgroup v2 has no such limit");
    refused(&v2_root(), json!({"cpu": {"realtimeRuntime": 10}}), "cgroup v2 has no such limit");
    let hybrid = hybrid(0, &["/"]);
    let old = host(0, vec![v1("memory", &["/"])]);
    refused(&old, json!({"unified": {"memory.high": "1"}}), "cgroup v1 has no such limit");
    refused(&hybrid, json!({"unified": {"memory.high": "1"}}), "cgroup v1 has no such limit");
    check(
        &v2_root(),
        json!({"unified": {"memory.high": "10M", "cgroup.max.depth": "3", "new.file": "1"}}),
        "/sys/fs/cgroup/coracle/c1 [memory pids]
           cgroup.max.depth=3
           memory.high=10M
           new.file=1
           11 device rules",
    );
}

#[test]
fn values_that_mean_nothing_are_refused() {
    for (resources, words) in [
        (json!({"memory": {"swap": 100}}), "needs a memory limit beside it"),
        (json!({"memory": {"limit": 200, "swap": 100}}), "is less than the memory limit"),
        (json!({"memory": {"limit": -1, "swap": 100}}), "while memory is unlimited"),
        (json!({"cpu": {"cpus": "0;1"}}), "is no list"),
        (json!({"cpu": {"mems": "3-1"}}), "is no list"),
        (json!({"blockIO": {"weight": 5}}), "is not from 10 to 1000"),
        (json!({"hugepageLimits": [{"pageSize": "../x", "limit": 0}]}), "is no page size"),
        (json!({"unified": {"../cgroup.procs": "1"}}), "is no file of a cgroup"),
        (json!({"unified": {"memory": "1"}}), "is no file of a cgroup"),
        (json!({"devices": [{"allow": true, "type": "c", "access": "rx"}]}), "letters other than"),
        (json!({"devices": [{"allow": true, "type": "c", "major": -2}]}), "out of range"),
    ] {
        let error = plan(&v2_root(), &resources).expect_err(words);
        assert!(error.contains(words), "{error}");
    }
    // Weights of v2 have a nearest one.
    for (shares, words) in [
        (1, "`1` is too small: the minimum allowed cpu-shares is 2"),
        (262_145, "`262145` is too large: the maximum allowed cpu-shares is 262144"),
    ] {
        let resources = json!({"cpu": {"shares": shares}});
        let error = plan(&hybrid(0, &["/"]), &resources).expect_err(words);
        assert!(error.contains(words), "{error}");
        plan(&v2_root(), &resources).unwrap();
    }
}

#[test]
fn a_path_cannot_leave_its_place() {
    let resources = serde_json::from_value(json!({})).unwrap();
    let at = |path: &str| {
        let path = PathBuf::from(path);
        let request = Request { path: Some(&path), ..request(Some(&resources)) };
        cgroup::plan(&request, &v2_root()).map(|plan| plan.groups[0].path.clone())
    };
    assert_eq!(at("/a/b").unwrap(), Path::new("/sys/fs/cgroup/a/b"));
    assert_eq!(at("a").unwrap(), Path::new("/sys/fs/cgroup/a"));
    for path in ["/b", "/a/../../b", "../../b", "./b", "a/../b", "b/c/..", "//b/"] {
        assert_eq!(at(path).unwrap(), Path::new("/sys/fs/cgroup/b"), "{path}");
    }
    for path in ["..", "/", "a/..", "a/../..", ".", ""] {
        assert!(matches!(at(path), Err(cgroup::CgroupError::Path { .. })), "{path}");
    }
}

#[test]
fn whoever_knows_the_delegated_group_may_name_it_in_full() {
    let resources = serde_json::from_value(json!({"pids": {"limit": 1}})).unwrap();
    let at = |path: &str| {
        let path = PathBuf::from(path);
        let request = Request { path: Some(&path), ..request(Some(&resources)) };
        cgroup::plan(&request, &v2_user()).map(|plan| plan.groups[0].path.clone())
    };
    let below = |name: &str| Path::new("/sys/fs/cgroup").join(&SLICE[1..]).join(name);
    assert_eq!(at(&format!("{SLICE}/pod/c1")).unwrap(), below("pod/c1"));
    assert_eq!(at("/pod/c1").unwrap(), below("pod/c1"));
    assert_eq!(at("pod/c1").unwrap(), below("pod/c1"));
}

#[test]
fn a_complete_container_has_every_controller_that_is_to_be_had() {
    let plan = |host: &Host| {
        let request = Request { complete: true, ..request(None) };
        dump(&cgroup::plan(&request, host).unwrap())
    };
    assert_eq!(
        plan(&v2_root()),
        "/sys/fs/cgroup/coracle/c1 [cpu cpuset memory pids io]\n  11 device rules\n"
    );
    let groups: Vec<_> = plan(&hybrid(0, &["/"])).lines().map(str::to_owned).collect();
    assert_eq!(
        groups,
        [
            "/sys/fs/cgroup/cpu,cpuacct/coracle/c1 [cpu cpuacct]",
            "/sys/fs/cgroup/cpuset/coracle/c1 [cpuset]",
            "/sys/fs/cgroup/memory/coracle/c1 [memory]",
            "/sys/fs/cgroup/blkio/coracle/c1 [io]",
            "/sys/fs/cgroup/pids/coracle/c1 [pids]",
            "/sys/fs/cgroup/freezer/coracle/c1 [freezer]",
            "/sys/fs/cgroup/devices/coracle/c1 [devices]",
            "/sys/fs/cgroup/unified/coracle/c1 [hugetlb]",
        ]
    );
    // Nothing is delegated, and nothing was asked for.
    assert_eq!(plan(&v2_ssh()), "");
}

#[test]
fn without_groups_limits_are_refused_and_device_rules_are_not() {
    let plan = |resources: Value| {
        let resources = serde_json::from_value(resources).unwrap();
        let request = Request { driver: Driver::Disabled, ..request(Some(&resources)) };
        cgroup::plan(&request, &v2_root()).map_err(|error| error.to_string())
    };
    let rules = json!({"devices": [{"allow": false, "access": "rwm"}]});
    assert_eq!(plan(rules), Ok(CgroupPlan::default()));
    let error = plan(json!({"pids": {"limit": 1}})).unwrap_err();
    assert!(error.ends_with("cgroups are disabled (--cgroup-manager disabled)"), "{error}");
}

#[test]
fn a_scope_is_where_its_slice_says() {
    let at = |host: &Host, path: Option<&str>| {
        let path = path.map(PathBuf::from);
        let request = Request { driver: Driver::Systemd, path: path.as_deref(), ..request(None) };
        cgroup::plan(&request, host).map(|plan| plan.groups[0].path.display().to_string())
    };
    let root = v2_root();
    for (path, expected) in [
        (None, "system.slice/coracle-c1.scope"),
        (Some("a-b.slice:x:y"), "a.slice/a-b.slice/x-y.scope"),
        (Some(":x:y"), "system.slice/x-y.scope"),
        (Some("-.slice:x:y"), "x-y.scope"),
    ] {
        assert_eq!(at(&root, path).unwrap(), format!("/sys/fs/cgroup/{expected}"));
    }
    for path in ["/a/b", "a.slice:x", "a.slice:x:", "a:x:y", "a.slice:x:y/z", "a.slice:x:y.slice"] {
        let error = at(&root, Some(path)).unwrap_err();
        assert!(error.hint().unwrap().contains("slice:prefix:name"), "{path}: {error}");
    }
    // A user's manager has a tree of its own in the system's.
    let service = "user.slice/user-1000.slice/user@1000.service";
    let user = at(&v2_user(), None).unwrap();
    assert_eq!(user, format!("/sys/fs/cgroup/{service}/user.slice/coracle-c1.scope"));
    let error = at(&hybrid(1000, &[]), None).unwrap_err().to_string();
    assert!(error.contains("cgroup v1"), "{error}");
}

#[test]
fn a_freezer_is_joined_by_complete_containers_only() {
    let request = Request { complete: true, ..request(None) };
    let plan = cgroup::plan(&request, &hybrid(0, &["/"])).unwrap();
    assert!(plan.groups.iter().any(|group| group.controllers().contains(&Controller::Freezer)));
}

#[test]
fn root_of_a_user_namespace_writes_no_device_rules() {
    let plan = plan(&v2_root().in_user_namespace(), &json!({})).unwrap();
    assert_eq!(plan.groups[0].devices, None);
}

#[test]
fn plans_and_paths_survive_being_written_down() {
    let plan = plan(&hybrid(0, &["/"]), &json!({"cpu": {"shares": 2}})).unwrap();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<CgroupPlan>(&text).unwrap(), plan);
    let paths = serde_json::to_string(&plan.paths()).unwrap();
    assert_eq!(serde_json::from_str::<cgroup::CgroupPaths>(&paths).unwrap(), plan.paths());
}

#[test]
fn shares_become_weights_as_runc_and_crun_do_it() {
    for (shares, weight) in [
        (0, 1),
        (2, 1),
        (1024, 100),
        (262_144, 10_000),
        (u64::MAX, 10_000),
        (100, 17),
        (512, 59),
        (2048, 174),
    ] {
        assert_eq!(shares_to_weight(shares), weight, "{shares} shares");
    }
    for weight in 1..=10_000 {
        assert_eq!(shares_to_weight(weight_to_shares(weight)), weight);
    }
}
