//! `min`: only what runs used, of what rules and recipes bring.

use std::fs;

use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

use super::{app, packed};

/// What `--min` leaves of `app`, when a profile says that these files were opened and these folders listed.
#[track_caller]
fn check(scratch: &Scratch, opened: &[&str], listed: &[&str], left: &[&str]) {
    let dir = scratch.path().to_str().unwrap();
    let list = |paths: &[&str]| {
        let quoted: Vec<String> = paths.iter().map(|path| format!("\"{dir}/{path}\"")).collect();
        quoted.join(", ")
    };
    let (opened_list, listed_list) = (list(opened), list(listed));
    let profile = format!(
        "version = 1\n[[program]]\npath = \"{dir}/app\"\nopened = [{opened_list}]\nlisted = [{listed_list}]\n"
    );
    scratch.file("app.trace.toml", profile);
    let found = packed(scratch, &["./app", "--min", "--profile", "app.trace.toml"]);
    assert_eq!(found, left, "{opened:?} {listed:?}");
}

#[test]
fn what_a_profile_names_stays_with_what_it_needs() {
    let scratch = Scratch::new("min");
    let Some(()) = app(&scratch) else { return };
    // The empty folder costs nothing, and somebody may write to it.
    check(&scratch, &[], &[], &["app", "data", "data/empty"]);
    check(&scratch, &["data/one"], &[], &["app", "data", "data/empty", "data/one"]);
    let through = ["app", "data", "data/empty", "data/link", "data/one"];
    check(&scratch, &["data/link"], &[], &through);
    check(&scratch, &[], &["data/sub"], &["app", "data", "data/empty", "data/sub"]);
    let small = ["app", "data", "data/empty", "plugins", "plugins/small.so"];
    check(&scratch, &["plugins/small.so"], &[], &small);
    let large =
        ["app", "data", "data/empty", "plugins", "plugins/large.so", "plugins/libextra.so.1"];
    check(&scratch, &["plugins/large.so"], &[], &large);
}

#[test]
fn without_a_profile_or_a_check_nobody_knows_what_is_used() {
    let scratch = Scratch::new("min-nothing");
    let said = ["`min` has nothing to go by", "hint: record a run with `coracle trace"];
    run(scratch.coracle().args(["build", "--min", "sh"])).exits(2).says(&said);
    scratch.file("sh.toml", "executables = [\"sh\"]\nmin = true\n");
    run(scratch.coracle().args(["build", "sh.toml"])).exits(2).says(&said);
    let said = ["--paddle names who runs a check, and none is run"];
    run(scratch.coracle().args(["build", "--paddle", "x", "sh"])).exits(2).says(&said);
}

/// A recipe with a folder of three files, and a check that runs this script.
fn recipe(scratch: &Scratch, script: &str) {
    for name in ["used", "other", "sub/third"] {
        let path = scratch.path().join("site").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    scratch.file("named", "named");
    let text = format!(
        "name = \"site\"\nexecutables = [\"sh\", \"cat\", \"ls\"]\nmin = true\n\
         [[files]]\nsource = \"site\"\ndestination = \"/srv\"\n\
         [[files]]\nsource = \"named\"\ndestination = \"/named\"\n\
         [[check.step]]\nrun = [\"sh\", \"-c\", '''{script}''']\n"
    );
    scratch.file("site.toml", text);
}

#[test]
fn what_the_check_used_is_what_is_left_and_passes_again() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("min-check");
    recipe(&scratch, "set -e; cat /srv/used; ls /srv >/dev/null");
    let mut command = scratch.coracle();
    let said = run(command.args(["build", "site.toml", "-o", "out/"])).ok().errors();
    assert!(said.contains("ok "), "the check of what is handed over is told: {said}");
    let out = scratch.path().join("out");
    for (path, there) in [
        ("srv/used", true),
        ("srv/other", false),
        ("srv/sub", false),
        // What a recipe names itself, and what it executes.
        ("named", true),
        ("usr/bin/cat", true),
        ("etc/nsswitch.conf", false),
    ] {
        assert_eq!(out.join(path).exists(), there, "{path}");
    }
    run(scratch.coracle().args(["check", "--run", "site.toml"])).ok();
    // In the store it still says why.
    run(scratch.coracle().args(["build", "site.toml"])).ok();
    let why = run(scratch.coracle().args(["why", "site", "/srv/used"])).ok().text();
    assert!(why.contains("the recipe's files: site"), "{why}");
}

#[test]
fn a_check_that_misses_what_was_left_out_fails_the_build() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("min-misses");
    // Counted, and neither opened nor asked about.
    recipe(&scratch, "set -- /srv/*; [ $# = 3 ]");
    let mut command = scratch.coracle();
    run(command.args(["build", "site.toml", "-o", "out.tar"])).exits(1).says(&[
        "error: the check of `site:latest` passes in the whole image, and fails without what no run used",
    ]);
    assert!(!scratch.path().join("out.tar").exists());
    // One that fails anyway says nothing about what is used.
    recipe(&scratch, "exit 3");
    let mut command = scratch.coracle();
    run(command.args(["build", "site.toml", "-o", "out.tar"])).exits(1).says(&[
        "error: the check of `site:latest` fails in the whole image, so it cannot tell what is used",
    ]);
    assert!(!scratch.path().join("out.tar").exists());
}
