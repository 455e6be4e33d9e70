//! Capabilities: all five sets, as they are given.

use serde_json::{Value, json};

use super::{Bench, nothing};

/// The five lines of `/proc/self/status`, as one of numbers.
fn sets(bench: &Bench, process: &Value) -> String {
    let (status, found, message) = bench.run(&["status=Cap"], process, &nothing());
    assert_eq!(status, 0, "{message}");
    let numbers = found.split_whitespace().skip(1).step_by(2);
    let short = |number: &str| number.trim_start_matches('0').to_owned() + ",";
    numbers.map(short).collect()
}

#[test]
fn every_set_of_capabilities_is_as_it_is_given() {
    let Some(bench) = Bench::new("rights-sets") else { return };
    // CAP_CHOWN is 1, CAP_KILL 0x20, CAP_SETUID 0x80. Inherited, permitted, effective, bounding, ambient.
    let root = json!({ "capabilities": {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN"], "inheritable": [], "ambient": [],
    } });
    // exec gives root the whole bounding set (capabilities(7)), unless it may gain nothing by it.
    assert_eq!(sets(&bench, &root), ",21,21,a1,,");
    let mut free = root.clone();
    free["noNewPrivileges"] = json!(false);
    assert_eq!(sets(&bench, &free), ",a1,a1,a1,,");
    let user = |sets: Value| json!({ "user": { "uid": 7, "gid": 7 }, "capabilities": sets });
    let dropped = user(
        json!({ "bounding": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"] }),
    );
    assert_eq!(sets(&bench, &dropped), ",,,1,,");
    let all = json!(["CAP_CHOWN", "CAP_KILL"]);
    let kept = user(json!({
        "bounding": all, "permitted": all, "effective": all, "inheritable": all, "ambient": ["CAP_KILL"],
    }));
    assert_eq!(sets(&bench, &kept), "21,20,20,21,20,");
    assert_eq!(sets(&bench, &json!({ "capabilities": {} })), ",,,,,");
    let without = json!({ "capabilities": null });
    assert_eq!(sets(&bench, &without), ",,,,,");
    // What is ambient must be inheritable and permitted, or cannot be granted: a warning (config, "Linux Process"), in the log
    // alone (`oci`), since buildah asks for such with each program that it runs.
    let impossible = user(json!({ "bounding": all, "permitted": all, "ambient": ["CAP_KILL"] }));
    let (status, found, message) = bench.run(&["status=CapAmb"], &impossible, &nothing());
    assert_eq!((status, found.as_str()), (0, "CapAmb:\t0000000000000000\n"), "{message}");
    assert_eq!(message, "");
}

#[test]
fn capabilities_that_nobody_knows_are_passed_over() {
    let Some(bench) = Bench::new("rights-unknown") else { return };
    let unknown = json!({ "capabilities": { "bounding": ["CAP_CHOWN", "CAP_FLY"], "effective": ["CAP_FLY"] } });
    let (status, found, message) = bench.run(&["status=CapBnd"], &unknown, &nothing());
    assert_eq!((status, found.as_str()), (0, "CapBnd:\t0000000000000001\n"), "{message}");
    assert!(message.contains("CAP_FLY"), "{message}");
}

#[test]
fn no_new_privileges_is_as_it_is_given() {
    let Some(bench) = Bench::new("rights-privileges") else { return };
    for (given, expected) in [(true, "NoNewPrivs:\t1\n"), (false, "NoNewPrivs:\t0\n")] {
        let process = json!({ "noNewPrivileges": given });
        bench.check(&["status=NoNewPrivs"], &process, &nothing(), expected);
    }
}
