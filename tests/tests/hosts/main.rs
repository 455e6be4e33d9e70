//! The suites of the launcher on the hosts of production: Debian 12 with systemd and pure cgroup v2, as root, as an ordinary user with
//! delegated controllers, and from a plain login; with kernels 6.1 and 6.12, in virtual machines.
//!
//! CI runs what only such a host can show. `tests/hosts/run --all` runs every suite that makes sense there, which takes the
//! better part of an hour: the machines are emulated, and about thirty times slower at starting processes.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "the helper of a test fails as it does, and says how long it took"
)]

use std::time::Duration;

use tests::hosts::{self, Guest, Job, Kernel, Place, Report, Work};

/// `(suite, where it runs, which of its tests)`. Tests of time and speed are not among them: an emulated processor's clock
/// tells nothing.
type Pass = &'static [(&'static str, Place, &'static str)];

/// Of the suite `cgroup`: all but what a processor's clock is asked for, and the real-time budgets that only v1 has.
const NOT_OF_THE_CLOCK_OR_V1: &str = "--skip the_cpu_quota_holds --skip real_time_budgets";

/// What only such a host can show.
const SHORT: Pass = &[
    ("cgroup", Place::Service, NOT_OF_THE_CLOCK_OR_V1),
    ("systemd_host", Place::Service, "root:: memory::"),
    ("systemd_host", Place::Delegated, "delegated::"),
    ("systemd_host", Place::Manager, "manager::"),
    ("systemd_host", Place::Session, "session::"),
];

/// Everything that containers are launched for.
const ALL: Pass = &[
    ("cgroup", Place::Service, NOT_OF_THE_CLOCK_OR_V1),
    ("limits", Place::Service, "memory processes"),
    ("isolation", Place::Service, ""),
    ("leftovers", Place::Service, ""),
    ("run", Place::Service, ""),
    ("sandbox", Place::Service, ""),
    ("sandbox_attacks", Place::Service, ""),
    ("sandbox_userns", Place::Service, ""),
    ("seccomp", Place::Service, ""),
    ("store", Place::Service, ""),
    ("unpack", Place::Service, ""),
    ("erofs", Place::Service, ""),
    ("oci", Place::Service, ""),
    ("oci_exec", Place::Service, ""),
    ("oci_mounts", Place::Service, ""),
    ("oci_process", Place::Service, ""),
    ("systemd_host", Place::Service, "root:: memory::"),
    ("systemd_host", Place::Delegated, "delegated::"),
    ("systemd_host", Place::Manager, "manager::"),
    ("systemd_host", Place::Session, "session::"),
];

#[test]
fn debian_12_with_its_own_kernel() {
    check(Kernel::V6_1, SHORT, Duration::from_mins(20));
}

#[test]
fn debian_12_with_the_kernel_of_the_next_release() {
    check(Kernel::V6_12, SHORT, Duration::from_mins(20));
}

#[test]
#[ignore = "takes long: tests/hosts/run --all"]
fn every_suite_with_debian_12s_own_kernel() {
    check(Kernel::V6_1, ALL, Duration::from_mins(90));
}

#[test]
#[ignore = "takes long: tests/hosts/run --all"]
fn every_suite_with_the_kernel_of_the_next_release() {
    check(Kernel::V6_12, ALL, Duration::from_mins(90));
}

/// Runs a pass in one guest; every suite must succeed.
fn check(kernel: Kernel, pass: Pass, limit: Duration) {
    let Some(guest) = Guest::saved(kernel) else { return };
    let mut suites: Vec<&str> = pass.iter().map(|&(suite, ..)| suite).collect();
    suites.sort_unstable();
    suites.dedup();
    let mut work = Work::new();
    let head = hosts::suites(&suites).lay(&mut work);
    for (suite, place, which) in pass {
        let name = format!("{}-{}", suite.replace('_', "-"), place.name());
        work.job(&Job { name, place: *place, command: format!("{head}{suite} {which}\n") });
    }
    let reports = guest
        .run(&work, limit, &mut |line| println!("{line}"))
        .unwrap_or_else(|why| panic!("{why}"));
    let mut failures = Vec::new();
    for Report { name, status, output, took } in &reports {
        println!("kernel {}: {name}: {took:?}", kernel.name());
        let ran = output.contains("test result: ok. ") && !output.contains("running 0 tests");
        if *status != Some(0) || !ran {
            failures.push(name);
        }
    }
    // What they said is above.
    assert!(failures.is_empty(), "{failures:?} failed on kernel {}", kernel.name());
    assert_eq!(reports.len(), pass.len());
}
