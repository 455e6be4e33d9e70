//! The status that `paddle run` ends with (docs/paddle.md).

use std::time::Instant;

use super::Bench;
use tests::outcome::run;

#[test]
fn the_programs_status_is_passed_on() {
    let Some(bench) = Bench::new("status") else { return };
    for status in [0, 1, 42, 125, 255] {
        bench.probe(&[], &["exit", &status.to_string()]).exits(status);
        bench.probe(&["--init"], &["exit", &status.to_string()]).exits(status);
    }
}

#[test]
fn failures_before_the_program_have_statuses_of_their_own() {
    let Some(bench) = Bench::new("failures") else { return };
    for (options, words, status, said) in [
        (&[][..], &["probe.tar", "/bin/missing"][..], 127, &["/bin/missing", "hint:"][..]),
        (&[], &["probe.tar", "missing"], 127, &["missing"]),
        (&[], &["probe.tar", "/data/plain"], 126, &["/data/plain"]),
        (&[], &["probe.tar", "/data"], 126, &["/data"]),
        (&[], &["probe.tar"], 125, &["no program", "hint:"]),
        (&[], &["absent.tar", "/bin/probe"], 125, &["absent.tar"]),
        (&["--user", "nobody"], &["probe.tar", "/bin/probe"], 125, &["`nobody`"]),
        (&["--net", "bridge"], &["probe.tar"], 2, &["--net", "`none` or `host`"]),
        (&["--memory", "x"], &["probe.tar"], 2, &["--memory", "512m"]),
        (&["--nonsense"], &["probe.tar"], 2, &["--nonsense"]),
        (&[], &[], 2, &["IMAGE"]),
        (&["--env-file", "absent"], &["probe.tar"], 2, &["`absent`"]),
    ] {
        let mut command = bench.scratch.paddle();
        let outcome = run(command.arg("run").args(options).args(words)).exits(status).says(said);
        assert_eq!(outcome.text(), "", "errors go to standard error");
    }
    // A container that could not start leaves no trace, not even in `ps -a`.
    assert_eq!(bench.ps(&["--all", "--quiet"]), "");
}

#[test]
fn a_timeout_ends_with_124() {
    let Some(bench) = Bench::new("timeout") else { return };
    // Neither handled nor ignored: the stop signal ends it at once.
    bench.probe(&["--timeout", "300ms"], &["wait"]).exits(124).says(&["longer than 300ms"]);
    bench.probe(&["--init", "--timeout", "300ms"], &["wait"]).exits(124);
    // Handled: it may say goodbye, and it still was too late.
    let outcome = bench.probe(&["--timeout", "300ms"], &["catch", "15"]).exits(124);
    assert_eq!(outcome.text(), "ready\ncaught 15");
    // In time.
    bench.probe(&["--timeout", "1h"], &["exit", "3"]).exits(3);
}

#[test]
fn a_program_that_ignores_its_timeout_is_killed_after_ten_seconds() {
    let Some(bench) = Bench::new("grace") else { return };
    // Counted from when the program is there: on an emulated host its start alone takes seconds.
    let running = bench.start(&["--timeout", "1s"], &["ignore", "15"]);
    let ready = Instant::now();
    assert_eq!(running.finish().1, Some(124));
    let took = ready.elapsed();
    assert!((10..15).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn help_names_every_option_in_words() {
    let Some(bench) = Bench::new("help") else { return };
    let help = run(bench.scratch.paddle().args(["run", "--help"])).ok().text();
    for option in [
        "--memory",
        "--memory-swap",
        "--memory-reservation",
        "--cpus",
        "--cpu-weight",
        "--cpuset",
        "--pids-limit",
        "--io-weight",
        "--device-read-bps",
        "--device-write-bps",
        "--device-read-iops",
        "--device-write-iops",
        "--env",
        "--env-file",
        "--workdir",
        "--user",
        "--hostname",
        "--volume",
        "--tmpfs",
        "--name",
        "--rm",
        "--tty",
        "--interactive",
        "--net",
        "--add-host",
        "--cap-add",
        "--cap-drop",
        "--ulimit",
        "--init",
        "--entrypoint",
        "--timeout",
        "--read-only",
        "--userns",
        "--print-plan",
        "--store",
        "--root",
    ] {
        let line = help.lines().find(|line| line.split([' ', ',']).any(|word| word == option));
        assert!(line.is_some(), "{option} is not in\n{help}");
    }
}
