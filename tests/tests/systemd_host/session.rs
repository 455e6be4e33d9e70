//! As an ordinary user who has logged in: the session's scope belongs to root, and nothing is delegated there. The user's own
//! systemd makes the groups.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use tests::outcome::run;

use crate::{Bench, UNIFIED, bundle, own_group};

/// Where the user's manager makes the scopes of containers.
const SLICE: &str = "/user.slice/user-1000.slice/user@1000.service/user.slice";

#[test]
fn limits_hold_in_a_scope_of_the_user() {
    assert!(own_group().contains("/session-"), "{}", own_group());
    Bench::new("limits").limits_hold(&[], &format!("{UNIFIED}{SLICE}/coracle-"));
}

#[test]
fn a_killed_paddle_leaves_nothing() {
    Bench::new("killed").a_killed_paddle_leaves_nothing(&[]);
}

#[test]
fn without_a_limit_nobody_is_asked() {
    let bench = Bench::new("plain");
    let waiting = bench.start(&[]);
    let groups = bench.scratch.leftovers().cgroups;
    waiting.stop();
    assert!(groups.is_empty(), "{groups:?}");
}

#[test]
fn who_insists_on_folders_is_told_why_there_are_none() {
    let bench = Bench::new("refused");
    let mut command = bench.scratch.paddle();
    command.args(["--cgroup-manager", "cgroupfs", "run", "--rm", "--memory", "64m", "load"]);
    run(&mut command).exits(125).says(&["memory", "session-", "hint: ", "--cgroup-manager"]);
}

#[test]
fn the_users_systemd_is_found_without_the_variables_of_a_login() {
    let bench = Bench::new("bare");
    let mut command = bench.scratch.launch(&["--memory", "64m"], "load", &["memory", "1"]);
    command.env_remove("XDG_RUNTIME_DIR").env_remove("DBUS_SESSION_BUS_ADDRESS");
    assert_eq!(run(&mut command).ok().text(), "touched");
    assert!(Path::new("/run/user/1000/systemd/private").exists());
}

#[test]
fn a_further_process_is_moved_into_the_scope() {
    let bench = Bench::new("exec");
    bench.scratch.pack(&["-t", "tools", "/bin/cat", "/bin/sleep"]);
    let name = bench.scratch.container();
    let mut command = bench.scratch.paddle();
    command.args(["run", "--rm", "--name", &name, "--memory", "64m"]);
    let mut paddle = command.args(["--entrypoint", "/bin/sleep", "tools", "1000"]).spawn().unwrap();
    let ask = || {
        let mut command = bench.scratch.paddle();
        run(command.args(["exec", &name, "/bin/cat", "/proc/self/cgroup"]))
    };
    // Until it is there.
    let start = Instant::now();
    let mut outcome = ask();
    while outcome.status.code() != Some(0) && start.elapsed() < Duration::from_secs(120) {
        outcome = ask();
    }
    // From outside of it the group would be `/../../..`.
    assert_eq!(outcome.ok().text(), "0::/");
    let id = Pid::from_raw(i32::try_from(paddle.id()).unwrap());
    kill(id, Signal::SIGTERM).unwrap();
    paddle.wait().unwrap();
}

#[test]
fn a_bundle_lives_in_a_scope_of_the_user() {
    bundle::every_verb("bundle", true, "", &SLICE[1..]);
}
