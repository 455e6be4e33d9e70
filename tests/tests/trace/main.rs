//! `coracle trace`: programs made for it, whose every call is known, real ones, and profiles that builds
//! follow.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot fail may panic")]

mod calls;
mod endings;
mod replay;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::spec::profile::Profile;
use tests::outcome::{Outcome, run};
use tests::samples::compile_c;
use tests::scratch::Scratch;

/// A folder to look around in: `data/file`, `data/link -> file`, `data/way -> sub/deep`,
/// `data/sub/inner`, `data/sub/deep/`.
fn data(scratch: &Scratch) -> PathBuf {
    let data = scratch.subfolder("data");
    fs::create_dir_all(data.join("sub/deep")).unwrap();
    for file in ["file", "sub/inner"] {
        fs::write(data.join(file), "content").unwrap();
    }
    symlink("file", data.join("link")).unwrap();
    symlink("sub/deep", data.join("way")).unwrap();
    data
}

/// Compiles a program into the test's folder.
fn compile(scratch: &Scratch, options: &[&str], source: &str) -> Option<PathBuf> {
    let program = scratch.path().join("probe");
    compile_c("gcc", options, source, &program)?;
    Some(program)
}

/// `coracle trace --all -o FOLDER/profile.toml -- COMMAND`, to be run in `data`.
fn trace(scratch: &Scratch, command: &[&str]) -> Command {
    let mut trace = scratch.coracle();
    trace.current_dir(scratch.path().join("data")).args(["trace", "--all", "--force", "-o"]);
    trace.arg(scratch.path().join("profile.toml")).arg("--").args(command);
    trace
}

fn profile(scratch: &Scratch) -> Profile {
    Profile::read(&scratch.path().join("profile.toml")).unwrap()
}

/// What all programs did below a folder: `opened file`, one line each, sorted.
fn below(folder: &Path, profile: &Profile) -> Vec<String> {
    let mut lines = Vec::new();
    for seen in profile.programs.values() {
        for (what, paths) in
            [("opened", &seen.opened), ("listed", &seen.listed), ("missing", &seen.missing)]
        {
            let names = paths.iter().filter_map(|path| path.as_path().strip_prefix(folder).ok());
            lines.extend(names.map(|name| format!("{what} {}", name.display())));
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

/// Runs a traced command to its end.
fn traced(scratch: &Scratch, command: &[&str], status: i32) -> Outcome {
    run(&mut trace(scratch, command)).exits(status)
}
