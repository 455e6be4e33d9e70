//! git, openssl and sqlite3, working on files that are mounted into the container.

use std::fs;
use std::process::Command;

use tests::outcome::{run, run_with_input};
use tests::require;
use tests::scratch::Scratch;
#[test]
fn git_clones_from_a_folder() {
    let Some(git) = require::program("git").filter(|_| require::root()) else { return };
    let scratch = Scratch::new("git");
    let source = scratch.subfolder("source");
    let outside = |arguments: &[&str]| {
        let mut command = scratch.command(&git);
        command.args(["-c", "user.name=Test", "-c", "user.email=test@coracle.test", "-C"]);
        run(command.arg(&source).args(arguments)).ok().text()
    };
    outside(&["init", "--quiet", "--initial-branch=main"]);
    fs::write(source.join("file"), "content\n").unwrap();
    outside(&["add", "file"]);
    outside(&["commit", "--quiet", "--message=first"]);
    let commit = outside(&["rev-parse", "HEAD"]);

    scratch.pack(&[&git]);
    let target = scratch.subfolder("target");
    let volumes =
        [format!("{}:/source:ro", source.display()), format!("{}:/target", target.display())];
    let options = ["--volume", &volumes[0], "--volume", &volumes[1]];
    let clone = ["clone", "--quiet", "/source", "/target/copy"];
    run(&mut scratch.launch(&options, "git", &clone)).ok();
    assert_eq!(fs::read_to_string(target.join("copy/file")).unwrap(), "content\n");
    let log = ["-C", "/target/copy", "log", "--format=%H %s"];
    let outcome = run(&mut scratch.launch(&options, "git", &log)).ok();
    assert_eq!(outcome.text(), format!("{commit} first"));
    // The source is mounted read-only.
    let branch = ["-C", "/source", "branch", "other"];
    let outcome = run(&mut scratch.launch(&options, "git", &branch));
    assert!(!outcome.status.success(), "{outcome:?}");
    assert_eq!(outside(&["branch", "--format=%(refname:short)"]), "main");
}

#[test]
fn openssl_digests_and_makes_keys() {
    let Some(openssl) = require::program("openssl").filter(|_| require::root()) else { return };
    let scratch = Scratch::new("openssl");
    scratch.pack(&["openssl"]);
    let data = scratch.file("data", "abc");
    let volume = format!("{}:/data:ro", data.display());
    let digest = ["dgst", "-sha256", "-r", "/data"];
    let outcome = run(&mut scratch.launch(&["--volume", &volume], "openssl", &digest)).ok();
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad */data";
    assert_eq!(outcome.text(), expected);
    let key = run(&mut scratch.launch(&[], "openssl", &["genrsa", "2048"])).ok();
    let mut check = Command::new(openssl);
    check.args(["rsa", "-check", "-noout"]);
    assert_eq!(run_with_input(&mut check, &key.stdout).ok().text(), "RSA key ok");
}

#[test]
fn sqlite_keeps_a_database_in_a_volume() {
    if !require::root() || require::program("sqlite3").is_none() {
        return;
    }
    let scratch = Scratch::new("sqlite");
    scratch.pack(&["sqlite3"]);
    let volume = format!("{}:/data", scratch.subfolder("data").display());
    let ask = |question: &str| {
        let options = ["--volume", &volume];
        run(&mut scratch.launch(&options, "sqlite3", &["/data/base", question]))
    };
    ask("create table t (n integer); insert into t values (40), (2);").ok();
    assert_eq!(ask("select sum(n) from t;").ok().text(), "42");
    ask("select * from absent;").exits(1).says(&["no such table: absent"]);
}
