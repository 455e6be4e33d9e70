//! What callers get of a process that they brought in: its pid, its terminal, its descriptors, its signals.

use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::thread::JoinHandle;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tests::outcome::run;

use super::{Bench, all, proc, process, within_seconds};

/// One connection, one message, one descriptor.
fn receive(path: &std::path::Path) -> JoinHandle<(String, OwnedFd)> {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 128];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received =
            recvmsg(&stream, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap().bytes;
        let descriptor = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut all) => all.next(),
            _ => None,
        });
        (String::from_utf8_lossy(&bytes[..received]).into_owned(), descriptor.unwrap())
    })
}

#[test]
fn a_detached_process_goes_on_and_its_pid_is_written() {
    let Some(bench) = Bench::new("exec-detach") else { return };
    let id = bench.start(|_| {});
    let pid = bench.detach(&id, &["sleep", "1000"]);
    assert_eq!(std::fs::read(proc(pid, "cmdline")).unwrap(), b"sleep\x001000\0");
    // It has left the session of whoever started it, and nobody's death is its own.
    let stat = std::fs::read_to_string(proc(pid, "stat")).unwrap();
    assert_eq!(stat.split(' ').nth(5), Some(pid.to_string().as_str()), "a session of its own");
    // Not started, it writes none.
    bench.exec(&id, &["--detach", "--pid-file", "none"], &["nothing"]).exits(127);
    assert!(!bench.scratch.path().join("none").exists());
}

#[test]
fn a_terminal_goes_to_the_callers_socket_under_its_name() {
    let Some(bench) = Bench::new("exec-console") else { return };
    let id = bench.start(|_| {});
    let console = receive(&bench.scratch.path().join("console"));
    let pidfd = receive(&bench.scratch.path().join("pidfd"));
    let mut wanted = process(&["sh", "-c", "tty; stty size; read line; echo got $line; exit 0"]);
    wanted["terminal"] = serde_json::json!(true);
    wanted["consoleSize"] = serde_json::json!({ "width": 90, "height": 30 });
    let file = bench.scratch.file("process.json", serde_json::to_vec(&wanted).unwrap());
    let options = [
        "--process",
        file.to_str().unwrap(),
        "--detach",
        "--console-socket",
        "console",
        "--pidfd-socket",
        "pidfd",
    ];
    run(&mut bench.command(&id, &options, &[])).ok();
    let ((name, terminal), (word, pidfd)) = (console.join().unwrap(), pidfd.join().unwrap());
    assert!(name.contains("ptmx"), "{name}");
    assert_eq!(word, "pidfd");
    rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::CONT).unwrap();
    let mut terminal = std::fs::File::from(terminal);
    std::io::Write::write_all(&mut terminal, b"typed\n").unwrap();
    let mut said = Vec::new();
    // EIO is the end of a terminal.
    terminal.read_to_end(&mut said).ok();
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("/dev/pts/") && said.contains("30 90\r\n") && said.contains("got typed"),
        "{said}"
    );
}

#[test]
fn a_console_socket_goes_with_a_detached_terminal_only() {
    let Some(bench) = Bench::new("exec-consoles") else { return };
    let id = bench.start(|_| {});
    for options in [
        &["--detach", "--tty"][..],
        &["--console-socket", "x"],
        &["--tty", "--console-socket", "x"],
        &["--detach", "--console-socket", "x"],
    ] {
        bench.exec(&id, options, &["true"]).exits(255).says(&["hint"]);
    }
    let missing = ["--detach", "--tty", "--console-socket", "nowhere"];
    bench.exec(&id, &missing, &["true"]).exits(255).says(&["cannot connect", "nowhere"]);
}

#[test]
fn a_terminal_in_the_foreground_is_the_containers_own() {
    let Some(bench) = Bench::new("exec-tty") else { return };
    let id = bench.start(|_| {});
    let said = bench.says(&id, &["-t"], "tty; test -t 1 && echo yes");
    assert!(said.contains("/dev/pts/") && said.contains("yes"), "{said}");
}

#[test]
fn promised_descriptors_and_no_others_are_kept() {
    let Some(bench) = Bench::new("exec-fds") else { return };
    let id = bench.start(|_| {});
    // A shell gives them: 3 and 4, and 7, which nobody promised.
    let line = |options: &str| {
        let paddle = bench.scratch.path().join("bin/paddle");
        format!(
            "exec 3</dev/null 4</dev/null 7</; exec {} --root {} exec {options} {id} ls /proc/self/fd",
            paddle.display(),
            bench.scratch.state().display()
        )
    };
    let shell = |options: &str| {
        let mut shell = bench.scratch.command(std::path::Path::new("/bin/sh"));
        run(shell.args(["-c", &line(options)]))
    };
    // ls opens the folder itself.
    assert_eq!(all(shell("").ok()), "0\n1\n2\n3\n");
    assert_eq!(all(shell("--preserve-fds 2").ok()), "0\n1\n2\n3\n4\n5\n");
    // 5 and 6 are not there, and nothing of paddle's is in their place.
    assert_eq!(all(shell("--preserve-fds 6").ok()), "0\n1\n2\n3\n4\n5\n7\n");
}

#[test]
fn signals_to_the_command_reach_the_program() {
    let Some(bench) = Bench::new("exec-signals") else { return };
    let id = bench.start(|_| {});
    let script = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = bench.command(&id, &[], &["sh", "-c", script]);
    let mut running = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = running.stdout.take().unwrap();
    let mut line = [0; 6];
    output.read_exact(&mut line).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(running.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let rest = std::io::read_to_string(output).unwrap();
    assert_eq!((rest.as_str(), running.wait().unwrap().code()), ("told\n", Some(7)));
}

/// Killed outright, the command takes along what it waits for: nobody else would.
#[test]
fn a_killed_command_leaves_no_program() {
    let Some(bench) = Bench::new("exec-killed") else { return };
    let id = bench.start(|_| {});
    let mut command =
        bench.command(&id, &["--pid-file", "pid"], &["sh", "-c", "echo ready; exec sleep 1000"]);
    let mut running = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    running.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    let file = bench.scratch.path().join("pid");
    assert!(within_seconds(10, || file.exists()));
    let pid: u32 = std::fs::read_to_string(file).unwrap().parse().unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(within_seconds(10, || !proc(pid, "exe").exists()), "it outlived its command");
}
