//! A program that is watched runs as it does alone: its signals, its status, its end.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::outcome::run;
use tests::scratch::Scratch;

use super::{compile, data, profile, trace, traced};

#[test]
fn the_status_is_that_of_the_command() {
    let scratch = Scratch::new("trace-status");
    data(&scratch);
    for (command, status) in [
        (&["true"][..], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["sh", "-c", "kill -SEGV $$"], 139),
        (&["./gone"], 127),
        (&["gone"], 127),
        (&["./file"], 126),
    ] {
        traced(&scratch, command, status);
    }
}

#[test]
fn a_command_that_cannot_be_started_is_an_error_with_a_hint() {
    let scratch = Scratch::new("trace-absent");
    data(&scratch);
    let outcome = traced(&scratch, &["gone"], 127);
    let said = outcome.errors();
    for part in ["error: cannot start `gone`", "cannot execute it", "hint: check the name"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!scratch.path().join("profile.toml").exists());
}

/// Signals above 31 too: the C library stops all threads by one of them to change their user, and ends
/// one by another.
const THREADS: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static volatile int caught;
static void *idle(void *unused) { for (;;) sleep(1); return unused; }
static void catch(int signal) { caught = signal; }
int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(threads + i, 0, idle, 0);
    signal(SIGRTMAX, catch);
    raise(SIGRTMAX);
    if (caught != SIGRTMAX || setresuid(getuid(), getuid(), getuid())) return 1;
    for (int i = 0; i < 4; i++) { pthread_cancel(threads[i]); pthread_join(threads[i], 0); }
    puts("done");
    return 0;
}
"#;

#[test]
fn signals_of_every_number_arrive() {
    let scratch = Scratch::new("trace-threads");
    data(&scratch);
    let Some(probe) = compile(&scratch, &["-pthread"], THREADS) else { return };
    assert_eq!(traced(&scratch, &[probe.to_str().unwrap()], 0).text(), "done");
}

#[test]
fn a_stopped_program_stays_stopped_until_it_is_continued() {
    let scratch = Scratch::new("trace-stop");
    data(&scratch);
    let script = "sleep 100 & kill -STOP $!; sleep 0.3; \
                  [ $(ps -o stat= -p $!) = S ] && echo runs; \
                  kill -CONT $!; kill $!; wait $!; echo $?";
    // `t` is how ps shows what a tracer keeps stopped.
    let script = script.replace("ps -o stat= -p $!", "cut -d' ' -f3 /proc/$!/stat");
    assert_eq!(traced(&scratch, &["sh", "-c", &script], 0).text(), "143");
}

/// Starts a trace that says `ready`, sends a signal to `coracle` alone, and returns its status.
fn signalled(scratch: &Scratch, script: &str, signal: Signal) -> i32 {
    let mut command = trace(scratch, &["sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap();
        }
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_signal_to_coracle_is_one_to_the_command() {
    let scratch = Scratch::new("trace-signal");
    data(&scratch);
    let script = "trap 'exit 9' TERM HUP; echo ready; while :; do sleep 0.05; done";
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        assert_eq!(signalled(&scratch, script, signal), 9, "{signal}");
        assert!(!profile(&scratch).programs.is_empty(), "the profile is written");
    }
}

#[test]
fn what_outlives_the_command_is_waited_for_and_ended_by_a_signal() {
    let scratch = Scratch::new("trace-daemon");
    let data = data(&scratch);
    // It lives on without its parent, as a daemon does, and looks at a file at its end.
    let script =
        "(trap '/bin/cat file; exit' TERM; echo ready; while :; do sleep 0.05; done) & exit 4";
    assert_eq!(signalled(&scratch, script, Signal::SIGTERM), 4);
    assert_eq!(super::below(&data, &profile(&scratch)), ["opened file"]);
    assert!(scratch.settled().is_empty());
}

#[test]
fn when_the_time_is_over_everything_ends() {
    let scratch = Scratch::new("trace-timeout");
    data(&scratch);
    let mut command = scratch.coracle();
    command.args(["trace", "--timeout", "1", "-o", "late.toml", "--", "sh", "-c"]);
    let outcome = run(command.arg("sleep 1000 & sleep 1000")).exits(124);
    assert!(outcome.took < Duration::from_secs(20), "{outcome:?}");
    assert!(scratch.path().join("late.toml").exists());
}

#[test]
fn where_watching_is_forbidden_the_error_says_what_to_do() {
    let scratch = Scratch::new("trace-forbidden");
    data(&scratch);
    // What is watched cannot be watched by another.
    let coracle = scratch.path().join("bin/coracle");
    let inner = [coracle.to_str().unwrap(), "trace", "-o", "inner.toml", "--", "true"];
    let said = traced(&scratch, &inner, 1).errors();
    for part in ["error: cannot watch `true`", "hint: a tracer needs ptrace(2)", "SYS_PTRACE"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(fs::metadata(scratch.path().join("data/inner.toml")).is_err());
}
