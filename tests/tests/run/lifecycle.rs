//! From `run` to `rm`: names, what `ps` shows, and what happens when paddle is killed.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use super::{Bench, Running};
use tests::outcome::run;

/// The only container in `ps --all --json`.
fn only(bench: &Bench) -> serde_json::Value {
    let list: serde_json::Value = serde_json::from_str(&bench.ps(&["-a", "--json"])).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    list[0].clone()
}

/// The same once paddle has noted that it runs: the program may be faster than that.
fn only_running(bench: &Bench) -> serde_json::Value {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let shown = only(bench);
        if shown["status"] != "creating" || Instant::now() > end {
            return shown;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ps_shows_a_container_through_its_life() {
    let Some(bench) = Bench::new("life") else { return };
    let name = bench.scratch.container();
    let command = bench.command(&["--name", &name], &["/bin/probe", "catch", "15"]);
    let running = Running::start(command);

    let shown = only_running(&bench);
    assert_eq!(shown["id"], name.as_str());
    assert_eq!(shown["status"], "running");
    assert_eq!(shown["command"], serde_json::json!(["/bin/probe", "catch", "15"]));
    let pid = shown["pid"].as_i64().unwrap();
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(command_line, b"/bin/probe\0catch\x0015\0");
    assert_eq!(bench.ps(&["-q"]), name);
    run(bench.scratch.paddle().args(["rm", &name])).exits(1).says(&["is running", "rm -f"]);

    running.send(SIGTERM);
    assert_eq!(running.finish().1, Some(115));
    assert_eq!(bench.ps(&["-q"]), "", "it has ended");
    let shown = only(&bench);
    assert_eq!((&shown["status"], &shown["exit_code"]), (&"stopped".into(), &115.into()));
    let table = bench.ps(&["-a"]);
    assert!(table.starts_with("CONTAINER") && table.contains("exited (115)"), "{table}");

    // The name is taken until it is given back.
    let mut again = bench.command(&["--name", &name], &["/bin/probe", "exit", "0"]);
    let exists = format!("container with given ID already exists: `{name}`");
    run(&mut again).exits(125).says(&[&exists, "hint:"]);
    assert_eq!(run(bench.scratch.paddle().args(["rm", &name])).ok().text(), name);
    run(bench.scratch.paddle().args(["rm", &name])).exits(1).says(&["does not exist"]);
    assert_eq!(bench.ps(&["-a", "-q"]), "");
}

#[test]
fn a_container_without_a_name_gets_one() {
    let Some(bench) = Bench::new("unnamed") else { return };
    run(&mut bench.command(&[], &["/bin/probe", "exit", "4"])).exits(4);
    let name = bench.ps(&["-a", "-q"]);
    assert!(name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    run(bench.scratch.paddle().args(["rm", &name])).ok();
}

#[test]
fn of_runs_with_one_name_exactly_one_starts() {
    let Some(bench) = Bench::new("race") else { return };
    // Unpacked already, so that all reach the name together.
    bench.probe(&[], &["exit", "0"]).ok();
    let name = bench.scratch.container();
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..6)
            .map(|_| {
                let mut command = bench
                    .command(&["--rm", "--name", &name, "--timeout", "3"], &["/bin/probe", "wait"]);
                scope.spawn(move || run(&mut command))
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    let count = |code| statuses.iter().filter(|one| one.status.code() == Some(code)).count();
    assert_eq!((count(124), count(125)), (1, 5), "{statuses:?}");
}

#[test]
fn rm_with_force_kills_a_running_container() {
    let Some(bench) = Bench::new("force") else { return };
    for keep in [false, true] {
        let name = bench.scratch.container();
        let options: &[&str] = if keep { &["--name", &name] } else { &["--rm", "--name", &name] };
        let running = Running::start(bench.command(options, &["/bin/probe", "ignore", "15"]));
        run(bench.scratch.paddle().args(["rm", "--force", &name])).ok();
        assert_eq!(running.finish().1, Some(137));
        assert_eq!(bench.ps(&["-a", "-q"]), "");
    }
}

#[test]
fn a_killed_paddle_takes_its_container_along() {
    let Some(bench) = Bench::new("killed") else { return };
    for options in [&["--rm"][..], &[]] {
        let name = bench.scratch.container();
        let options: Vec<&str> = [&["--name", &name], options].concat();
        let running = Running::start(bench.command(&options, &["/bin/probe", "ignore", "15"]));
        running.send(SIGKILL);
        // The output ends when its last holder, the program, is dead.
        let started = Instant::now();
        assert_eq!(running.finish(), (String::new(), None));
        assert!(started.elapsed() < Duration::from_secs(5));
        // Any command clears; without --rm it is remembered.
        let known = bench.ps(&["-a"]);
        assert_eq!(known.contains("killed with its launcher"), options.len() == 2, "{known}");
        let left = bench.scratch.settled();
        assert!(left.is_empty(), "{left:?}");
        run(bench.scratch.paddle().args(["rm", &name]));
    }
    assert_eq!(std::fs::read_dir(bench.scratch.store().join("containers")).unwrap().count(), 0);
}

#[test]
fn a_name_taken_below_another_root_is_left_alone() {
    let Some(bench) = Bench::new("roots") else { return };
    let name = bench.scratch.container();
    let running =
        Running::start(bench.command(&["--rm", "--name", &name], &["/bin/probe", "catch", "15"]));
    // The same store and the same cgroups, but states of its own; and then a store of its own.
    let other = bench.scratch.subfolder("other-root");
    for store in [bench.scratch.store(), bench.scratch.subfolder("other-store")] {
        let mut command = bench.scratch.command(&bench.scratch.path().join("bin/paddle"));
        command.env("CORACLE_STORE", store).arg("--root").arg(&other);
        command.args(["run", "--rm", "--name", &name, "probe.tar", "/bin/probe", "exit", "0"]);
        run(&mut command).exits(125).says(&["already exists"]);
    }
    running.send(SIGTERM);
    assert_eq!(running.finish(), ("caught 15\n".to_owned(), Some(115)));
}

#[test]
fn what_a_forgotten_container_wrote_is_no_obstacle_and_pruned() {
    let Some(bench) = Bench::new("forgotten") else { return };
    bench.probe(&[], &["exit", "0"]).ok();
    let left = |name: &str| {
        let upper = bench.scratch.store().join("containers").join(name).join("upper");
        std::fs::create_dir_all(&upper).unwrap();
        std::fs::write(upper.join("old"), "").unwrap();
        upper
    };
    let name = bench.scratch.container();
    left(&name);
    let options = ["--rm", "--name", &name];
    let outcome = run(&mut bench.command(&options, &["/bin/probe", "read", "/old"])).exits(1);
    assert_eq!(outcome.text(), "No such file or directory");
    let upper = left("gone");
    run(bench.scratch.paddle().arg("prune")).ok();
    assert!(!upper.exists());
}

#[test]
fn what_each_step_of_a_start_took_is_said_in_the_end() {
    let Some(bench) = Bench::new("timing") else { return };
    let steps = ["image found", "file systems mounted", "program ran and ended", "everything"];
    let outcome = bench.probe(&["--timing"], &["arguments", "x"]).says(&steps);
    assert_eq!(outcome.text(), "[x]");
}

#[test]
fn a_plan_is_printed_and_nothing_is_started() {
    let Some(bench) = Bench::new("plan") else { return };
    let options = ["--print-plan", "--memory", "64m", "--name", "planned"];
    let printed = run(&mut bench.command(&options, &["/bin/probe", "wait"])).ok().text();
    let plan: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(plan["process"]["argv"], serde_json::json!(["/bin/probe", "wait"]));
    assert!(printed.contains("67108864"), "{printed}");
    assert_eq!(bench.ps(&["-a", "-q"]), "");
}

#[test]
fn a_damaged_state_hides_no_other_container() {
    let Some(bench) = Bench::new("damaged") else { return };
    for name in ["first", "second"] {
        run(&mut bench.command(&["--name", name], &["/bin/probe", "exit", "0"])).exits(0);
    }
    let state = bench.scratch.path().join("state/first/state.json");
    std::fs::write(&state, "{").unwrap();
    let outcome = run(bench.scratch.paddle().args(["ps", "-a", "-q"]));
    let outcome = outcome.exits(1).says(&["state/first/state.json` is damaged", "hint:"]);
    assert_eq!(outcome.text(), "second");
}
