//! Bundles of ordinary users, and of root in a user namespace (as engines of ordinary users start a runtime).

use std::path::Path;

use serde_json::json;

use crate::{Bench, text};

const USER: u32 = 4242;

fn maps() -> serde_json::Value {
    let map = json!([{ "containerID": 0, "hostID": USER, "size": 1 }]);
    json!({ "linux": {
        "uidMappings": map, "gidMappings": map,
        "namespaces": [
            { "type": "user" }, { "type": "pid" }, { "type": "mount" }, { "type": "ipc" },
            { "type": "uts" }, { "type": "network" }
        ]
    } })
}

#[test]
fn an_ordinary_user_creates_starts_and_deletes() {
    let Some(bench) = Bench::of_user("user", USER) else { return };
    assert_eq!(bench.output("id -u; id -g", &maps()), "0\n0");
    bench.is_clean();
    bench.write("exec sleep 1000", &maps());
    let id = bench.id();
    let pid = bench.create(&id);
    let map = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "4242", "1"]);
    bench.paddle(&["start", &id]).ok();
    assert_eq!(bench.status(&id), "running");
    bench.paddle(&["delete", "--force", &id]).ok();
    bench.is_clean();
    bench.write("exit 0", &json!({}));
    let bundle = bench.bundle();
    bench
        .paddle(&["create", "--bundle", text(&bundle), &bench.id()])
        .fails(1, "an ordinary user needs a user namespace");
    bench.is_clean();
}

#[test]
fn root_of_a_user_namespace_needs_no_other() {
    let Some(bench) = Bench::of_user("nested", USER) else { return };
    let Some(unshare) = tests::require::program("unshare") else { return };
    bench.write("id -u; hostname", &json!({
        "hostname": "box",
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "uts" }, { "type": "ipc" }] }
    }));
    let (bundle, state, id) = (bench.bundle(), bench.scratch.state(), bench.id());
    let paddle = bench.scratch.path().join("bin/paddle");
    let mut command = bench.scratch.command(Path::new(&unshare));
    command.args(["--user", "--map-root-user", "--", text(&paddle), "--root", text(&state)]);
    command.args(["run", "--bundle", text(&bundle), &id]);
    assert_eq!(bench.finish(&mut command).ok(), "0\nbox\n");
    bench.is_clean();
}
