//! Nothing is left behind: not after two hundred launches, and not after `kill -9` at any moment, once
//! the next command has run.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as it does")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tests::leftovers::{difference, names};
use tests::outcome::run;
use tests::require;
use tests::samples::{STATUS, Sample, load};
use tests::scratch::Scratch;

/// Starts a container that waits, and returns when it runs.
fn start_waiting(scratch: &Scratch, mut command: Command) -> Child {
    // Not a pipe: the container would hold it open after paddle's end.
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let runs = |line: &String| line.contains("load wait") && !line.contains("paddle");
    while !scratch.leftovers().processes.iter().any(runs) {
        assert!(Instant::now() < deadline, "the container does not start");
    }
    child
}

fn folder_with_load(name: &str) -> Option<Scratch> {
    let scratch = require::root().then(|| Scratch::new(name))?;
    let program = load(scratch.path())?;
    scratch.pack(&[program]);
    Some(scratch)
}

/// What is in the store and among the states. The one folder that waits for the next container counts, but not
/// which of its files have been used already.
fn files(scratch: &Scratch) -> BTreeSet<PathBuf> {
    let of_spare = |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with(".spare"));
    let all = names(&scratch.store()).into_iter().chain(names(&scratch.state()));
    all.filter(|path| !of_spare(path)).collect()
}

#[test]
fn a_running_container_is_seen_by_the_harness() {
    let Some(scratch) = folder_with_load("seen") else { return };
    let mut child =
        start_waiting(&scratch, scratch.launch(&["--memory", "64m"], "load", &["wait"]));
    let seen = scratch.leftovers();
    child.kill().unwrap();
    child.wait().unwrap();
    run(scratch.paddle().args(["ps", "-a"])).ok();
    // Were these empty, the other tests here could not fail.
    assert!(!seen.cgroups.is_empty());
    assert!(seen.processes.len() >= 2, "{seen:?}");
}

#[test]
fn two_hundred_launches_leave_nothing() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("launches");
    let Some(program) = Sample::GoLike.make(scratch.path()) else { return };
    scratch.pack(&[program]);
    let limits = ["--memory", "64m", "--pids-limit", "16"];
    let launch = || run(&mut scratch.launch(&limits, "go-like", &["x"])).exits(STATUS);
    launch();
    let before = files(&scratch);
    for _ in 0..200 {
        launch();
    }
    let leftovers = scratch.leftovers();
    assert!(leftovers.is_empty(), "{leftovers:#?}");
    assert_eq!(difference(&before, &files(&scratch)), "");
}

#[test]
fn containers_that_are_kept_are_gone_after_rm() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("kept");
    let Some(program) = Sample::GoLike.make(scratch.path()) else { return };
    scratch.pack(&[program]);
    run(&mut scratch.launch(&[], "go-like", &[])).exits(STATUS);
    let before = files(&scratch);
    let name = scratch.container();
    run(scratch.paddle().args(["run", "--name", &name, "go-like"])).exits(STATUS);
    let listed = run(scratch.paddle().args(["ps", "-a"])).ok().text();
    assert!(listed.contains(&name), "{listed}");
    run(scratch.paddle().args(["rm", &name])).ok();
    assert!(!run(scratch.paddle().args(["ps", "-a"])).ok().text().contains(&name));
    assert_eq!(difference(&before, &files(&scratch)), "");
}

/// An OCI archive of the test's own program and a file of `bytes`: that makes unpacking take a while.
fn archive_with_ballast(scratch: &Scratch, bytes: usize) -> PathBuf {
    // It does not compress, so that reading takes a while as well.
    scratch.file("ballast", ballast(bytes));
    let recipe = r#"
        executables = ["./load"]
        files = [{ source = "ballast", destination = "/ballast" }]
    "#;
    let recipe = scratch.file("big.toml", recipe);
    let archive = scratch.path().join("big.oci.tar");
    scratch.pack(&[Path::new("-o"), &archive, &recipe]);
    archive
}

fn empty_the_store(scratch: &Scratch) {
    std::fs::remove_dir_all(scratch.store()).unwrap();
    scratch.subfolder("store");
}

#[test]
fn launches_that_start_together_share_one_snapshot() {
    let Some(scratch) = folder_with_load("together") else { return };
    let archive = archive_with_ballast(&scratch, 8 << 20);
    let launch = || {
        let mut command = scratch.launch(&[], archive.to_str().unwrap(), &["cpu", "200"]);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let start_anew = || empty_the_store(&scratch);
    start_anew();
    assert!(launch().wait().unwrap().success());
    let expected = files(&scratch);
    for _ in 0..3 {
        start_anew();
        let mut all: Vec<_> = (0..4).map(|_| launch()).collect();
        assert!(all.iter_mut().all(|child| child.wait().unwrap().success()));
        assert_eq!(difference(&expected, &files(&scratch)), "");
    }
}

#[test]
fn killed_while_running_is_cleaned_by_the_next_command() {
    let Some(scratch) = folder_with_load("killed") else { return };
    run(&mut scratch.launch(&[], "load", &["cpu", "0"])).ok();
    let before = files(&scratch);
    for options in [&["--memory", "64m", "--pids-limit", "16"][..], &["--read-only"], &["--userns"]]
    {
        let mut child = start_waiting(&scratch, scratch.launch(options, "load", &["wait"]));
        child.kill().unwrap();
        child.wait().unwrap();
        run(scratch.paddle().args(["ps", "-a"])).ok();
        let leftovers = scratch.settled();
        assert!(leftovers.is_empty(), "{options:?}: {leftovers:#?}");
        assert_eq!(difference(&before, &files(&scratch)), "", "{options:?}");
    }
}

#[test]
fn killed_at_any_moment_is_cleaned_by_the_next_command() {
    let Some(scratch) = folder_with_load("moments") else { return };
    let archive = archive_with_ballast(&scratch, 24 << 20);
    let archive = archive.to_str().unwrap();
    let launch = || scratch.launch(&["--memory", "64m"], archive, &["cpu", "50"]);

    let start_anew = || empty_the_store(&scratch);
    start_anew();
    let whole = run(&mut launch()).ok().took;
    let expected = files(&scratch);
    // Moments spread over the whole run, from before the first step to after the last.
    let rounds = 24;
    for round in 0..rounds {
        start_anew();
        let mut command = launch();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moment = whole * (2 * round + 1) / (2 * rounds);
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        let next = run(&mut launch()).ok();
        let leftovers = scratch.settled();
        let when = format!("killed after {moment:?} of {whole:?}, then {next:?}");
        assert!(leftovers.is_empty(), "{when}\n{leftovers:#?}");
        let difference = difference(&expected, &files(&scratch));
        assert_eq!(difference, "", "{when}");
    }
}

/// Bytes that do not compress, always the same: a xorshift generator's (Marsaglia, 2003).
fn ballast(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

#[test]
fn a_build_that_is_killed_leaves_no_partial_output() {
    let scratch = Scratch::new("build");
    let Some(program) = load(scratch.path()) else { return };
    scratch.file("ballast", ballast(24 << 20));
    let recipe = format!(
        "executables = [\"{}\"]\nfiles = [{{ source = \"ballast\", destination = \"/b\" }}]\n",
        program.display()
    );
    let recipe = scratch.file("big.toml", recipe);
    let build = |out: &Path| {
        let mut command = scratch.coracle();
        command.arg("build").arg("-o").arg(out).arg(&recipe);
        command
    };
    let reference = scratch.path().join("reference.oci.tar");
    let whole = run(&mut build(&reference)).ok().took;
    let folder = scratch.subfolder("out");
    let rounds = 12;
    for round in 0..rounds {
        let out = folder.join("image.oci.tar");
        let mut command = build(&out);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moment = whole * (2 * round + 1) / (2 * rounds);
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        // Either nothing under the name, or the whole file.
        if out.exists() {
            let same = std::fs::read(&out).unwrap() == std::fs::read(&reference).unwrap();
            assert!(same, "killed after {moment:?} of {whole:?}: a partial output");
            std::fs::remove_file(&out).unwrap();
        }
        run(&mut build(&out)).ok();
        std::fs::remove_file(&out).unwrap();
    }
}
