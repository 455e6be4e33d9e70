//! Signals to paddle do to the program what they would do to it outside.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{self, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::Bench;

const FORWARDED: [Signal; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

#[test]
fn a_program_that_expects_a_signal_gets_it_and_decides() {
    let Some(bench) = Bench::new("handled") else { return };
    for options in [&[][..], &["--init"]] {
        for (signal, how) in FORWARDED.into_iter().zip(["catch", "sigwait"].into_iter().cycle()) {
            let number = signal as i32;
            let running = bench.start(options, &[how, &number.to_string()]);
            running.send(signal);
            let caught = (format!("caught {number}\n"), Some(100 + number));
            assert_eq!(running.finish(), caught, "{signal} by {how} {options:?}");
        }
    }
}

#[test]
fn a_signal_without_handler_ends_the_program() {
    let Some(bench) = Bench::new("unhandled") else { return };
    for options in [&[][..], &["--init"]] {
        for signal in FORWARDED {
            let running = bench.start(options, &["wait"]);
            running.send(signal);
            let ended = (String::new(), Some(128 + signal as i32));
            assert_eq!(running.finish(), ended, "{signal} {options:?}");
        }
    }
}

/// A real-time signal has no name in most libraries; process 1 once waited for ever for a program that one had ended.
#[test]
fn real_time_signals_are_signals_too() {
    let Some(bench) = Bench::new("realtime") else { return };
    let send = |options: &[&str], how: &[&str], number: i32| {
        let running = bench.start(options, how);
        let kill = format!("kill -{number} {}", running.paddle.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        running.finish()
    };
    for options in [&[][..], &["--init"]] {
        for number in [34, 50, 64] {
            let caught = (format!("caught {number}\n"), Some(100 + number));
            assert_eq!(send(options, &["catch", &number.to_string()], number), caught);
            assert_eq!(send(options, &["wait"], number), (String::new(), Some(128 + number)));
        }
    }
}

#[test]
fn an_ignored_signal_does_nothing() {
    let Some(bench) = Bench::new("ignored") else { return };
    let running = bench.start(&[], &["ignore", "15"]);
    running.send(SIGTERM);
    running.send(SIGCONT);
    std::thread::sleep(Duration::from_millis(300));
    running.send(SIGINT);
    assert_eq!(running.finish().1, Some(128 + SIGINT as i32));
}

#[test]
fn a_signal_that_paddle_was_told_to_ignore_is_not_passed_on() {
    use std::os::unix::process::CommandExt as _;
    let Some(bench) = Bench::new("nohup") else { return };
    let Some(nohup) = tests::require::program("nohup") else { return };
    let inner = bench.launch(&[], &["wait"]);
    let mut command = bench.scratch.command(&nohup);
    command.arg(inner.get_program()).args(inner.get_args()).process_group(0);
    let running = super::Running::start(command);
    running.send(SIGHUP);
    std::thread::sleep(Duration::from_millis(300));
    running.send(SIGTERM);
    assert_eq!(running.finish().1, Some(128 + SIGTERM as i32));
}

#[test]
fn stopping_paddle_stops_the_program_and_both_go_on() {
    let Some(bench) = Bench::new("stop") else { return };
    let running = bench.start(&[], &["catch", "15"]);
    let paddle = running.paddle.id();
    running.send(Signal::SIGTSTP);
    wait_for_state(paddle, 'T');
    running.send(SIGCONT);
    wait_for_state(paddle, 'S');
    running.send(SIGTERM);
    assert_eq!(running.finish(), ("caught 15\n".to_owned(), Some(115)));
}

fn wait_for_state(pid: u32, state: char) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(state)) {
            return;
        }
        assert!(Instant::now() < deadline, "not {state}: {stat}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn orphans_are_reaped_only_with_an_init() {
    let Some(bench) = Bench::new("zombies") else { return };
    assert_eq!(bench.probe(&["--init"], &["zombies"]).ok().text(), "0");
    // Without one they stay: the test could not fail otherwise.
    assert_eq!(bench.probe(&[], &["zombies"]).ok().text(), "20");
}
