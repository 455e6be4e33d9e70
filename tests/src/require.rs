//! Decides whether a test can run on this host.
//!
//! Each function returns what was asked for, or `None` (or `false`) after printing why the test is
//! skipped. With `CORACLE_TESTS_STRICT=1`, which `.ci/run` sets, a skip is a failure instead: a
//! test that silently never runs guards nothing.
//!
//! ```no_run
//! # fn test() {
//! if !tests::require::root() {
//!     return;
//! }
//! let Some(gcc) = tests::require::program("gcc") else { return };
//! # let _ = gcc;
//! # }
//! ```

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Environment variable: `1` turns every skip into a failure.
pub const STRICT_VARIABLE: &str = "CORACLE_TESTS_STRICT";

/// Where programs are looked for: Debian's own folders, so that a wrapper in somebody's home (a
/// version manager's shim, say) is never what a test packs.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The test needs root.
pub fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip(format_args!("needs root"));
    }
    root
}

/// The test needs this many processors.
pub fn processors(count: usize) -> bool {
    let enough = std::thread::available_parallelism().is_ok_and(|there| there.get() >= count);
    if !enough {
        skip(format_args!("needs {count} processors"));
    }
    enough
}

/// The test needs this program on [`PATH`].
pub fn program(name: &str) -> Option<PathBuf> {
    let found = PATH.split(':').map(|folder| Path::new(folder).join(name)).find(|file| {
        rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file()
    });
    if found.is_none() {
        skip(format_args!("needs the program `{name}`"));
    }
    found
}

/// The test needs this file or folder of the host.
pub fn file(path: &str) -> Option<PathBuf> {
    let found = Path::new(path).exists().then(|| PathBuf::from(path));
    if found.is_none() {
        skip(format_args!("needs `{path}`"));
    }
    found
}

/// The test needs user namespaces made by an ordinary user.
pub fn user_namespaces() -> bool {
    let limit = |name: &str| {
        std::fs::read_to_string(format!("/proc/sys/{name}"))
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
    };
    let allowed = limit("user/max_user_namespaces") != Some(0)
        && limit("kernel/unprivileged_userns_clone") != Some(0)
        && limit("kernel/apparmor_restrict_unprivileged_userns") != Some(1);
    if !allowed {
        skip(format_args!("needs user namespaces for ordinary users"));
    }
    allowed
}

/// Which hierarchy a controller of this host is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchy {
    /// cgroup v1: the folder where the controller's hierarchy is mounted.
    V1(PathBuf),
    /// cgroup v2: the folder where the unified hierarchy is mounted.
    V2(PathBuf),
}

/// The test needs this cgroup controller, named as the kernel names it (`memory`, `pids`, `cpu`,
/// `cpuset`, ...; block input and output is `blkio` in v1 and `io` in v2).
pub fn controller(name: &str) -> Option<Hierarchy> {
    let found = find_controller(name);
    if found.is_none() {
        skip(format_args!("needs the cgroup controller `{name}`"));
    }
    found
}

fn find_controller(name: &str) -> Option<Hierarchy> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    for line in mounts.lines() {
        // proc_pid_mountinfo(5): the mount point is the fifth field; the type follows the ` - `.
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let Some(at) = left.split(' ').nth(4).map(PathBuf::from) else { continue };
        let mut right = right.split(' ');
        match right.next() {
            Some("cgroup") if right.nth(1).is_some_and(|o| o.split(',').any(|o| o == name)) => {
                return Some(Hierarchy::V1(at));
            }
            Some("cgroup2")
                if std::fs::read_to_string(at.join("cgroup.controllers"))
                    .is_ok_and(|list| list.split_whitespace().any(|word| word == name)) =>
            {
                return Some(Hierarchy::V2(at));
            }
            _ => {}
        }
    }
    None
}

/// Says that the running test is skipped, and why.
///
/// # Panics
/// When skips are not allowed ([`STRICT_VARIABLE`]).
pub fn skip(reason: fmt::Arguments<'_>) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(
        !std::env::var(STRICT_VARIABLE).is_ok_and(|value| value == "1"),
        "{test} would be skipped: {reason} ({STRICT_VARIABLE}=1 forbids it)"
    );
    // Written to the descriptor itself: the test runner captures what `eprintln!` prints.
    writeln!(std::io::stderr(), "skipped: {test}: {reason}").ok();
}
