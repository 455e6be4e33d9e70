//! Handles that go to the caller: terminal, process descriptor, pid file; and descriptors that come from him.

use std::fs::File;
use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

use crate::{Bench, text};

/// What comes over the next connection: bytes and a descriptor.
fn receive(listener: &UnixListener) -> (String, OwnedFd) {
    let (stream, _) = listener.accept().unwrap();
    receive_from(&stream)
}

fn receive_from(stream: &UnixStream) -> (String, OwnedFd) {
    let mut bytes = [0; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg(stream, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    });
    let name = String::from_utf8_lossy(&bytes[..message.bytes]).into_owned();
    (name, descriptor.unwrap())
}

#[test]
fn the_terminal_goes_to_the_console_socket() {
    let Some(bench) = Bench::new("console") else { return };
    // A path that no address of a socket has room for.
    let folder = bench.scratch.subfolder(&"long".repeat(40));
    let path = folder.join("console");
    // Bound from within, for the same reason.
    let listener = {
        let near = bench.scratch.path().join("console");
        let listener = UnixListener::bind(&near).unwrap();
        std::fs::rename(&near, &path).unwrap();
        listener
    };
    bench.write(
        "readlink /proc/self/fd/0; stty size; exec cat",
        &json!({
            "process": { "terminal": true, "consoleSize": { "height": 33, "width": 77 } }
        }),
    );
    let id = bench.id();
    let bundle = bench.bundle();
    bench.paddle(&["create", "--bundle", text(&bundle), "--console-socket", text(&path), &id]).ok();
    let (name, terminal) = receive(&listener);
    assert_eq!(name, "/dev/ptmx");
    bench.paddle(&["start", &id]).ok();
    let mut terminal = File::from(terminal);
    let mut said = String::new();
    while said.lines().count() < 2 || !said.ends_with('\n') {
        let mut bytes = [0; 128];
        let count = terminal.read(&mut bytes).unwrap();
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    assert_eq!(said, "/dev/pts/0\r\n33 77\r\n");
    bench.paddle(&["delete", "--force", &id]).ok();
    bench.write("exit 0", &json!({}));
    bench
        .paddle(&[
            "create",
            "--bundle",
            text(&bundle),
            "--console-socket",
            text(&path),
            &bench.id(),
        ])
        .fails(1, "wants no terminal");
    bench.is_clean();
}

#[test]
fn a_descriptor_of_the_process_goes_to_the_pidfd_socket() {
    let Some(bench) = Bench::new("pidfd") else { return };
    let path = bench.scratch.path().join("pidfd");
    let listener = UnixListener::bind(&path).unwrap();
    bench.write("exit 0", &json!({}));
    let (id, bundle) = (bench.id(), bench.bundle());
    let file = bench.scratch.path().join("pid");
    bench
        .paddle(&[
            "create",
            "--bundle",
            text(&bundle),
            "--pidfd-socket",
            text(&path),
            "--pid-file",
            text(&file),
            &id,
        ])
        .ok();
    let (_, pidfd) = receive(&listener);
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let pid = std::fs::read_to_string(file).unwrap();
    assert!(info.lines().any(|line| line == format!("Pid:\t{pid}")), "{info}");
    bench.paddle(&["delete", "--force", &id]).ok();
    bench
        .paddle(&[
            "create",
            "--bundle",
            text(&bundle),
            "--pidfd-socket",
            "/nowhere/socket",
            &bench.id(),
        ])
        .fails(1, "cannot connect to the socket `/nowhere/socket`");
    bench.is_clean();
}

/// `sh -c` with descriptors 3 and 4 open, in which `paddle` stands for this test's own.
fn with_descriptors(bench: &Bench, script: &str) -> Command {
    let paddle = bench.scratch.path().join("bin/paddle");
    let state = bench.scratch.state();
    let call = format!("{} --root {}", text(&paddle), text(&state));
    let mut command = bench.scratch.command(std::path::Path::new("/bin/sh"));
    command.args(["-c", &script.replace("paddle", &call)]);
    command
}

#[test]
fn as_many_descriptors_pass_as_were_promised() {
    let Some(bench) = Bench::new("preserve") else { return };
    let bundle = bench.bundle();
    bench.write("ls /proc/self/fd; cat <&3; echo $LISTEN_FDS $LISTEN_PID", &json!({}));
    std::fs::write(bench.scratch.path().join("three"), "three\n").unwrap();
    for (options, before, expected) in [
        ("--preserve-fds 2", "", "0\n1\n2\n3\n4\n5\nthree\n\n"),
        ("", "LISTEN_FDS=1", "0\n1\n2\n3\n4\nthree\n1 1\n"),
        ("--preserve-fds 1", "LISTEN_FDS=1 LISTEN_PID=1", "0\n1\n2\n3\n4\nthree\n\n"),
    ] {
        let id = bench.id();
        let script = format!(
            "exec 3<three 4</dev/null; {before} paddle run --bundle {} {options} {id}",
            text(&bundle)
        );
        let did = bench.finish(&mut with_descriptors(&bench, &script));
        assert_eq!(did.ok(), expected, "{options} {before}");
    }
    // None of paddle's own takes the place of one that was promised and is not there: `ls` opens the folder as 3.
    bench.write("ls /proc/self/fd; readlink /proc/self/fd/5", &json!({}));
    let run = format!("paddle run --bundle {} --preserve-fds 6", text(&bundle));
    let script = format!("exec 3<&- 4<&- 5</dev/null; {run} {}", bench.id());
    let did = bench.finish(&mut with_descriptors(&bench, &script));
    assert_eq!(did.ok(), "0\n1\n2\n3\n5\n/dev/null\n");
    bench.is_clean();
}

#[test]
fn streams_that_are_closed_are_nobodys() {
    let Some(bench) = Bench::new("closed") else { return };
    let bundle = bench.bundle();
    bench.write("readlink /proc/self/fd/0; readlink /proc/self/fd/2", &json!({}));
    let script = format!("exec <&- 2>&-; paddle run --bundle {} {}", text(&bundle), bench.id());
    let did = bench.finish(&mut with_descriptors(&bench, &script));
    assert_eq!(did.ok(), "/dev/null\n/dev/null\n");
    bench.is_clean();
}

#[test]
fn the_root_can_be_entered_without_pivoting() {
    let Some(bench) = Bench::new("nopivot") else { return };
    bench.write("ls /", &json!({}));
    let bundle = bench.bundle();
    let did = bench.paddle(&["run", "--no-pivot", "--bundle", text(&bundle), &bench.id()]);
    assert_eq!(did.ok(), "bin\ndev\netc\nproc\nsys\ntmp\n");
    bench.is_clean();
}
