//! An ordinary user runs images too.

use std::process::Command;

use super::{Bench, Running};
use nix::sys::signal::Signal::SIGTERM;
use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

/// The user `nobody` of Debian, who has no subordinate ids.
const NOBODY: u32 = 65534;

fn bench(name: &str) -> Option<Bench> {
    if !require::root() || !require::user_namespaces() {
        return None;
    }
    Bench::with(Scratch::of_user(name, NOBODY))
}

#[test]
fn an_ordinary_user_runs_an_image_as_root_of_its_own_namespace() {
    let Some(bench) = bench("rootless") else { return };
    assert_eq!(bench.probe(&[], &["who"]).ok().text(), "0:0 pid 1");
    bench.probe(&[], &["write", "/data/new"]).ok();
    bench.probe(&["--init"], &["exit", "7"]).exits(7);
    bench.probe(&["--read-only"], &["write", "/data/new"]).exits(1);
    let running = bench.start(&[], &["catch", "15"]);
    running.send(SIGTERM);
    assert_eq!(running.finish().1, Some(115));
    let running: Running = bench.start(&["-it"], &["wait"]);
    running.send(SIGTERM);
    assert_eq!(running.finish().1, Some(143));
}

#[test]
fn a_limit_that_cannot_be_kept_is_refused_by_name() {
    let Some(bench) = bench("undelegated") else { return };
    let outcome = bench.probe(&["--memory", "64m"], &["exit", "0"]).exits(125);
    outcome.says(&["--memory", "hint:"]);
}

#[test]
fn an_ordinary_users_containers_are_their_own() {
    let Some(bench) = bench("own") else { return };
    let name = bench.scratch.container();
    run(&mut bench.command(&["--name", &name], &["/bin/probe", "exit", "0"])).ok();
    assert_eq!(bench.ps(&["-a", "-q"]), name);
    // Root, pointed at another user's state, does not trust it.
    let mut ours = Command::new(tests::programs::paddle());
    ours.arg("--root").arg(bench.scratch.state()).args(["ps", "-a"]);
    run(&mut ours).exits(1).says(&["another user"]);
    run(bench.scratch.paddle().args(["rm", &name])).ok();
}

/// The command in a mount namespace in which `/etc/subuid` and `/etc/subgid` give the user a range, as the user.
fn with_ranges(bench: &Bench, command: &Command) -> Command {
    let ranges = bench.scratch.file("ranges", format!("{NOBODY}:1200000000:65536\n"));
    let script = "mount --bind $0 /etc/subuid && mount --bind $0 /etc/subgid && exec \"$@\"";
    let user = NOBODY.to_string();
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(ranges);
    wrapped.args(["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        wrapped.env(name, value.unwrap_or_default());
    }
    wrapped.current_dir(command.get_current_dir().unwrap_or(bench.scratch.path()));
    wrapped
}

#[test]
fn subordinate_ids_are_users_inside_and_what_they_wrote_is_removed() {
    let Some(bench) = bench("ranges") else { return };
    for name in ["newuidmap", "newgidmap", "unshare", "setpriv"] {
        if require::program(name).is_none() {
            return;
        }
    }
    let probe = |options: &[&str], arguments: &[&str]| {
        run(&mut with_ranges(&bench, &bench.launch(options, arguments)))
    };
    assert_eq!(probe(&["-u", "ann"], &["who"]).ok().text(), "1234:4321 pid 1");
    let left = || std::fs::read_dir(bench.scratch.store().join("containers")).unwrap().count();
    probe(&[], &["give", "/data/given"]).ok().says(&[]);
    assert_eq!(left(), 0);
    // The same after the launcher was killed, by whatever command comes next.
    let waits = bench.launch(&[], &["give", "/data/given", "wait"]);
    let Running { mut paddle, .. } = Running::start(with_ranges(&bench, &waits));
    paddle.kill().unwrap();
    paddle.wait().unwrap();
    assert_eq!(left(), 1);
    run(&mut with_ranges(&bench, bench.scratch.paddle().args(["ps", "-a"]))).ok();
    assert_eq!(left(), 0);
}
