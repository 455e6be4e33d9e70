//! The caller's terminal, passed through key by key, and given back as it was.
//!
//! In raw mode each key goes to the container, whose own terminal makes signals of ^C and ^Z. The
//! modes are restored when the value is dropped, when the launcher is stopped, and by the panic
//! hook (the release profile aborts without unwinding). Only `kill -9` of the launcher leaves them;
//! `stty sane` mends that.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// The modes to go back to, for the panic hook.
static SAVED: Mutex<Option<(OwnedFd, Termios)>> = Mutex::new(None);

/// The caller's terminal in raw mode. There is one of it at a time.
#[derive(Debug)]
pub(super) struct RawTerminal {
    terminal: OwnedFd,
    modes: Termios,
}

impl RawTerminal {
    /// Puts the terminal of `stdin` into raw mode; `None` if it is no terminal.
    pub(super) fn enter(stdin: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let Ok(modes) = tcgetattr(stdin) else { return Ok(None) };
        let raw = Self { terminal: rustix::io::fcntl_dupfd_cloexec(stdin, 3)?, modes };
        *saved() = Some((raw.terminal.try_clone()?, raw.modes.clone()));
        restore_on_panic();
        raw.make_raw()?;
        Ok(Some(raw))
    }

    /// Raw mode (again, after the launcher was stopped and a shell had the terminal).
    pub(super) fn make_raw(&self) -> io::Result<()> {
        let mut modes = self.modes.clone();
        modes.make_raw();
        Ok(tcsetattr(&self.terminal, OptionalActions::Now, &modes)?)
    }

    /// The modes that the caller had.
    pub(super) fn restore(&self) {
        // A terminal that hung up cannot be restored and need not be.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        self.restore();
        *saved() = None;
    }
}

fn saved() -> MutexGuard<'static, Option<(OwnedFd, Termios)>> {
    SAVED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Not waited for: the panic may come from where it is held.
            if let Ok(saved) = SAVED.try_lock()
                && let Some((terminal, modes)) = saved.as_ref()
            {
                let _ = tcsetattr(terminal, OptionalActions::Now, modes);
            }
            earlier(info);
        }));
    });
}

/// The window size of the caller's terminal: of the first of the three standard streams that is one.
/// Without one the size is unknown.
pub fn window_size() -> Option<Winsize> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let streams = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    streams.into_iter().find_map(|stream| tcgetwinsize(stream).ok())
}

/// Gives the container's terminal that window size.
pub(super) fn copy_window_size(console: &OwnedFd) {
    if let Some(size) = window_size() {
        // Fails only when the container's side is gone, and then nobody looks at the size.
        let _ = tcsetwinsize(console, size);
    }
}
