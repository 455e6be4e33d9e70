//! What the program reads and writes.
//!
//! | options | input | output and errors |
//! |---|---|---|
//! | none | `/dev/null` | the caller's, inherited |
//! | `-i` | the caller's, inherited | the caller's, inherited |
//! | `-t` | nothing is typed | a terminal of the container's own, copied to the caller's output |
//! | `-it` | the caller's keys, copied | the same |
//!
//! Nothing is copied for what is inherited. One thing is never inherited: the caller's terminal
//! (rule R9 of docs/security.md; with it a program could push input, CVE-2017-5226). Where a stream
//! is a terminal and `-t` is not given, the program gets a pipe instead, which is copied.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{SpecialCodeIndex, isatty, tcgetattr};

use super::copy::{AtEnd, Copy};
use super::terminal::{RawTerminal, copy_window_size};
use crate::spawn::Stdio;

/// `--tty` and `--interactive`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// A terminal of the container's own.
    pub tty: bool,
    /// The caller's input.
    pub interactive: bool,
}

/// The program's three descriptors, and what will be copied to and from them.
#[derive(Debug)]
pub struct Streams {
    wanted: Wanted,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    input: Option<Copy>,
    outputs: Vec<Copy>,
}

/// Copies that run while the program does.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) input: Option<Copy>,
    pub(super) outputs: Vec<Copy>,
    pub(super) console: Option<OwnedFd>,
    pub(super) raw: Option<RawTerminal>,
}

impl Streams {
    /// Opens what the table above says.
    pub fn open(wanted: Wanted) -> io::Result<Self> {
        let mut streams = Self {
            wanted,
            stdin: None,
            stdout: None,
            stderr: None,
            input: None,
            outputs: Vec::new(),
        };
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        if wanted.tty || !wanted.interactive {
            let flags = OFlags::RDWR | OFlags::CLOEXEC;
            streams.stdin = Some(rustix::fs::open("/dev/null", flags, Mode::empty())?);
        } else if isatty(&stdin) {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            streams.stdin = Some(reader);
            streams.input = Some(Copy::new(duplicate(stdin.as_fd())?, writer, AtEnd::Close));
        }
        if !wanted.tty {
            streams.stdout = streams.instead_of_terminal(stdout.as_fd())?;
            streams.stderr = streams.instead_of_terminal(stderr.as_fd())?;
        }
        Ok(streams)
    }

    /// A pipe in place of an output that is a terminal.
    fn instead_of_terminal(&mut self, output: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
        if !isatty(output) {
            return Ok(None);
        }
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        self.outputs.push(Copy::new(reader, duplicate(output)?, AtEnd::Close));
        Ok(Some(writer))
    }

    /// Lends the program's descriptors to `spawn`.
    pub fn lend<R>(&self, spawn: impl FnOnce(Stdio<'_>) -> R) -> R {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        // With a terminal, `spawn` replaces all three.
        let fallback = if self.wanted.tty { self.stdin.as_ref() } else { None };
        let (stdin, stdout, stderr) = (stdin.as_fd(), stdout.as_fd(), stderr.as_fd());
        spawn(Stdio {
            stdin: self.stdin.as_ref().map_or(stdin, AsFd::as_fd),
            stdout: self.stdout.as_ref().or(fallback).map_or(stdout, AsFd::as_fd),
            stderr: self.stderr.as_ref().or(fallback).map_or(stderr, AsFd::as_fd),
            plain_lines: self.wanted.tty && !isatty(stdout),
        })
    }

    /// The program has its descriptors now: gives up the launcher's copies of them (a reader would
    /// otherwise never see the end) and starts copying.
    pub(super) fn run(self, console: Option<OwnedFd>) -> io::Result<Running> {
        let Self { wanted, input, outputs, .. } = self;
        let mut running = Running { input, outputs, console: None, raw: None };
        let Some(console) = console else { return Ok(running) };
        copy_window_size(&console);
        rustix::fs::fcntl_setfl(&console, OFlags::NONBLOCK)?;
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let output =
            Copy::new(duplicate(console.as_fd())?, duplicate(stdout.as_fd())?, AtEnd::Close);
        running.outputs.push(output);
        if wanted.interactive {
            let eof = tcgetattr(&console)?.special_codes[SpecialCodeIndex::VEOF];
            let keys = duplicate(stdin.as_fd())?;
            running.input = Some(Copy::new(keys, duplicate(console.as_fd())?, AtEnd::TypeEof(eof)));
            running.raw = RawTerminal::enter(stdin.as_fd())?;
        }
        running.console = Some(console);
        Ok(running)
    }
}

impl Running {
    /// With nobody left who reads what the terminal shows, the program is told as it is when a terminal's window is
    /// closed: SIGHUP, and no more writing (tty(4)). Otherwise it would wait for ever for its output to be read.
    pub(super) fn hang_up_if_unread(&mut self) {
        if self.console.is_some() && self.outputs.iter().any(Copy::is_unread) {
            (self.console, self.input, self.raw) = (None, None, None);
        }
    }
}

fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}
