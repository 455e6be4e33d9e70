//! What the program finds: arguments, environment, user, folder, names, limits.

use super::Bench;

#[test]
fn arguments_arrive_as_they_were_given() {
    let Some(bench) = Bench::new("arguments") else { return };
    let words = ["arguments", "--rm", "-it", "", "a b", "--", "\"quoted\"", "grüße"];
    let shown: Vec<String> = words[1..].iter().map(|word| format!("[{word}]")).collect();
    assert_eq!(bench.probe(&[], &words).ok().text(), shown.join("\n"));
}

#[test]
fn an_entrypoint_of_the_person_stands_first() {
    let Some(bench) = Bench::new("entrypoint") else { return };
    let name = bench.scratch.container();
    let options = ["--rm", "--name", &name, "--entrypoint", "/bin/probe"];
    let outcome = tests::outcome::run(&mut bench.command(&options, &["arguments", "x"]));
    assert_eq!(outcome.ok().text(), "[x]");
}

#[test]
fn variables_come_from_files_then_options_then_the_caller() {
    let Some(bench) = Bench::new("environment") else { return };
    bench
        .scratch
        .file("one.env", "# comment\n\nA=from file\nB=from file\nQUOTED=\"kept\"\nCALLER\n");
    let mut command = bench.launch(
        &["--env-file", "one.env", "-e", "B=from option", "--env", "EMPTY=", "-e", "UNSET"],
        &["environment"],
    );
    let text =
        tests::outcome::run(command.env("CALLER", "passed on").env("SECRET", "x")).ok().text();
    let lines: Vec<&str> = text.lines().collect();
    for expected in
        ["A=from file", "B=from option", "EMPTY=", "QUOTED=\"kept\"", "CALLER=passed on"]
    {
        assert!(lines.contains(&expected), "{expected} is not in {lines:?}");
    }
    for absent in ["SECRET", "UNSET", "CORACLE_STORE", "RUST_BACKTRACE"] {
        assert!(!text.contains(absent), "{absent} is in {lines:?}");
    }
}

#[test]
fn a_user_is_looked_up_in_the_image() {
    let Some(bench) = Bench::new("user") else { return };
    for (user, ids) in [
        ("ann", "1234:4321"),
        ("ann:root", "1234:0"),
        ("1234", "1234:4321"),
        ("77", "77:0"),
        ("77:88", "77:88"),
        ("root:staff", "0:4321"),
    ] {
        let text = bench.probe(&["--user", user], &["who"]).ok().text();
        assert_eq!(text, format!("{ids} pid 1"), "{user}");
    }
    let text = bench.probe(&["--init", "-u", "ann"], &["who"]).ok().text();
    assert_eq!(text, "1234:4321 pid 2", "the program is not process 1 behind an init");
}

#[test]
fn working_folder_host_name_and_limits_are_those_asked_for() {
    let Some(bench) = Bench::new("asked") else { return };
    assert_eq!(bench.probe(&[], &["where"]).ok().text(), "/");
    assert_eq!(bench.probe(&["-w", "/data"], &["where"]).ok().text(), "/data");
    assert_eq!(bench.probe(&["-h", "box"], &["host"]).ok().text(), "box");
    let limited = bench.probe(&["--ulimit", "nofile=64:128"], &["nofile"]).ok();
    assert_eq!(limited.text(), "64:128");
    let hosts = bench.probe(&["--add-host", "db:10.0.0.7"], &["read", "/etc/hosts"]).ok().text();
    assert!(hosts.lines().any(|line| line.split_whitespace().eq(["10.0.0.7", "db"])), "{hosts}");
}
