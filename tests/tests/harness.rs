//! The support library itself: what it promises to the other suites.

use std::process::Command;

use tests::outcome::run;
use tests::samples::{STATUS, Sample};
use tests::scratch::Scratch;
use tests::server::{NAME, Server};
use tests::{leftovers, programs, require};

#[test]
fn the_programs_are_built_and_start() {
    for program in [programs::coracle(), programs::paddle()] {
        run(Command::new(program).arg("--version")).ok();
    }
}

#[test]
fn each_sample_prints_its_line_and_ends_with_its_status() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [Sample::GoLike, Sample::StaticPieRust, Sample::Musl, Sample::Glibc, Sample::Script]
    {
        let Some(file) = kind.make(folder.path()) else { continue };
        let outcome = run(Command::new(file).args(["one", "two"])).exits(STATUS);
        assert_eq!(outcome.text(), format!("{}: one two", kind.name()));
    }
}

#[test]
fn the_server_is_reached_by_name_and_trusted_only_with_its_authority() {
    let Some(curl) = require::program("curl") else { return };
    let scratch = Scratch::new("server");
    let files = scratch.subfolder("files");
    std::fs::write(files.join("greeting"), "ahoy\n").unwrap();
    let Some(server) = Server::start(&files, &scratch.subfolder("keys")) else { return };
    let resolve = format!("{}:127.0.0.1", server.host_and_port());
    let fetch = || {
        let mut command = Command::new(&curl);
        command.args(["-sS", "--resolve", &resolve, &server.url("greeting")]);
        command
    };
    let outcome = run(fetch().arg("--cacert").arg(server.authority())).ok();
    assert_eq!(outcome.text(), "ahoy");
    run(&mut fetch()).exits(60).says(&["certificate"]);
    assert!(server.url("").contains(NAME));
}

#[test]
fn a_process_and_a_file_with_the_mark_are_seen() {
    let scratch = Scratch::new("mark");
    assert!(scratch.leftovers().is_empty());
    let mut child = scratch.command("/bin/sleep".as_ref()).arg("60").spawn().unwrap();
    let processes = scratch.leftovers().processes;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(processes.iter().any(|line| line.ends_with("sleep 60")), "{processes:?}");
    let before = leftovers::names(scratch.path());
    scratch.file("new", "");
    let after = leftovers::names(scratch.path());
    assert_eq!(leftovers::difference(&before, &after), "+ new\n");
}
