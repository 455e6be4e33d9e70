//! `guest [--kernel 6.1|6.12] [--in service|delegated|manager|session] [--file PATH]... [--test SUITE]... SCRIPT`: runs a
//! script of bash in a guest. `tests/hosts/run` calls it.
//!
//! In the guest, `$CORACLE_TESTS_PROGRAMS` holds `coracle` and `paddle`, which are also found on `PATH`, and so is each suite
//! that was asked for, under its name. Files are where they are on the host.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a tool of the tests: whatever is wrong ends it"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tests::hosts::{self, Guest, Job, Kernel, Place, Work};

/// Long enough for whatever is tried by hand.
const LIMIT: Duration = Duration::from_hours(1);

fn main() -> ExitCode {
    let (mut kernel, mut place) = (Kernel::V6_12, Place::Service);
    let (mut files, mut suites, mut script) = (Vec::<PathBuf>::new(), Vec::new(), String::new());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--kernel" => {
                let name = value();
                kernel = Kernel::ALL.into_iter().find(|k| k.name() == name).expect("a kernel");
            }
            "--in" => {
                let name = value();
                place = Place::ALL.into_iter().find(|p| p.name() == name).expect("a place");
            }
            "--file" => files.push(value().into()),
            "--test" => suites.push(value()),
            _ => script = word,
        }
    }
    let Some(guest) = Guest::saved(kernel) else { return ExitCode::FAILURE };
    let suites: Vec<&str> = suites.iter().map(String::as_str).collect();
    let mut work = Work::new();
    for file in files {
        work.file(&file);
    }
    let command = hosts::suites(&suites).lay(&mut work) + &script;
    work.job(&Job { name: "script".to_owned(), place, command });
    match guest.run(&work, LIMIT, &mut |line| println!("{line}")) {
        Ok(reports) => {
            let status = reports.first().and_then(|report| report.status);
            status.and_then(|status| u8::try_from(status).ok()).unwrap_or(255).into()
        }
        Err(why) => panic!("{why}"),
    }
}
