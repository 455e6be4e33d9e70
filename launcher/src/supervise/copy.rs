//! One direction of copied bytes, driven by the poll loop: never blocks on the reading side, and
//! holds at most one buffer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// A pipe takes this much at once when it polls as writable (pipe(7), `PIPE_BUF`), so a write of it
/// cannot block the loop.
const CHUNK: usize = 4096;

/// What the target is told when the source ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// It is closed.
    Close,
    /// A terminal: the end-of-file character (`VEOF`, usually ^D) is typed, since closing it would
    /// hang up on the program.
    TypeEof(u8),
}

/// Bytes on their way.
#[derive(Debug)]
pub(super) struct Copy {
    /// `None` once it ended.
    from: Option<OwnedFd>,
    /// `None` once nobody reads it any more.
    to: Option<OwnedFd>,
    /// Whether the target's reader went away.
    unread: bool,
    at_end: AtEnd,
    buffer: Vec<u8>,
    line_start: bool,
}

impl Copy {
    pub(super) fn new(from: OwnedFd, to: OwnedFd, at_end: AtEnd) -> Self {
        Self {
            from: Some(from),
            to: Some(to),
            unread: false,
            at_end,
            buffer: Vec::new(),
            line_start: true,
        }
    }

    /// What to poll for next; `None` when the copy is over.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if !self.buffer.is_empty() {
            return self.to.as_ref().map(|to| (to.as_fd(), PollFlags::OUT));
        }
        self.from.as_ref().map(|from| (from.as_fd(), PollFlags::IN))
    }

    /// Whether it is over because nobody reads what it writes.
    pub(super) fn is_unread(&self) -> bool {
        self.unread
    }

    /// Goes one step, after `poll` reported what [`Self::interest`] asked for.
    pub(super) fn step(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            self.fill()?;
        } else {
            self.flush()?;
        }
        Ok(())
    }

    /// Copies what the source still holds, without waiting for more. The source must be
    /// non-blocking; the target may block.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        while self.to.is_some() {
            if self.buffer.is_empty() && !self.fill()? {
                break;
            }
            if let Some(to) = &self.to {
                // A caller's output may be non-blocking.
                poll(&mut [PollFd::new(to, PollFlags::OUT)], None)?;
            }
            self.flush()?;
        }
        Ok(())
    }

    /// Reads once; whether that changed anything.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(from) = &self.from else { return Ok(false) };
        let mut chunk = [0; CHUNK];
        match rustix::io::read(from, &mut chunk) {
            // A terminal whose other side is closed reads as EIO (pts(4)).
            Ok(0) | Err(Errno::IO) => self.end(),
            Ok(count) => {
                let read = chunk.get(..count).unwrap_or_default();
                self.line_start = read.ends_with(b"\n");
                self.buffer.extend_from_slice(read);
            }
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(to) = &self.to else { return Ok(()) };
        match rustix::io::write(to, &self.buffer) {
            Ok(count) => {
                self.buffer.drain(..count);
                if self.buffer.is_empty() && self.from.is_none() {
                    self.to = None;
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody reads: closing the source tells the writer, as a pipe would have.
            Err(Errno::PIPE | Errno::IO) => {
                self.buffer.clear();
                (self.from, self.to, self.unread) = (None, None, true);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn end(&mut self) {
        self.from = None;
        match self.at_end {
            AtEnd::Close => self.to = None,
            // Within a line the first one only submits what was typed (termios(3), VEOF).
            AtEnd::TypeEof(eof) if self.line_start => self.buffer.push(eof),
            AtEnd::TypeEof(eof) => self.buffer.extend([eof, eof]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap()
    }

    /// Copies `input` to its end and returns what came out, and whether the target was closed.
    fn copied(input: &[u8], at_end: AtEnd) -> (Vec<u8>, bool) {
        let (source, writer) = pipe();
        let (reader, target) = pipe();
        let mut copy = Copy::new(source, target, at_end);
        rustix::io::write(&writer, input).unwrap();
        drop(writer);
        while let Some(_interest) = copy.interest() {
            copy.step().unwrap();
        }
        let mut out = vec![0; 100];
        let count = rustix::io::read(&reader, &mut out).unwrap();
        out.truncate(count);
        (out, rustix::io::read(&reader, &mut [0]) == Ok(0))
    }

    #[test]
    fn the_end_of_input_reaches_the_program() {
        assert_eq!(copied(b"text\n", AtEnd::Close), (b"text\n".to_vec(), true));
        assert_eq!(copied(b"line\n", AtEnd::TypeEof(4)), (b"line\n\x04".to_vec(), true));
        assert_eq!(copied(b"part", AtEnd::TypeEof(4)), (b"part\x04\x04".to_vec(), true));
        assert_eq!(copied(b"", AtEnd::TypeEof(4)), (b"\x04".to_vec(), true));
    }

    #[test]
    fn a_reader_that_left_closes_the_source() {
        let (source, writer) = pipe();
        let (reader, target) = pipe();
        drop(reader);
        let mut copy = Copy::new(source, target, AtEnd::Close);
        rustix::io::write(&writer, b"x").unwrap();
        copy.step().unwrap();
        copy.step().unwrap();
        assert!(copy.interest().is_none());
        assert_eq!(rustix::io::write(&writer, b"y"), Err(Errno::PIPE));
    }

    #[test]
    fn what_is_left_is_drained_without_waiting() {
        let (source, writer) = pipe();
        let (reader, target) = pipe();
        let mut copy = Copy::new(source, target, AtEnd::Close);
        rustix::io::write(&writer, &[b'x'; 10_000]).unwrap();
        copy.drain().unwrap();
        assert_eq!(rustix::io::read(&reader, &mut vec![0; 20_000]), Ok(10_000));
    }
}
