//! As an ordinary user who has logged in: the session's scope belongs to root, and nothing is delegated there. The user's own
//! systemd makes the groups.

use std::path::Path;

use tests::outcome::run;

use crate::{Bench, UNIFIED, own_group};

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
