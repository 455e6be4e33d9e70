//! As an ordinary user, in a service of the user's own manager with controllers delegated to it.

use tests::outcome::run;

use crate::{Bench, UNIFIED, bundle, own_group, scope};

/// The user's manager.
const MANAGER: &str = "/user.slice/user-1000.slice/user@1000.service";

#[test]
fn limits_hold() {
    // Not below our own group: we live in it.
    assert!(own_group().starts_with(MANAGER), "{}", own_group());
    Bench::new("limits").limits_hold(&[], &format!("{UNIFIED}{MANAGER}"));
}

#[test]
fn a_killed_paddle_leaves_nothing() {
    Bench::new("killed").a_killed_paddle_leaves_nothing(&[]);
}

#[test]
fn a_container_without_limits_needs_no_group() {
    let bench = Bench::new("plain");
    let waiting = bench.start(&[]);
    let groups = bench.scratch.leftovers().cgroups;
    waiting.stop();
    assert!(groups.is_empty(), "{groups:?}");
}

#[test]
fn a_range_of_users_is_mapped_and_files_belong_to_them() {
    let bench = Bench::new("users");
    bench.scratch.pack(&["-t", "tools", "/bin/cat", "/bin/touch", "/usr/bin/stat"]);
    let ask = |options: &[&str], arguments: &[&str]| {
        run(&mut bench.scratch.launch(options, "tools", arguments)).ok().text()
    };
    let map = ask(&["--entrypoint", "/bin/cat"], &["/proc/self/uid_map"]);
    let words: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(words, ["0", "1000", "1", "1", "100000", "65536"]);
    let data = bench.scratch.subfolder("data");
    std::fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let volume = format!("{}:/data", data.display());
    ask(&["--entrypoint", "/bin/touch", "--user", "33", "--volume", &volume], &["/data/file"]);
    let owner = std::os::unix::fs::MetadataExt::uid(&data.join("file").metadata().unwrap());
    assert_eq!(owner, 100_032);
}

#[test]
fn limits_hold_in_a_scope_of_the_user() {
    let bench = Bench::of_systemd("scoped");
    bench.limits_hold(&[], &format!("{UNIFIED}{MANAGER}/user.slice/coracle-"));
    bench.a_killed_paddle_leaves_nothing(&[]);
}

#[test]
fn systemd_makes_a_scope_of_the_user() {
    scope::check("user", true, MANAGER);
}

#[test]
fn a_bundle_lives_in_a_scope_of_a_slice_of_its_own() {
    let below = format!("{}/engines.slice", &MANAGER[1..]);
    bundle::every_verb("bundle", true, "engines.slice", &below);
}

#[test]
fn a_bundles_name_can_be_had_again() {
    bundle::a_name_again("again", true, "");
}
