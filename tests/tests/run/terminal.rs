//! Terminals and streams: what the program gets for 0, 1 and 2, and what becomes of the caller's
//! terminal, which is a real one here.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use super::Bench;
use tests::outcome::{run, run_with_input};

/// A terminal of the test, and paddle on the other side of it.
struct Session {
    screen: std::fs::File,
    slave: OwnedFd,
    before: Termios,
    paddle: Child,
    seen: String,
}

impl Session {
    fn start(mut command: Command) -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let slave = ioctl_tiocgptpeer(&screen, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        resize(&screen, 81, 25);
        let before = tcgetattr(&slave).unwrap();
        let side = || Stdio::from(slave.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side());
        let paddle = command.spawn().unwrap();
        Self { screen: screen.into(), slave, before, paddle, seen: String::new() }
    }

    /// Reads until the screen shows `text`.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !self.seen.contains(text) {
            assert!(Instant::now() < deadline, "no `{text}` in {:?}", self.seen);
            let mut fds = [rustix::event::PollFd::new(&self.screen, rustix::event::PollFlags::IN)];
            let second = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
            if rustix::event::poll(&mut fds, Some(&second)).unwrap() == 0 {
                continue;
            }
            let mut buffer = [0; 4096];
            let count = self.screen.read(&mut buffer).unwrap();
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    fn type_in(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// Waits for paddle's end; the terminal must be as it was.
    #[track_caller]
    fn finish(mut self, status: i32) {
        assert_eq!(self.paddle.wait().unwrap().code(), Some(status), "{:?}", self.seen);
        let (before, after) = (&self.before, tcgetattr(&self.slave).unwrap());
        assert_eq!(before.local_modes, after.local_modes);
        assert_eq!(before.input_modes, after.input_modes);
        assert_eq!(before.output_modes, after.output_modes);
    }
}

fn resize(terminal: impl AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}

fn signal(paddle: &Child, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(paddle.id()).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

#[test]
fn keys_reach_the_program_and_its_output_the_screen() {
    let Some(bench) = Bench::new("keys") else { return };
    let mut session = Session::start(bench.launch(&["-it"], &["cat"]));
    session.type_in("hello\r");
    // Once as the echo of the container's terminal, once as what the program wrote.
    session.expect("hello\r\nhello\r\n");
    assert!(session.is_raw());
    // ^D is the container's terminal's to understand.
    session.type_in("\x04");
    session.finish(0);
}

/// `paddle run -t IMAGE yes | head -1` once never ended.
#[test]
fn a_terminal_that_nobody_reads_hangs_up() {
    let Some(bench) = Bench::new("unread") else { return };
    for options in [&["-t"][..], &["-t", "--init"]] {
        let mut command = bench.launch(options, &["chatter"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut paddle = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(paddle.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line, "chatter\n");
        drop(output);
        let ended = paddle.wait().unwrap().code();
        assert!(matches!(ended, Some(129 | 7)), "{options:?}: {ended:?}");
    }
}

#[test]
fn window_sizes_follow() {
    let Some(bench) = Bench::new("window") else { return };
    let mut session = Session::start(bench.launch(&["-it"], &["window"]));
    session.expect("81x25\r\n");
    resize(&session.screen, 132, 43);
    // The test's terminal is nobody's controlling one, so the kernel tells no process.
    signal(&session.paddle, nix::sys::signal::Signal::SIGWINCH);
    session.expect("132x43\r\n");
    session.finish(0);
}

#[test]
fn an_interrupt_key_is_a_signal_inside() {
    let Some(bench) = Bench::new("interrupt") else { return };
    for options in [&["-it"][..], &["-it", "--init"]] {
        let mut session = Session::start(bench.launch(options, &["catch", "2"]));
        session.expect("ready");
        session.type_in("\x03");
        session.expect("caught 2");
        session.finish(102);
    }
}

#[test]
fn the_terminal_is_given_back_while_paddle_is_stopped() {
    use nix::sys::signal::Signal::{SIGCONT, SIGTERM, SIGTSTP};
    let Some(bench) = Bench::new("suspend") else { return };
    let mut session = Session::start(bench.launch(&["-it"], &["catch", "15"]));
    session.expect("ready");
    for (by, raw) in [(SIGTSTP, false), (SIGCONT, true)] {
        signal(&session.paddle, by);
        let deadline = Instant::now() + Duration::from_secs(10);
        while session.is_raw() != raw {
            assert!(Instant::now() < deadline, "{by}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    signal(&session.paddle, SIGTERM);
    session.finish(115);
}

#[test]
fn the_callers_terminal_never_gets_inside() {
    let Some(bench) = Bench::new("inside") else { return };
    // Without -t: pipes in place of the terminal.
    let mut session = Session::start(bench.launch(&["-i"], &["streams"]));
    session.expect("0 pipe\r\n1 pipe\r\n2 pipe\r\n");
    session.finish(0);
    let mut session = Session::start(bench.launch(&[], &["streams"]));
    session.expect("0 /dev/null\r\n1 pipe\r\n2 pipe\r\n");
    session.finish(0);
    // With it: a terminal of the container's own devpts.
    let mut session = Session::start(bench.launch(&["-it"], &["streams"]));
    session.expect("2 /dev/");
    session.expect(" terminal");
    session.finish(0);
}

#[test]
fn what_is_no_terminal_is_inherited() {
    let Some(bench) = Bench::new("inherited") else { return };
    let text = run_with_input(&mut bench.launch(&["-i"], &["cat"]), b"through\n").ok().text();
    assert_eq!(text, "through");
    assert_eq!(run_with_input(&mut bench.launch(&[], &["cat"]), b"unread\n").ok().text(), "");
    let out = bench.scratch.file("out", "");
    let mut command = bench.launch(&[], &["streams"]);
    let file = std::fs::File::create(&out).unwrap();
    command.stdout(file).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("0 /dev/null\n1 /") && text.ends_with("2 /dev/null\n"), "{text}");
}

#[test]
fn large_outputs_arrive_whole() {
    let Some(bench) = Bench::new("large") else { return };
    let input = vec![b'x'; 3 << 20];
    let outcome = run_with_input(&mut bench.launch(&["-i"], &["cat"]), &input).ok();
    assert_eq!(outcome.stdout.len(), input.len());
}

#[test]
fn input_from_a_pipe_ends_also_through_a_terminal() {
    let Some(bench) = Bench::new("piped") else { return };
    let outcome = run_with_input(&mut bench.launch(&["-it"], &["cat"]), b"line\n").ok();
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(text.contains("line\n") && !text.contains('\r'), "{text:?}");
    // Its own terminal, though nobody has one outside.
    let streams = run(&mut bench.launch(&["-t"], &["streams"])).ok().text();
    assert_eq!(streams.matches(" terminal").count(), 3, "{streams}");
}
