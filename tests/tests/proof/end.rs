//! How checks end early, and who may run them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Case, script};
use tests::require;
use tests::scratch::Scratch;

/// Whether the step has begun.
fn sleeps(case: &Case) -> bool {
    case.scratch.leftovers().processes.iter().any(|process| process.contains("sleep 98"))
}

#[test]
fn an_interrupted_check_leaves_nothing() {
    // (SIGINT may be ignored by whoever runs the tests in the background.)
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let Some(case) = Case::new("interrupted", &script("sleep 98")) else { return };
        let mut command = case.coracle(&["check", "--run"]);
        command.arg(&case.recipe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let started = Instant::now();
        while !sleeps(&case) {
            assert!(started.elapsed() < Duration::from_mins(1), "it does not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(signal as i32));
        // Who was killed cannot clear its folder away; but nothing of it runs, or is mounted.
        let left = case.scratch.settled();
        assert!(left.is_empty(), "{signal}: {left:?}");
        if signal != Signal::SIGKILL {
            case.assert_clean();
        }
    }
}

#[test]
fn an_ordinary_user_can_check_as_well() {
    if !require::root() || !require::user_namespaces() {
        return;
    }
    let steps = "[check]\nfiles = [{ source = \"app.toml\", destination = \"/check/x\" }]\n"
        .to_owned()
        + &script("cat /check/x; cat /etc/os-release")
        + "status = 1\nstdout-has = [\"executables\"]\n";
    let case = Case::with(Scratch::of_user("user", 1234), &steps);
    let outcome = case.check(&[]).ok();
    assert!(outcome.text().contains("  /etc/os-release  (by "), "{outcome:?}");
}
