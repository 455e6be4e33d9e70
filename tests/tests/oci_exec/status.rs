//! How `exec` ends, and what it says when it does not start anything.

use super::{Bench, process};

#[test]
fn the_programs_output_and_status_are_passed_on() {
    let Some(bench) = Bench::new("exec-status") else { return };
    let id = bench.start(|_| {});
    let ran = bench.exec(&id, &[], &["sh", "-c", "echo out; echo err >&2; exit 3"]).exits(3);
    assert_eq!((ran.text().as_str(), ran.errors().as_str()), ("out", "err\n"));
    bench.exec(&id, &[], &["sh", "-c", "kill -9 $$"]).exits(137);
    let mut cat = bench.command(&id, &[], &["cat"]);
    assert_eq!(tests::outcome::run_with_input(&mut cat, b"typed").ok().text(), "typed");
}

/// Callers tell these by their words, people by the status.
#[test]
fn what_cannot_be_executed_is_told_apart() {
    let Some(bench) = Bench::new("exec-missing") else { return };
    let id = bench.start(|_| {});
    for (program, status, said) in [
        ("nothing", 127, "executable file not found in $PATH"),
        ("/bin/nothing", 127, "no such file or directory"),
        ("/etc/plain", 126, "permission denied"),
        ("/etc", 126, "permission denied"),
    ] {
        bench.exec(&id, &[], &[program]).exits(status).says(&[program, said]);
    }
    bench.exec(&id, &["--cwd", "/nothing"], &["true"]).exits(255).says(&["/nothing"]);
}

#[test]
fn a_container_that_does_not_run_is_said_to() {
    let Some(bench) = Bench::new("exec-stopped") else { return };
    bench.exec("nobody", &[], &["true"]).exits(255).says(&["nobody", "does not exist"]);
    let id = bench.start(|config| config["process"]["args"] = serde_json::json!(["true"]));
    assert!(super::within_seconds(10, || {
        bench.paddle(&["state", &id]).ok().text().contains("stopped")
    }));
    for words in [
        &["exec", &id, "true"][..],
        &["pause", &id],
        &["resume", &id],
        &["update", "--pids-limit", "5", &id],
        &["events", "--stats", &id],
    ] {
        let outcome = bench.paddle(words);
        assert!(!outcome.status.success(), "{outcome:?}");
        outcome.says(&["container not running"]);
    }
}

/// One that was created and not started has all but its program.
#[test]
fn a_created_container_can_be_entered() {
    let Some(bench) = Bench::new("exec-created") else { return };
    let id = bench.create(|_| {});
    assert_eq!(
        bench.says(&id, &[], "echo $$; readlink /proc/self/ns/pid | grep -c pid").lines().last(),
        Some("1")
    );
}

#[test]
fn what_is_no_process_is_said_to_be_none() {
    let Some(bench) = Bench::new("exec-wrong") else { return };
    let id = bench.start(|_| {});
    let file = bench.scratch.file("broken.json", "{");
    let option = ["--process", file.to_str().unwrap()];
    bench.exec(&id, &option, &[]).exits(255).says(&["broken.json", "no process"]);
    bench.exec(&id, &["--process", "/nothing"], &[]).exits(255).says(&["cannot read", "/nothing"]);
    for (key, value, said) in [
        ("args", serde_json::json!([]), "process"),
        ("cwd", serde_json::json!("relative"), "relative"),
        ("env", serde_json::json!(["NAMELESS"]), "NAMELESS"),
        (
            "rlimits",
            serde_json::json!([{"type": "RLIMIT_CORE", "soft": 1, "hard": 1},
                                       {"type": "RLIMIT_CORE", "soft": 1, "hard": 1}]),
            "twice",
        ),
    ] {
        let mut wrong = process(&["true"]);
        wrong[key] = value;
        bench.process(&id, &wrong).exits(255).says(&[said]);
    }
}
