//! `ps`, `pause`, `resume`, `update`, `events` of containers.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use tests::outcome::run_with_input;
use tests::require::{self, Hierarchy};

use super::{Bench, within_seconds};

#[test]
fn the_processes_of_a_container_are_listed() {
    let Some(bench) = Bench::new("ps") else { return };
    if require::program("ps").is_none() {
        return;
    }
    let id = bench.start(|_| {});
    let first = bench.pid(&id);
    let second = bench.detach(&id, &["sleep", "999"]);
    let json = bench.paddle(&["ps", "--format", "json", &id]).ok().text();
    let mut pids: Vec<u32> = serde_json::from_str(&json).unwrap();
    pids.sort_unstable();
    let mut expected = vec![first, second];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    let table = bench.paddle(&["ps", &id]).ok().text();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].contains("PID") && lines.len() == 3, "{table}");
    let table = bench.paddle(&["ps", &id, "-o", "pid,args"]).ok().text();
    assert!(table.contains("sleep 1000") && table.contains("sleep 999"), "{table}");
    bench.paddle(&["ps", "--format", "nothing", &id]).exits(2);
    bench.paddle(&["ps", &id, "-o", "args"]).exits(1).says(&["PID"]);
    // None of one that has ended.
    bench.paddle(&["kill", &id, "KILL"]).ok();
    let empty = || bench.paddle(&["ps", "--format", "json", &id]).ok().text().trim() == "[]";
    assert!(within_seconds(20, empty));
    assert_eq!(bench.paddle(&["ps", &id]).ok().text().lines().count(), 1);
}

#[test]
fn a_paused_container_stands_still_until_it_is_resumed() {
    let Some(bench) = Bench::new("pause") else { return };
    let id = bench.start(|config| {
        let script = "i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.02; done";
        config["process"]["args"] = json!(["sh", "-c", script]);
    });
    let count = bench.scratch.path().join("bundle-0/rootfs/tmp/count");
    assert!(within_seconds(10, || count.exists()));
    bench.paddle(&["resume", &id]).exits(1).says(&["not paused"]);
    bench.paddle(&["pause", &id]).ok();
    let state: Value = serde_json::from_str(&bench.paddle(&["state", &id]).ok().text()).unwrap();
    assert_eq!(state["status"], "paused");
    let at = || std::fs::read_to_string(&count).unwrap();
    let stopped = at();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(at(), stopped);
    bench.paddle(&["pause", &id]).exits(1).says(&["container paused"]);
    bench.exec(&id, &[], &["true"]).exits(255).says(&["container paused", "--ignore-paused"]);
    // It starts when the others go on.
    let mut waiting = bench.command(&id, &["--ignore-paused"], &["true"]);
    let mut waiting = waiting.stdin(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(waiting.try_wait().unwrap().is_none(), "it does not run in a paused container");
    bench.paddle(&["unpause", &id]).ok();
    assert!(waiting.wait().unwrap().success());
    assert!(within_seconds(10, || at() != stopped));
    let state: Value = serde_json::from_str(&bench.paddle(&["state", &id]).ok().text()).unwrap();
    assert_eq!(state["status"], "running");
}

/// A file of the container's group, as the host shows it.
fn value(bench: &Bench, hierarchy: &Hierarchy, v1: &str, v2: &str) -> String {
    let (mount, file) = match hierarchy {
        Hierarchy::V1(mount) => (mount, v1),
        Hierarchy::V2(mount) => (mount, v2),
    };
    let group = mount.join("coracle").join(bench.scratch.mark());
    std::fs::read_to_string(group.join(file)).unwrap().trim().to_owned()
}

#[test]
fn limits_of_a_running_container_change_and_nothing_else() {
    let Some(bench) = Bench::new("update") else { return };
    let (Some(pids), Some(memory)) = (require::controller("pids"), require::controller("memory"))
    else {
        return;
    };
    let id = bench.start(|config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 128 << 20 });
    });
    let at = |hierarchy, v1, v2| value(&bench, hierarchy, v1, v2);
    let limit = || at(&memory, "memory.limit_in_bytes", "memory.max");
    assert_eq!(limit(), (128_u64 << 20).to_string());
    bench.paddle(&["update", "--pids-limit", "77", &id]).ok();
    assert_eq!(at(&pids, "pids.max", "pids.max"), "77");
    bench.paddle(&["update", "--memory", "64m", &id]).ok();
    assert_eq!(
        (limit(), at(&pids, "pids.max", "pids.max")),
        ((64_u64 << 20).to_string(), "77".to_owned())
    );
    // As engines send it.
    let resources =
        br#"{"devices":null,"memory":{"limit":100663296},"pids":{"limit":88},"cpu":{}}"#;
    run_with_input(bench.scratch.paddle().args(["update", "--resources=-", &id]), resources).ok();
    assert_eq!(
        (limit(), at(&pids, "pids.max", "pids.max")),
        ((96_u64 << 20).to_string(), "88".to_owned())
    );
    let file = bench.scratch.file("resources.json", r#"{"pids":{"limit":99}}"#);
    bench.paddle(&["update", "-r", file.to_str().unwrap(), &id]).ok();
    assert_eq!(at(&pids, "pids.max", "pids.max"), "99");
    for words in [&["update", &id][..], &["update", "--memory", "5x", &id]] {
        bench.paddle(words).exits(2);
    }
    let file = bench.scratch.file("broken.json", "{");
    bench.paddle(&["update", "-r", file.to_str().unwrap(), &id]).exits(1).says(&["broken.json"]);
}

#[test]
fn what_a_container_uses_is_printed_as_callers_parse_it() {
    let Some(bench) = Bench::new("events") else { return };
    let (Some(_), Some(_)) = (require::controller("memory"), require::controller("pids")) else {
        return;
    };
    let id = bench.start(|_| {});
    let line = bench.paddle(&["events", "--stats", &id]).ok().text();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!(id)));
    assert!(event["data"]["memory"]["usage"]["usage"].as_u64().unwrap() > 0, "{event}");
    assert_eq!(event["data"]["pids"]["current"], 1);
    assert!(event["data"]["cpu"]["usage"]["kernel"].is_u64(), "{event}");
    // Again and again, until it ends.
    let mut command = bench.scratch.paddle();
    let mut running =
        command.args(["events", "--interval=50ms", &id]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(event["type"], "stats");
    }
    bench.paddle(&["kill", &id, "KILL"]).ok();
    assert!(running.wait().unwrap().success());
    bench.paddle(&["events", "--interval", "0s", &id]).exits(2);
}

#[test]
fn a_container_that_runs_out_of_memory_is_told_of() {
    let Some(bench) = Bench::new("oom") else { return };
    if require::controller("memory").is_none() {
        return;
    }
    let id = bench.start(|config| {
        config["linux"]["resources"]["memory"] = json!({ "limit": 16 << 20 });
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.push(json!({ "destination": "/mem", "type": "tmpfs", "source": "x" }));
    });
    let mut command = bench.scratch.paddle();
    let mut running =
        command.args(["events", "--interval", "1h", &id]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    // Not before it watches.
    let watches = || {
        let open = std::fs::read_dir(super::proc(running.id(), "fd")).unwrap();
        open.flatten().any(|fd| {
            let link = std::fs::read_link(fd.path()).unwrap_or_default();
            link.to_string_lossy().contains("eventfd") || link.to_string_lossy().contains("inotify")
        })
    };
    assert!(within_seconds(10, watches));
    let ran = bench.exec(&id, &[], &["dd", "if=/dev/zero", "of=/mem/x", "bs=1M", "count=64"]);
    assert!(!ran.status.success(), "{ran:?}");
    let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(event, json!({ "type": "oom", "id": id }));
    bench.paddle(&["kill", &id, "KILL"]).ok();
    assert!(running.wait().unwrap().success());
}
