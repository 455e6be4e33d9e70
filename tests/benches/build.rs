//! How long the builder takes for the biggest closure on this machine: `cargo bench -p tests --bench build`.
//!
//! | row | what is done | its peer, in the same run |
//! |---|---|---|
//! | resolve | `coracle closure FILE` | `ldd FILE` |
//! | build | `coracle build -o IMAGE.oci.tar FILE` | `tar -c` of the same files, through `gzip -6` |
//!
//! Both sides of a row alternate, so that a busy machine disturbs both alike. The figures are medians by the
//! clock, and include starting the program. Name another executable after `--`.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its result")]
#![expect(clippy::expect_used, reason = "without what it measures, there is nothing to measure")]

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::programs;

const ROUNDS: usize = 15;

fn main() {
    let (coracle, _) = programs::release();
    // Cargo adds `--bench`; what else there is names the executable.
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let program = given.map_or_else(|| biggest(coracle), PathBuf::from);
    let files = closure(coracle, &program);
    println!("{}: {} files in its closure, {ROUNDS} rounds", program.display(), files.len());
    println!("{:<10} {:>12} {:>12} {:>8}", "", "coracle ms", "peer ms", "ratio");

    let resolve = || quiet(Command::new(coracle).arg("closure").arg(&program));
    let ldd = || quiet(Command::new("ldd").arg(&program));
    print_row("resolve", &alternate(resolve, ldd));

    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let image = folder.path().join("image.oci.tar");
    let build = || {
        let mut command = Command::new(coracle);
        command.env("CORACLE_STORE", folder.path().join("store")).arg("build").arg("-o");
        let took = quiet(command.arg(&image).arg(&program));
        std::fs::remove_file(&image).expect("coracle wrote it");
        took
    };
    let archive = folder.path().join("archive.tar.gz");
    // The closure names links to folders as well (`/lib`): each path is packed as what it is.
    let tar = || {
        let options = ["-I", "gzip -6", "--no-recursion", "-cPf"];
        quiet(Command::new("tar").args(options).arg(&archive).args(&files))
    };
    print_row("build", &alternate(build, tar));
}

/// The ELF executable of `/usr/bin` with the most files in its closure.
fn biggest(coracle: &Path) -> PathBuf {
    let mut best = (0, PathBuf::from("/bin/sh"));
    for entry in std::fs::read_dir("/usr/bin").expect("a Debian machine").filter_map(Result::ok) {
        if starts_as_elf(&entry.path()) {
            best = best.max((closure(coracle, &entry.path()).len(), entry.path()));
        }
    }
    best.1
}

fn starts_as_elf(file: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(file).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok())
        && magic == *b"\x7fELF"
}

fn closure(coracle: &Path, program: &Path) -> Vec<String> {
    let output = Command::new(coracle).arg("closure").arg(program).output().expect("it starts");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Runs once without output; it must succeed.
fn quiet(command: &mut Command) -> Duration {
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let took = started.elapsed();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    took
}

/// Medians of both, after one round each that does not count.
fn alternate(ours: impl Fn() -> Duration, peer: impl Fn() -> Duration) -> [Duration; 2] {
    ours();
    peer();
    let (mut left, mut right): (Vec<_>, Vec<_>) = (0..ROUNDS).map(|_| (ours(), peer())).unzip();
    left.sort_unstable();
    right.sort_unstable();
    [left[ROUNDS / 2], right[ROUNDS / 2]]
}

fn print_row(name: &str, [ours, peer]: &[Duration; 2]) {
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1000.0;
    let ratio = ours.as_secs_f64() / peer.as_secs_f64();
    let (ours, peer) = (milliseconds(ours), milliseconds(peer));
    println!("{name:<10} {ours:>12.1} {peer:>12.1} {ratio:>8.2}");
}
