//! What cannot be done is said in words that callers look for, and has no effect.

use std::fs;

use serde_json::{Value, json};

use crate::{Bench, text};

#[test]
fn what_is_out_of_turn_is_refused_and_changes_nothing() {
    let Some(bench) = Bench::new("turn") else { return };
    bench.write("exec sleep 1000", &json!({}));
    let id = bench.id();
    let bundle = bench.bundle();
    for verb in ["start", "state", "kill", "delete"] {
        bench.paddle(&[verb, &id]).fails(1, "does not exist");
    }
    bench.paddle(&["delete", "--force", &id]).ok();
    bench.create(&id);
    let create = ["create", "--bundle", text(&bundle), &id];
    bench.paddle(&create).fails(1, "container with given ID already exists");
    bench.paddle(&["delete", &id]).fails(1, "is created");
    assert_eq!(bench.status(&id), "created");
    bench.paddle(&["start", &id]).ok();
    bench.paddle(&["start", &id]).fails(1, "it is running, not created");
    bench.paddle(&["delete", &id]).fails(1, "is running");
    bench.paddle(&create).fails(1, "container with given ID already exists");
    assert_eq!(bench.status(&id), "running");
    bench.paddle(&["kill", &id, "9"]).ok();
    bench.becomes(&id, "stopped");
    bench.paddle(&["start", &id]).fails(1, "it is stopped, not created");
    bench.paddle(&["kill", &id]).fails(1, "container not running");
    bench.paddle(&create).fails(1, "container with given ID already exists");
    bench.paddle(&["delete", &id]).ok();
    bench.is_clean();
}

/// `create` of a bundle with these changes ends with that status and words, and leaves no trace.
fn check_refused(bench: &Bench, rows: impl IntoIterator<Item = (i32, &'static str, Value)>) {
    for (code, message, changes) in rows {
        bench.write("exit 0", &changes);
        let id = bench.id();
        let bundle = bench.bundle();
        bench.paddle(&["create", "--bundle", text(&bundle), &id]).fails(code, message);
        bench.is_clean();
    }
}

#[test]
fn a_bundle_that_cannot_be_carried_out_leaves_no_trace() {
    let Some(bench) = Bench::new("refused") else { return };
    let program = |name: &str| json!({ "process": { "args": [name] } });
    fs::write(bench.root().join("tmp/plain"), "x").unwrap();
    let limit = json!({ "type": "RLIMIT_CORE", "soft": 0, "hard": 0 });
    let zero = json!({ "path": "/bin/true", "timeout": 0 });
    let rows = [
        (127, "executable file not found in $PATH", program("nothing")),
        (127, "no such file or directory", program("/bin/nothing")),
        (126, "permission denied", program("/tmp/plain")),
        (126, "permission denied", program("/tmp")),
        (1, "is none of 1.x", json!({ "ociVersion": "2.0.0" })),
        (1, "another platform's", json!({ "windows": { "layerFolders": [] } })),
        (1, "not what the specification says", json!({ "process": { "cwd": 7 } })),
        (1, "names no program", json!({ "process": { "args": [] } })),
        (1, "not absolute", json!({ "process": { "cwd": "tmp" } })),
        (1, "has a NUL byte", json!({ "process": { "args": ["a\0b"] } })),
        (1, "is given twice", json!({ "process": { "rlimits": [limit, limit] } })),
        (1, "timeout", json!({ "hooks": { "poststop": [zero] } })),
        (1, "not absolute", json!({ "hooks": { "prestart": [{ "path": "true" }] } })),
        (1, "there is no --console-socket", json!({ "process": { "terminal": true } })),
        (1, "cannot", json!({ "root": { "path": "missing" } })),
    ];
    check_refused(&bench, rows);
}

#[test]
fn namespaces_that_cannot_be_are_refused() {
    let Some(bench) = Bench::new("badns") else { return };
    let with = |more: Value| {
        let mut list = vec![json!({ "type": "pid" }), json!({ "type": "mount" })];
        list.extend(more.as_array().cloned().unwrap_or_default());
        json!({ "linux": { "namespaces": list } })
    };
    let mut host_names = with(json!([]));
    host_names["hostname"] = json!("x");
    let clock = json!({ "monotonic": { "secs": 1 } });
    let sysctl = json!({ "kernel.domainname": "a" });
    let two_names = json!({ "domainname": "b", "linux": { "sysctl": sysctl } });
    let rows = [
        (1, "the pid namespace is given twice", with(json!([{ "type": "pid" }]))),
        (1, "is not absolute", with(json!([{ "type": "ipc", "path": "ipc" }]))),
        (
            1,
            "no namespace of this kind",
            with(json!([{ "type": "ipc", "path": "/proc/self/ns/net" }])),
        ),
        (1, "would change the host's", host_names),
        (1, "the domain name is given twice", two_names),
        (1, "clock offsets need", json!({ "linux": { "timeOffsets": clock } })),
    ];
    check_refused(&bench, rows);
}

#[test]
fn what_cannot_be_executed_fails_start() {
    let Some(bench) = Bench::new("exec") else { return };
    let script = bench.root().join("tmp/script");
    fs::write(&script, "#!/missing\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bench.write("", &json!({ "process": { "args": ["/tmp/script"] } }));
    let id = bench.id();
    bench.create(&id);
    bench.paddle(&["start", &id]).fails(127, "/tmp/script");
    assert_eq!(bench.status(&id), "stopped");
    bench.paddle(&["delete", &id]).ok();
    bench.is_clean();
}

#[test]
fn errors_are_in_the_log_as_callers_parse_them() {
    let Some(bench) = Bench::new("log") else { return };
    let log = bench.scratch.path().join("log");
    bench.paddle(&["--log", text(&log), "--log-format", "json", "state", "absent"]).fails(1, "");
    bench.paddle(&["--log", text(&log), "--log-format=json", "start", "absent"]).fails(1, "");
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "error");
    assert!(last["msg"].as_str().unwrap().contains("does not exist"), "{last}");
    let time = last["time"].as_str().unwrap();
    assert!(time.len() == 20 && time.ends_with('Z') && time.contains('T'), "{time}");
    // A capability that nobody knows is a warning, one that cannot be ambient is, too.
    let sets = json!({ "bounding": ["CAP_FLY"], "ambient": ["CAP_KILL"] });
    bench.write("exit 0", &json!({ "process": { "capabilities": sets } }));
    let id = bench.id();
    let bundle = bench.bundle();
    let log_option = crate::text(&log);
    bench.paddle(&["--log", log_option, "run", "--bundle", crate::text(&bundle), &id]).ok();
    let text = fs::read_to_string(&log).unwrap();
    for message in [
        "ignoring unknown or unavailable capabilities: [CAP_FLY]",
        "ignoring ambient capabilities that are not inheritable: [CAP_KILL]",
    ] {
        assert!(text.contains(&format!("level=warning msg=\"{message}\"")), "{text}");
    }
    // They are not in what the container says.
    let err = fs::read_to_string(bench.scratch.path().join("err")).unwrap();
    assert_eq!(err, "");
    bench.is_clean();
}

#[test]
fn conmon_gets_an_error_and_its_causes_on_one_line() {
    let Some(bench) = Bench::new("conmon") else { return };
    let bundle = bench.bundle();
    let config = bundle.join("missing.json");
    let create = ["create", "--bundle", text(&bundle), "--config", text(&config), &bench.id()];
    let cause = "No such file or directory (os error 2)\n";
    bench.paddle(&create).fails(1, &format!("`\n  caused by: {cause}"));
    let mut command = bench.scratch.paddle();
    command.args(create).env("_OCI_SYNCPIPE", "3");
    bench.finish(&mut command).fails(1, &format!("missing.json`: {cause}"));
}

#[test]
fn the_version_is_in_the_form_that_engines_parse() {
    let Some(bench) = Bench::new("version") else { return };
    let version = bench.paddle(&["--version"]).ok();
    let lines: Vec<&str> = version.lines().collect();
    assert!(lines[0].starts_with("paddle version "), "{version}");
    assert!(lines[1].starts_with("commit: ") && lines[2] == "spec: 1.3.0", "{version}");
}
