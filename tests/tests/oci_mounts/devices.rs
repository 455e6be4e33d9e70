//! Nodes of `/dev`.

use serde_json::{Value, json};
use tests::require;

use crate::bundle::Bundle;

fn dev() -> Value {
    json!([{ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] }])
}

fn devices(devices: &Value) -> Value {
    json!({ "mounts": dev(), "linux": { "devices": devices } })
}

#[test]
fn default_nodes_and_links_are_there() {
    if !require::root() {
        return;
    }
    let questions = [
        "stat=/dev/null",
        "stat=/dev/zero",
        "stat=/dev/full",
        "stat=/dev/random",
        "stat=/dev/urandom",
        "stat=/dev/tty",
        "link=/dev/fd",
        "link=/dev/stdin",
        "link=/dev/stdout",
        "link=/dev/stderr",
        "link=/dev/ptmx",
        "write=/dev/null",
    ];
    let expected = "20666 0:0 1:3\n20666 0:0 1:5\n20666 0:0 1:7\n20666 0:0 1:8\n20666 0:0 1:9\n20666 0:0 5:0\n\
        /proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\nok\n";
    let bundle = Bundle::new("default");
    bundle.check(&json!({ "mounts": dev() }), &questions, expected);
    // Without a file system of its own, in the root's own folder; and once more, where all is there.
    bundle.check(&json!({}), &questions, expected);
    bundle.check(&json!({}), &questions, expected);
    Bundle::bare("default").check(&json!({}), &questions, expected);
}

#[test]
fn nodes_are_made_as_they_are_written() {
    if !require::root() {
        return;
    }
    let changes = devices(&json!([
        { "path": "/dev/test1", "type": "c", "major": 10, "minor": 666, "fileMode": 432, "uid": 3, "gid": 4 },
        { "path": "/dev/deep/test2", "type": "b", "major": 8, "minor": 666, "fileMode": 0o60660 },
        { "path": "/dev/test3", "type": "p", "fileMode": 0o666, "uid": 1 },
        { "path": "/dev/test4", "type": "u", "major": 1, "minor": 3 },
        { "path": "/test5", "type": "p", "fileMode": 0o2622, "gid": 9 },
        // Before a default one.
        { "path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "gid": 5 },
    ]));
    let questions = [
        "stat=/dev/test1",
        "stat=/dev/deep/test2",
        "stat=/dev/test3",
        "stat=/dev/test4",
        "stat=/test5",
        "stat=/dev/null",
        "write=/dev/test4",
    ];
    Bundle::new("written").check(
        &changes,
        &questions,
        "20660 3:4 10:666\n60660 0:0 8:666\n10666 1:0 0:0\n20666 0:0 1:3\n12622 0:9 0:0\n20600 0:5 1:3\nok\n",
    );
}

/// runtime-spec, config-linux: "If a file already exists at path that does not match the requested device, the runtime MUST
/// generate an error."
#[test]
fn something_else_at_the_place_of_a_node_is_an_error() {
    if !require::root() {
        return;
    }
    let node = json!({ "linux": { "devices": [
        { "path": "/dev/there", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 2 },
    ] } });
    let bundle = Bundle::new("there");
    let there = bundle.root().join("dev/there");
    for number in [None, Some((1, 5)), Some((1, 3))] {
        match number {
            None => std::fs::write(&there, "").unwrap(),
            Some((major, minor)) => {
                std::fs::remove_file(&there).unwrap();
                let kind = rustix::fs::FileType::CharacterDevice;
                let device = rustix::fs::makedev(major, minor);
                rustix::fs::mknodat(rustix::fs::CWD, &there, kind, 0o666.into(), device).unwrap();
            }
        }
        if number == Some((1, 3)) {
            bundle.check(&node, &["stat=/dev/there"], "20640 2:0 1:3\n");
        } else {
            let message = bundle.refusal(&node);
            assert!(
                message.contains("cannot make device `/dev/there`: something else is there"),
                "{message}"
            );
        }
    }
    // Nobody asked for a default one: it is put over what is there.
    std::fs::remove_file(bundle.root().join("dev/null")).unwrap();
    std::fs::write(bundle.root().join("dev/null"), "an image's own\n").unwrap();
    std::fs::remove_file(bundle.root().join("dev/ptmx")).unwrap();
    std::fs::write(bundle.root().join("dev/ptmx"), "an image's own\n").unwrap();
    std::fs::remove_file(&there).unwrap();
    bundle.check(
        &json!({}),
        &["stat=/dev/null", "write=/dev/null", "link=/dev/ptmx"],
        "20666 0:0 1:3\nok\npts/ptmx\n",
    );
    assert_eq!(
        std::fs::read_to_string(bundle.root().join("dev/null")).unwrap(),
        "an image's own\n"
    );
}

/// Making something in it would make it on the host.
#[test]
fn a_dev_of_the_hosts_stays_as_it_is() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("hosts");
    std::fs::create_dir(bundle.host().join("dev")).unwrap();
    let changes = json!({ "mounts": [
        { "destination": "/dev", "type": "bind", "source": "%HOST/dev", "options": ["rbind"] },
    ], "linux": { "devices": [{ "path": "/dev/fuse", "type": "c", "major": 10, "minor": 229 }] } });
    bundle.check(&changes, &["ls=/dev"], "\n");
}

#[test]
fn in_a_user_namespace_nodes_are_the_hosts_or_made_by_the_launcher() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("bound");
    for entry in walkdir::WalkDir::new(bundle.root()) {
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(200_000), Some(200_000)).unwrap();
    }
    let mut changes = devices(&json!([
        { "path": "/dev/urandom", "type": "c", "major": 1, "minor": 9 },
        // The host has no such node, and none of these owners.
        { "path": "/dev/deep/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o440, "uid": 3, "gid": 4 },
        { "path": "/dev/block", "type": "b", "major": 1, "minor": 5, "fileMode": 0o157, "uid": 10 },
        { "path": "/dev/pipe", "type": "p", "fileMode": 0o600, "uid": 5 },
    ]));
    let list = changes["linux"]["devices"].clone();
    changes["linux"] = crate::binds::user_namespace();
    changes["linux"]["devices"] = list;
    bundle.check(
        &changes,
        &[
            "write=/dev/null",
            "read=/dev/urandom",
            "read=/dev/deep/zero",
            "stat=/dev/pipe",
            "stat=/dev/full",
            "stat=/dev/urandom",
            "stat=/dev/deep/zero",
            "stat=/dev/block",
        ],
        "ok\nok\nok\n10600 5:0 0:0\n20666 65534:65534 1:7\n20666 0:0 1:9\n20440 3:4 1:5\n60157 10:0 1:5\n",
    );
    changes["linux"]["devices"] =
        json!([{ "path": "/dev/null", "type": "c", "major": 1, "minor": 5 }]);
    bundle.check(&changes, &["stat=/dev/null"], "20666 0:0 1:5\n");
    // An ordinary user can make none, and what is bound has to be what was asked for.
    let user = Bundle::new("unmade").launched_by(60_127);
    let map = json!([{ "containerID": 0, "hostID": 60_127, "size": 1 }]);
    changes["linux"]["uidMappings"] = map.clone();
    changes["linux"]["gidMappings"] = map;
    let message = user.refusal(&changes);
    assert!(
        message.contains("cannot make device `/dev/null`: the host has something else there"),
        "{message}"
    );
}
