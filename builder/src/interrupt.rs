//! `Interrupt`: somebody wants the build to end. Writing then stops at the next piece of a file,
//! and what was made is removed, as after any other failure.
//!
//! A value: the command line raises it when a signal arrives, a test when it likes. Refuses to know
//! signals.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether the build shall end; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    raised: AtomicBool,
    /// How many write: one may begin and end while another goes on.
    writing: AtomicUsize,
}

/// Why a file was not written to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Interrupt {
    /// Asks for the end. Whether anything is being written, so that somebody will look; if not,
    /// there is nothing to remove.
    pub fn raise(&self) -> bool {
        self.0.raised.store(true, Ordering::SeqCst);
        self.0.writing.load(Ordering::SeqCst) > 0
    }

    /// An error once it was raised. (Not of the kind `Interrupted`, which means "try again".)
    pub fn check(&self) -> io::Result<()> {
        if self.0.raised.load(Ordering::SeqCst) {
            return Err(io::Error::other(Interrupted));
        }
        Ok(())
    }

    /// From here until the value is dropped, something is being written.
    pub(crate) fn writing(&self) -> Writing<'_> {
        self.0.writing.fetch_add(1, Ordering::SeqCst);
        Writing(self)
    }
}

/// See [`Interrupt::writing`].
pub(crate) struct Writing<'i>(&'i Interrupt);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.0.writing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A writer that fails once the end was asked for.
#[derive(Debug)]
pub(crate) struct Interruptible<'i, W> {
    pub(crate) inner: W,
    pub(crate) interrupt: &'i Interrupt,
}

impl<W: Write> Write for Interruptible<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.interrupt.check()?;
        self.inner.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
