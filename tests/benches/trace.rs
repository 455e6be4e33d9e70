//! What it costs to be watched: `cargo bench -p tests --bench trace`.
//!
//! | column | what is run |
//! |---|---|
//! | alone | the command |
//! | trace | `coracle trace --all`, which writes no less than strace does |
//! | strace | `strace -f -e trace=%file`: the calls that name files |
//! | filter | the same with `--seccomp-bpf`, which also stops at these calls only |
//!
//! All four alternate, so that a busy machine disturbs them alike. The figures are the least by the
//! clock, as everything else that the machine does only adds; they include starting the tracer. The ratio is that to
//! the command alone.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its result")]
#![expect(clippy::expect_used, reason = "without what it measures, there is nothing to measure")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::programs;

const ROUNDS: usize = 25;

/// Commands of this machine: few programs and many files, and the other way round.
const COMMANDS: &[(&str, &[&str])] = &[
    ("python3, two imports", &["/usr/bin/python3", "-c", "import ssl, sqlite3"]),
    ("git log", &["/usr/bin/git", "log", "--oneline", "-n", "200"]),
    (
        "sh, 50 programs",
        &[
            "/bin/sh",
            "-c",
            "for i in 1 2 3 4 5 6 7 8 9 10; do /bin/true; /bin/true; /bin/true; /bin/true; /bin/true; done",
        ],
    ),
    // No file but its own: what the calls cost that are not watched.
    (
        "dd, 40000 calls",
        &["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=20000", "status=none"],
    ),
];

fn main() {
    let (coracle, _) = programs::release();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let out = folder.path().join("out");
    println!("{ROUNDS} rounds, ms (ratio)");
    println!("{:<22} {:>8} {:>16} {:>16} {:>16}", "", "alone", "trace", "strace", "filter");
    for (name, command) in COMMANDS {
        let ways = [
            words(&[], None, command),
            words(
                &[coracle.to_str().expect("text"), "trace", "-q", "--all", "--force", "-o"],
                Some(&out),
                command,
            ),
            words(&["strace", "-f", "-e", "trace=%file", "-o"], Some(&out), command),
            words(
                &["strace", "-f", "--seccomp-bpf", "-e", "trace=%file", "-o"],
                Some(&out),
                command,
            ),
        ];
        let least = alternate(&ways);
        let alone = least[0].as_secs_f64();
        print!("{name:<22} {:>8.1}", alone * 1000.0);
        for time in &least[1..] {
            let ratio = time.as_secs_f64() / alone;
            print!(" {:>16}", format!("{:.1} ({ratio:.2})", time.as_secs_f64() * 1000.0));
        }
        println!();
    }
}

fn words(before: &[&str], out: Option<&Path>, command: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = before.iter().map(ToString::to_string).collect();
    if let Some(out) = out {
        words.push(out.display().to_string());
        if before.contains(&"trace") {
            words.push("--".to_owned());
        }
    }
    words.extend(command.iter().map(ToString::to_string));
    words
}

/// The least of each, after one round that does not count.
fn alternate(ways: &[Vec<String>]) -> Vec<Duration> {
    let mut times = vec![Vec::new(); ways.len()];
    for round in 0..=ROUNDS {
        for (way, times) in ways.iter().zip(&mut times) {
            let took = quiet(way);
            if round > 0 {
                times.push(took);
            }
        }
    }
    times.into_iter().map(|times| times.into_iter().min().unwrap_or_default()).collect()
}

/// Runs once without output; it must succeed.
fn quiet(words: &[String]) -> Duration {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let started = Instant::now();
    let output = command.output().expect("strace and the commands are installed");
    let took = started.elapsed();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    took
}
