//! What is decided, for hosts that are made up; and what is refused before anything is done.

use std::path::Path;

use launcher::cgroup::Driver;
use launcher::host::{Controller, Hierarchy, Host, Kernel, Layout, Version};
use launcher::plan::{self, Ground, Plan, PlanError, Source};
use oci_spec::runtime::Spec;
use serde_json::{Value, json};

fn spec(mounts: &Value, linux: &Value) -> Spec {
    serde_json::from_value(json!({
        "ociVersion": "1.2.0", "root": { "path": "rootfs" },
        "process": { "args": ["x"], "cwd": "/", "user": { "uid": 0, "gid": 0 } },
        "mounts": mounts, "linux": linux,
    }))
    .unwrap()
}

fn plan_for(uid: u32, mounts: &Value, linux: &Value) -> Result<Plan, PlanError> {
    let mut linux = linux.clone();
    if linux.get("namespaces").is_none() {
        linux["namespaces"] = json!([{ "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "network" }]);
    }
    let ground = Ground::of_bundle("id", Path::new("/bundle/rootfs"));
    plan::plan(
        &spec(mounts, &linux),
        &ground,
        &Host::made_up(uid, Kernel::new(6, 1), Layout::default()),
    )
}

/// The mounts as a plan prints them.
fn printed(uid: u32, mounts: &Value, linux: &Value) -> String {
    let plan = plan_for(uid, mounts, linux).unwrap();
    let lines: Vec<String> =
        plan.mounts.iter().map(|mount| serde_json::to_string(mount).unwrap()).collect();
    let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(again, plan);
    format!("{:?} {}", plan.sources, lines.join("\n"))
}

#[test]
fn a_plan_shows_mounts_as_they_were_written() {
    let mounts = json!([
        { "destination": "/a", "type": "bind", "source": "/x", "options": ["rbind", "ro", "rnosuid", "noatime", "rprivate"] },
        { "destination": "relative/to/root", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m,mode=700", "shared", "tmpcopyup"] },
        { "destination": "/a", "type": "none", "options": ["bind", "remount", "exec"] },
        { "destination": "/disk", "type": "ext4", "source": "/dev/vda", "options": ["ro", "sync", "errors=remount-ro"] },
    ]);
    insta::assert_snapshot!(printed(0, &mounts, &json!({})), @r#"
    Late {"destination":"/a","source":{"bind":{"path":"/x","recursive":true}},"attributes":["ro","noatime","rnosuid"],"propagation":["rprivate"]}
    {"destination":"/relative/to/root","source":{"new":{"filesystem":"tmpfs","name":"tmpfs","options":[["size","1m"],["mode","700"]],"copy_up":true}},"attributes":[],"propagation":["shared"]}
    {"destination":"/a","source":{"remount":{"options":[]}},"attributes":["exec"]}
    {"destination":"/disk","source":{"new":{"filesystem":"ext4","name":"/dev/vda","options":[["ro",null],["sync",null],["errors","remount-ro"]]}},"attributes":["ro"]}
    "#);
}

#[test]
fn what_only_the_owner_of_a_namespace_can_mount_is_the_hosts() {
    let kernels = json!([
        { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid"] },
        { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid"] },
        { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue" },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["gid=5", "mode=620"] },
    ]);
    let map = json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]);
    let alone = json!({ "namespaces": [{ "type": "user" }, { "type": "mount" }], "uidMappings": map, "gidMappings": map });
    insta::assert_snapshot!(printed(1000, &kernels, &alone), @r#"
    Late {"destination":"/proc","source":{"bind":{"path":"/proc","recursive":true}},"attributes":["rnosuid"],"propagation":["rslave"]}
    {"destination":"/sys","source":{"bind":{"path":"/sys","recursive":true}},"attributes":["rro","rnosuid"],"propagation":["rslave"]}
    {"destination":"/dev/mqueue","source":{"bind":{"path":"/dev/mqueue","recursive":true}},"attributes":[],"propagation":["rslave"]}
    {"destination":"/dev/pts","source":{"new":{"filesystem":"devpts","name":"devpts","options":[["mode","620"]]}},"attributes":[]}
    "#);
}

/// An instance that is made in the host's own cgroup namespace changes the flags of the host's one v2 hierarchy.
#[test]
fn without_a_cgroup_namespace_v2_is_the_hosts() {
    let controllers = Controller::parse_list("memory pids", Version::V2);
    let hierarchy = Hierarchy {
        version: Version::V2,
        mount: "/sys/fs/cgroup".into(),
        controllers,
        own: "/".into(),
        anchors: Vec::new(),
    };
    let host = Host::made_up(0, Kernel::new(6, 1), Layout { hierarchies: vec![hierarchy] });
    for typ in ["cgroup", "cgroup2"] {
        let mounts = json!([{ "destination": "/sys/fs/cgroup", "type": typ, "source": "cgroup" }]);
        for own in [false, true] {
            let mut namespaces = vec![json!({ "type": "mount" }), json!({ "type": "pid" })];
            namespaces.extend(own.then(|| json!({ "type": "cgroup" })));
            let spec = spec(&mounts, &json!({ "namespaces": namespaces }));
            let ground = Ground {
                cgroup_driver: Driver::Disabled,
                ..Ground::of_bundle("id", Path::new("/bundle/rootfs"))
            };
            let plan = plan::plan(&spec, &ground, &host).unwrap();
            let source = &plan
                .mounts
                .iter()
                .find(|one| one.destination.to_string() == "/sys/fs/cgroup")
                .unwrap()
                .source;
            let hosts =
                matches!(source, Source::Bind { path, .. } if path == Path::new("/sys/fs/cgroup"));
            assert_eq!(hosts, !own, "{typ}: {source:?}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let one = |mount: Value| json!([mount]);
    for (mounts, linux, expected) in [
        (
            one(json!({ "destination": "/", "type": "tmpfs" })),
            json!({}),
            "the mount at `/` would hide the root itself",
        ),
        (
            one(json!({ "destination": "/x", "type": "bind", "options": ["bind"] })),
            json!({}),
            "the mount at `/x` has no source",
        ),
        (
            one(
                json!({ "destination": "/x", "type": "bind", "source": "/y", "options": ["bind", "tmpcopyup"] }),
            ),
            json!({}),
            "the mount at `/x` asks for `tmpcopyup`, which only a tmpfs can do",
        ),
        (
            one(json!({ "destination": "/x/../y", "type": "tmpfs" })),
            json!({}),
            "the specification has an unusable path",
        ),
        (
            json!([]),
            json!({ "rootfsPropagation": "sideways" }),
            "`sideways` is no way of propagation for the root",
        ),
        (json!([]), json!({ "maskedPaths": ["../x"] }), "the specification has an unusable path"),
        (
            json!([]),
            json!({ "readonlyPaths": ["/x/../../y"] }),
            "the specification has an unusable path",
        ),
        (
            json!([]),
            json!({ "devices": [{ "path": "/dev/x", "type": "a", "major": 1, "minor": 3 }] }),
            "the device `/dev/x` is of no type that a node can have",
        ),
        (
            json!([]),
            json!({ "devices": [{ "path": "/dev/x", "type": "c", "major": -1, "minor": 3 }] }),
            "the device `/dev/x` has a number that no device has",
        ),
    ] {
        let refused = plan_for(0, &mounts, &linux).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}

#[test]
fn every_word_that_is_known_is_said() {
    let words = plan::mount_options();
    assert!(words.len() > 60 && words.windows(2).all(|pair| pair[0] < pair[1]));
    for word in
        ["rro", "idmap", "ridmap", "tmpcopyup", "rbind", "nosymfollow", "runbindable", "lazytime"]
    {
        assert!(words.contains(&word), "{word}");
    }
}
