//! `run --bundle`: everything in one command.

use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::{Bench, text, within_seconds};

#[test]
fn in_the_foreground_it_ends_as_the_program_ends_and_leaves_nothing() {
    let Some(bench) = Bench::new("fore") else { return };
    let bundle = bench.bundle();
    for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137)] {
        // A shell as process 1 is shielded from its own signals; one below it is not.
        bench.write(&format!("sh -c '{script}'; exit $?"), &json!({}));
        let did = bench.paddle(&["run", "-b", text(&bundle), &bench.id()]);
        assert_eq!(did.code, Some(code), "{did:?}");
        bench.is_clean();
    }
    bench.write("", &json!({ "process": { "args": ["/nothing"] } }));
    bench.paddle(&["run", "-b", text(&bundle), &bench.id()]).fails(127, "no such file");
    bench.is_clean();
}

#[test]
fn its_state_stays_when_it_is_to_be_kept() {
    let Some(bench) = Bench::new("keep") else { return };
    let (bundle, id) = (bench.bundle(), bench.id());
    let group = format!("/{}", bench.scratch.mark());
    // One that shares the host's processes, of which one lives on.
    let shared = json!([{ "type": "mount" }]);
    for (script, namespaces) in [
        ("exit 5", json!([{ "type": "mount" }, { "type": "pid" }])),
        ("sleep 1000 & exit 5", shared),
    ] {
        let linux = json!({ "cgroupsPath": group, "namespaces": namespaces });
        bench.write(script, &json!({ "linux": linux }));
        let did = bench.paddle(&["run", "--keep", "--bundle", text(&bundle), &id]);
        assert_eq!(did.code, Some(5));
        assert_eq!(bench.status(&id), "stopped");
        assert!(bench.paddle(&["ps", "-a"]).ok().contains("exited (5)"));
        let state = std::fs::read_to_string(bench.scratch.state().join(&id).join("state.json"));
        let state: serde_json::Value = serde_json::from_str(&state.unwrap()).unwrap();
        let groups = state["cgroup"]["groups"].as_array().unwrap();
        assert!(!groups.is_empty());
        for group in groups {
            let path = std::path::Path::new(group["path"].as_str().unwrap());
            assert!(within_seconds(20, || std::fs::read_to_string(path.join("cgroup.procs"))
                .unwrap()
                .is_empty()));
        }
        bench.paddle(&["delete", &id]).ok();
        bench.is_clean();
    }
}

#[test]
fn detached_it_returns_when_the_program_runs() {
    let Some(bench) = Bench::new("detach") else { return };
    let (bundle, id) = (bench.bundle(), bench.id());
    bench.write("exec sleep 1000", &json!({}));
    bench.paddle(&["run", "-d", "--bundle", text(&bundle), &id]).ok();
    assert_eq!(bench.status(&id), "running");
    bench.paddle(&["rm", "-f", &id]).ok();
    bench.is_clean();
}

#[test]
fn signals_are_passed_on_and_death_is_shared() {
    let Some(bench) = Bench::new("passed") else { return };
    let bundle = bench.bundle();
    let up = bench.root().join("tmp/up");
    bench.write("trap 'exit 7' TERM; echo >/tmp/up; while :; do sleep 0.05; done", &json!({}));
    for (signal, code) in [(Signal::SIGTERM, Some(7)), (Signal::SIGKILL, None)] {
        let id = bench.id();
        let mut command = bench.scratch.paddle();
        command.args(["run", "--bundle", text(&bundle), &id]).stdin(Stdio::null());
        let mut running = command.spawn().unwrap();
        assert!(within_seconds(60, || up.exists()));
        std::fs::remove_file(&up).unwrap();
        kill(Pid::from_raw(i32::try_from(running.id()).unwrap()), signal).unwrap();
        assert_eq!(running.wait().unwrap().code(), code);
        // Whatever command comes next clears what a killed one left.
        assert_eq!(bench.paddle(&["list", "-q"]).ok(), "");
        bench.is_clean();
    }
}

#[test]
fn a_bundle_says_itself_what_options_say_of_an_image() {
    let Some(bench) = Bench::new("mix") else { return };
    bench.write("exit 0", &json!({}));
    let bundle = bench.bundle();
    for option in [&["--tty"][..], &["--memory", "64m"], &["--name", "x"], &["--rm"]] {
        let mut arguments = vec!["run", "--bundle", text(&bundle)];
        arguments.extend(option);
        arguments.push("x");
        bench.paddle(&arguments).fails(2, "is for images");
    }
    bench.paddle(&["run", "--detach", "x"]).fails(2, "--bundle");
    bench
        .paddle(&["run", "--bundle", text(&bundle), "x", "y"])
        .fails(2, "behind the container's id");
    bench.is_clean();
}

#[test]
fn without_a_folder_it_is_the_one_that_paddle_is_in() {
    let Some(bench) = Bench::new("here") else { return };
    bench.write("echo here", &json!({}));
    let run = |options: &[&str], id: &str| {
        let mut command = bench.scratch.paddle();
        command.current_dir(bench.bundle()).arg("run").args(options).arg(id);
        bench.finish(&mut command)
    };
    // `run ID` alone, as with other runtimes: there is no such image.
    assert_eq!(run(&[], &bench.id()).ok(), "here\n");
    std::fs::rename(bench.bundle().join("config.json"), bench.bundle().join("other.json")).unwrap();
    run(&["--keep"], &bench.id()).fails(2, "no bundle is named");
    run(&[], &bench.id()).fails(125, "there is no image");
    for option in ["-f", "--config"] {
        assert_eq!(run(&[option, "other.json"], &bench.id()).ok(), "here\n");
    }
    let (bundle, id) = (bench.bundle(), bench.id());
    bench.paddle(&["create", "-f", "other.json", "-b", text(&bundle), &id]).ok();
    bench.paddle(&["delete", "--force", &id]).ok();
    bench.is_clean();
}

#[test]
fn a_bundle_of_somebody_else_is_not_taken_for_what_was_meant() {
    let Some(bench) = Bench::new("theirs") else { return };
    bench.write("echo theirs", &json!({}));
    let config = bench.bundle().join("config.json");
    let run = || {
        let mut command = bench.scratch.paddle();
        command.current_dir(bench.bundle()).args(["run", &bench.id()]);
        bench.finish(&mut command)
    };
    std::os::unix::fs::chown(&config, Some(1234), None).unwrap();
    run().fails(125, "there is no image");
    std::os::unix::fs::chown(&config, Some(0), None).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(bench.bundle(), open).unwrap();
    run().fails(125, "there is no image");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bench.bundle(), closed).unwrap();
    assert_eq!(run().ok(), "theirs\n");
    bench.is_clean();
}

#[test]
fn what_a_terminal_shows_has_plain_lines_in_a_file() {
    let Some(bench) = Bench::new("lines") else { return };
    bench.write("tty; echo two", &json!({ "process": { "terminal": true } }));
    let did = bench.paddle(&["run", "--bundle", text(&bench.bundle()), &bench.id()]);
    assert_eq!(did.ok(), "/dev/pts/0\ntwo\n");
    bench.is_clean();
}

#[test]
fn processors_are_the_cgroups_and_not_the_launchers() {
    let Some(bench) = Bench::new("processors") else { return };
    let Some(taskset) = tests::require::program("taskset") else { return };
    let list = |status: String| {
        status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap().to_owned()
    };
    let own = list(std::fs::read_to_string("/proc/self/status").unwrap());
    let (bundle, state) = (bench.bundle(), bench.scratch.state());
    let paddle = bench.scratch.path().join("bin/paddle");
    let on_one = |arguments: &[&str]| {
        let mut command = bench.scratch.command(&taskset);
        command.args(["-c", "0", text(&paddle), "--root", text(&state)]).args(arguments);
        bench.finish(&mut command).ok()
    };
    bench.write("cat /proc/self/status", &json!({}));
    assert_eq!(list(on_one(&["run", "--bundle", text(&bundle), &bench.id()])), own);
    bench.write("exec sleep 1000", &json!({}));
    let id = bench.id();
    bench.paddle(&["run", "-d", "--bundle", text(&bundle), &id]).ok();
    assert_eq!(list(on_one(&["exec", &id, "cat", "/proc/self/status"])), own);
    bench.paddle(&["delete", "--force", &id]).ok();
    bench.is_clean();
}
