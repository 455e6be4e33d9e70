//! The states of a container, and what leads from one to the next.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{StatVfsMountFlags, statvfs};
use serde_json::json;

use crate::{Bench, text, within_seconds};

#[test]
fn a_container_is_created_started_killed_and_deleted() {
    let Some(bench) = Bench::new("life") else { return };
    bench.write("echo started; exec sleep 1000", &json!({ "annotations": { "a.b": "c" } }));
    let id = bench.id();
    let pid = bench.create(&id);
    let state = bench.state(&id);
    let bundle = bench.bundle();
    for (key, expected) in [
        ("ociVersion", json!("1.3.0")),
        ("id", json!(id)),
        ("status", json!("created")),
        ("pid", json!(pid)),
        ("bundle", json!(text(&bundle))),
        ("annotations", json!({ "a.b": "c" })),
    ] {
        assert_eq!(state[key], expected, "{key}");
    }
    bench.paddle(&["start", &id]).ok();
    assert_eq!(bench.status(&id), "running");
    let listed = bench.paddle(&["list", "--format=json"]).ok();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["pid"], json!(pid));
    assert_eq!(bench.paddle(&["list", "-q"]).ok(), format!("{id}\n"));
    assert!(bench.paddle(&["list"]).ok().contains("running"));
    bench.paddle(&["kill", &id, "KILL"]).ok();
    bench.becomes(&id, "stopped");
    assert_eq!(bench.state(&id)["pid"], json!(0));
    bench.paddle(&["delete", &id]).ok();
    bench.is_clean();
}

#[test]
fn what_each_step_of_a_creation_took_is_said_when_it_waits() {
    let Some(bench) = Bench::new("timing") else { return };
    bench.write("exec sleep 1000", &json!({}));
    let (id, bundle) = (bench.id(), bench.bundle());
    let did = bench.paddle(&["create", "--timing", "--bundle", text(&bundle), &id]);
    let steps: Vec<&str> = did.err.lines().collect();
    for step in ["plan", "cgroups made", "file systems mounted", "state: created"] {
        assert!(steps.iter().any(|line| line.contains(step)), "`{step}` is not in {did:?}");
    }
    let micros = |line: &&str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let (all, each) = steps.split_last().unwrap();
    assert_eq!(each.iter().skip(1).map(micros).sum::<u64>(), micros(all));
    did.ok();
    bench.paddle(&["delete", "--force", &id]).ok();
}

#[test]
fn create_applies_everything_but_the_program() {
    let Some(bench) = Bench::new("applied") else { return };
    bench.write(
        "id -u; hostname; cat /proc/self/oom_score_adj",
        &json!({
            "hostname": "box",
            "process": { "user": { "uid": 7, "gid": 8, "umask": 63 }, "oomScoreAdj": 100 }
        }),
    );
    let id = bench.id();
    let pid = bench.create(&id);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in [
        "Uid:\t7\t7\t7\t7",
        "Gid:\t8\t8\t8\t8",
        "Umask:\t0077",
        "NoNewPrivs:\t1",
        "CapBnd:\t0000000000000020",
    ] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    // Later changes mean nothing.
    bench.write("echo another", &json!({ "hostname": "other" }));
    let ran = bench.paddle(&["start", &id]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    bench.becomes(&id, "stopped");
    bench.paddle(&["delete", &id]).ok();
    bench.is_clean();
}

#[test]
fn a_container_that_waits_holds_nothing_of_the_launcher() {
    let Some(bench) = Bench::new("waits") else { return };
    bench.write("exit 0", &json!({}));
    let id = bench.id();
    let pid = bench.create(&id);
    let mut found: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().display().to_string())
        .filter(|target| !target.starts_with("socket:"))
        .collect();
    found.sort();
    let file = |name: &str| bench.scratch.path().join(name).display().to_string();
    assert_eq!(found, ["/dev/null".to_owned(), file("err"), file("out")]);
    bench.paddle(&["delete", "--force", &id]).ok();
    bench.is_clean();
}

#[test]
fn a_container_that_waits_ends_by_a_signal() {
    let Some(bench) = Bench::new("unstarted") else { return };
    bench.write("exit 0", &json!({}));
    for signal in ["TERM", "SIGINT", "9"] {
        let id = bench.id();
        bench.create(&id);
        bench.paddle(&["kill", &id, "CONT"]).ok();
        assert_eq!(bench.status(&id), "created");
        bench.paddle(&["kill", &id, signal]).ok();
        bench.becomes(&id, "stopped");
        bench.paddle(&["start", &id]).fails(1, "it is stopped, not created");
        bench.paddle(&["delete", &id]).ok();
    }
    bench.is_clean();
}

/// Whoever has a descriptor of it, from `--pidfd-socket`, sends signals without us.
#[test]
fn a_container_that_waits_ends_by_signals_of_others() {
    let Some(bench) = Bench::new("unstartedpid") else { return };
    let shared = json!({ "linux": { "namespaces": [{ "type": "mount" }] } });
    for changes in [json!({}), shared] {
        bench.write("exit 0", &changes);
        for signal in ["TERM", "HUP", "USR1", "RTMIN+3"] {
            let id = bench.id();
            let pid = bench.create(&id).to_string();
            let kill = |signal: &str| {
                let sent = Command::new("/bin/kill").args(["-s", signal, &pid]).status().unwrap();
                assert!(sent.success(), "{signal}");
            };
            for harmless in ["WINCH", "CHLD", "CONT"] {
                kill(harmless);
            }
            assert_eq!(bench.status(&id), "created", "{changes}");
            kill(signal);
            bench.becomes(&id, "stopped");
            bench.paddle(&["delete", &id]).ok();
        }
    }
    bench.is_clean();
}

/// The specification wants one when `start` is called.
#[test]
fn a_container_without_a_process_is_created_and_not_started() {
    let Some(bench) = Bench::new("noprocess") else { return };
    bench.write("", &json!({ "process": null, "hostname": "box" }));
    let (id, bundle) = (bench.id(), bench.bundle());
    bench.create(&id);
    for _ in 0..2 {
        bench.paddle(&["start", &id]).fails(1, "its configuration has no process");
        assert_eq!(bench.status(&id), "created");
    }
    assert_eq!(bench.paddle(&["exec", &id, "hostname"]).ok(), "box\n");
    bench.paddle(&["delete", "--force", &id]).ok();
    for options in [&[][..], &["--detach"]] {
        let arguments = [&["run", "--bundle", text(&bundle)], options, &[&id]].concat();
        bench.paddle(&arguments).fails(1, "its configuration has no process");
    }
    bench.is_clean();
}

#[test]
fn signals_have_names_and_numbers_and_reach_all() {
    let Some(bench) = Bench::new("signals") else { return };
    let script = "trap 'echo one >>/tmp/got' USR1; trap 'echo two >>/tmp/got' USR2; echo up >/tmp/up; while :; do sleep 0.05; done";
    bench.write(script, &json!({}));
    let id = bench.id();
    bench.create(&id);
    bench.paddle(&["start", &id]).ok();
    let got = bench.root().join("tmp/got");
    assert!(within_seconds(20, || bench.root().join("tmp/up").exists()));
    for (signal, lines) in [("USR1", 1), ("SIGUSR2", 2), ("10", 3), ("usr1", 4)] {
        bench.paddle(&["kill", &id, signal]).ok();
        let count = || fs::read_to_string(&got).unwrap_or_default().lines().count();
        assert!(within_seconds(20, || count() == lines), "{signal}: {}", count());
    }
    bench.paddle(&["kill", "--all", &id, "KILL"]).ok();
    bench.becomes(&id, "stopped");
    // All of none is no error.
    bench.paddle(&["kill", "--all", &id, "KILL"]).ok();
    bench.paddle(&["delete", &id]).ok();
    bench.is_clean();
}

#[test]
fn of_many_who_start_one_container_one_succeeds() {
    let Some(bench) = Bench::new("race") else { return };
    bench.write("echo >>/tmp/started; exec sleep 1000", &json!({}));
    let id = bench.id();
    bench.create(&id);
    let start = || {
        let mut command = bench.scratch.paddle();
        command.args(["start", &id]).stdin(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let racers: Vec<_> = (0..8).map(|_| start()).collect();
    let won = racers
        .into_iter()
        .map(|mut one| one.wait().unwrap())
        .filter(std::process::ExitStatus::success);
    assert_eq!(won.count(), 1);
    let started = bench.root().join("tmp/started");
    assert!(within_seconds(20, || started.exists()));
    assert_eq!(fs::read_to_string(started).unwrap().lines().count(), 1);
    assert_eq!(bench.status(&id), "running");
    bench.paddle(&["delete", "--force", &id]).ok();
    bench.is_clean();
}

#[test]
fn options_stand_on_both_sides_of_the_id_and_with_one_dash() {
    let Some(bench) = Bench::new("options") else { return };
    bench.write("exit 0", &json!({}));
    let id = bench.id();
    let (bundle, pid) = (bench.bundle(), bench.scratch.path().join("p"));
    bench.paddle(&["create", &id, "--bundle", text(&bundle), "-pid-file", text(&pid)]).ok();
    assert!(pid.exists());
    let mode = fs::metadata(&pid).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    bench.paddle(&["delete", &id, "--force"]).ok();
    bench.paddle(&["delete", "-force", &id]).ok();
    bench
        .paddle(&["--debug", "--systemd-cgroup", "--rootless=auto", "--log-level", "warn", "list"])
        .ok();
    bench.is_clean();
}

#[test]
fn containers_of_images_have_the_same_verbs() {
    let Some(bench) = Bench::new("image") else { return };
    let tar = bench.scratch.path().join("image.tar");
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(bench.root()).arg("-cf").arg(&tar).arg(".");
    assert!(pack.status().unwrap().success());
    let id = bench.id();
    let script = "trap 'exit 9' USR1; while :; do sleep 0.05; done";
    let mut command = bench.scratch.paddle();
    command.args(["run", "--name", &id, text(&tar), "sh", "-c", script]);
    let mut running = command.spawn().unwrap();
    assert!(within_seconds(60, || bench.paddle(&["state", &id]).out.contains("\"running\"")));
    bench.paddle(&["start", &id]).fails(1, "it is running, not created");
    bench.paddle(&["delete", &id]).fails(1, "is running");
    // The trap is set a moment after the program was executed.
    let ended = within_seconds(20, || {
        bench.paddle(&["kill", &id, "USR1"]);
        running.try_wait().unwrap().is_some()
    });
    assert!(ended);
    bench.paddle(&["kill", &id, "KILL"]).fails(1, "container not running");
    bench.paddle(&["kill", &id, "0"]).fails(1, "container not running");
    bench.paddle(&["delete", &id]).ok();
    bench.is_clean();
}

/// R6: who comes into the container meanwhile finds no file to write behind the process that waits. It was not executed anew for
/// that: what it may write comes from no file.
#[test]
fn r6_what_waits_is_mapped_from_where_nobody_can_write() {
    let Some(bench) = Bench::new("view") else { return };
    bench.write("exit 0", &json!({}));
    // Where it can be written, which a guest's own cannot be. By another process: none of ours has it open for writing then.
    let paddle = bench.scratch.path().join("paddle");
    let copied = Command::new("cp").arg(tests::programs::paddle()).arg(&paddle).status();
    assert!(copied.unwrap().success());
    let (id, bundle, file) = (bench.id(), bench.bundle(), bench.scratch.path().join("pid"));
    let mut create = bench.scratch.command(&paddle);
    create.arg("--root").arg(bench.scratch.state()).args(["create", "--bundle", text(&bundle)]);
    bench.finish(create.args(["--pid-file", text(&file), &id])).ok();
    let pid = fs::read_to_string(file).unwrap();
    let exe = format!("/proc/{pid}/exe");
    assert_eq!(fs::read_link(&exe).unwrap(), Path::new("/"));
    assert!(statvfs(&exe).unwrap().f_flag.contains(StatVfsMountFlags::RDONLY));
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let files: Vec<Vec<&str>> = maps
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[4] != "0")
        .collect();
    assert!(files.iter().any(|fields| fields[1] == "r-xp"), "{maps}");
    assert!(files.iter().all(|fields| fields[5] == "/" && !fields[1].contains('w')), "{maps}");
    bench.paddle(&["start", &id]).ok();
    bench.becomes(&id, "stopped");
    bench.paddle(&["delete", &id]).ok();
    bench.is_clean();
}
