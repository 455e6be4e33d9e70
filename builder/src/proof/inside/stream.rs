//! `Stream`: what a program prints to a pipe. It is always read, also after the program's end (what it
//! left running may print on), and of it a beginning and an end are kept.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::proof::MOST_COMPARED;
use crate::proof::outcome::Log;

/// Bytes of the end that are kept for a person.
const TAIL: usize = 4 << 10;
/// Lines of it.
const LINES: usize = 20;

/// A pipe that is read by a thread of its own.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    pipe: std::fs::File,
    kept: Kept,
}

/// The beginning and the end of all that was read.
#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    count: u64,
}

/// Whether more may come.
#[derive(Debug, PartialEq, Eq)]
enum Now {
    Later,
    Closed,
}

impl Stream {
    /// Reads the pipe from now on.
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&pipe, FcntlArg::F_GETFL)?);
        fcntl(&pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let waiting = pipe.try_clone()?;
        let inner = Inner { pipe: pipe.into(), kept: Kept::default() };
        let stream = Self { inner: Arc::new(Mutex::new(inner)) };
        let reading = stream.clone();
        let read = move || {
            loop {
                let mut pipes = [PollFd::new(waiting.as_fd(), PollFlags::POLLIN)];
                let polled = poll(&mut pipes, PollTimeout::NONE);
                let failed = polled.is_err_and(|errno| errno != nix::errno::Errno::EINTR);
                if failed || reading.drain() == Now::Closed {
                    break;
                }
            }
        };
        std::thread::Builder::new().spawn(read)?;
        Ok(stream)
    }

    /// Reads what is there by now: after its writer's end, all that it wrote.
    fn drain(&self) -> Now {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { pipe, kept } = &mut *guard;
        let mut buffer = [0; 1 << 13];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return Now::Closed,
                Ok(count) => kept.push(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Now::Later,
                Err(_) => return Now::Closed,
            }
        }
    }

    /// All that was printed; `None` if that is more than can be compared.
    pub(super) fn all(&self) -> Option<Vec<u8>> {
        self.drain();
        let guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { head, count, .. } = &guard.kept;
        (*count == head.len() as u64).then(|| head.clone())
    }

    /// Its last lines; `None` if it is empty.
    pub(super) fn log(&self, of: String) -> Option<Log> {
        self.drain();
        let guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        guard.kept.log(of)
    }
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        let room = MOST_COMPARED - self.head.len();
        self.head.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.tail.extend(&bytes[bytes.len().saturating_sub(TAIL)..]);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
    }

    fn log(&self, of: String) -> Option<Log> {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let breaks = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
        let start = breaks.map(|(at, _)| at + 1).nth(LINES - 1).unwrap_or(0);
        let text = body.get(start..).unwrap_or_default();
        let before = self.count - (bytes.len() - start) as u64;
        (self.count > 0).then(|| Log {
            of,
            text: String::from_utf8_lossy(text).into_owned(),
            before,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_and_an_end_are_kept() {
        let mut kept = Kept::default();
        assert_eq!(kept.log("x".to_owned()), None);
        for number in 0..1_000_000 {
            kept.push(format!("{number}\n").as_bytes());
        }
        assert_eq!((kept.head.len(), kept.tail.len()), (MOST_COMPARED, TAIL));
        let log = kept.log("x".to_owned()).unwrap();
        assert_eq!(log.text.lines().count(), LINES);
        assert!(log.text.starts_with("999980\n") && log.text.ends_with("999999"), "{}", log.text);
        assert_eq!(log.before + log.text.len() as u64 + 1, kept.count);
    }

    #[test]
    fn a_text_without_a_line_break_is_a_line() {
        let mut kept = Kept::default();
        kept.push(b"a\nb");
        assert_eq!(
            kept.log("x".to_owned()).map(|log| (log.text, log.before)),
            Some(("a\nb".into(), 0))
        );
    }
}
