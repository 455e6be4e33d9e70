//! An ordinary user runs images too.

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
    let mut ours = std::process::Command::new(tests::programs::paddle());
    ours.arg("--root").arg(bench.scratch.state()).args(["ps", "-a"]);
    run(&mut ours).exits(1).says(&["another user"]);
    run(bench.scratch.paddle().args(["rm", &name])).ok();
}
