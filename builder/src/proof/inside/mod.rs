//! Process 1 of the sandbox: brings what the check needs, starts peers and steps one after the other, and
//! says what came of it.
//!
//! The image is hostile: what runs here may kill, print and forge at will. It cannot end this process (the
//! kernel protects process 1) nor write into the pipe by which the outcome leaves (another user's, or one
//! with a capability that the image's programs lack). What it prints is kept up to a limit; when the time
//! is over, everything is killed.
//!
//! ```text
//! given.rs      files and peers' roots, copied from what the host shows read-only
//! accounts.rs   users and groups of the image's own files
//! processes.rs  starts, reaps, kills
//! begin.rs      `__prove-child`: becomes the user, then the program
//! stream.rs     what a program prints
//! stage.rs      servers that run, and one step after the other
//! compare.rs    what was expected and what came
//! speech.rs     TCP
//! ```

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::script::Script;

mod accounts;
pub mod begin;
mod compare;
mod given;
mod processes;
mod speech;
mod stage;
mod stream;

/// The verb of `coracle` that is process 1; it is not for people.
pub const VERB: &str = "__prove";
/// A script has its recipe's texts, and no recipe is that long.
const MOST_SCRIPT: u64 = 64 << 20;

/// Reads the script, tries it, and writes the outcome.
///
/// # Errors
/// In any process but the first of a namespace: what is done in the end, and where files go, is right in a
/// sandbox only.
pub fn run() -> io::Result<()> {
    if std::process::id() != 1 {
        return Err(io::Error::other(
            "it runs as process 1 of a check's sandbox, and nowhere else",
        ));
    }
    let mut line = String::new();
    let mut input = io::stdin().lock();
    (&mut input).take(MOST_SCRIPT).read_line(&mut line)?;
    drop(input);
    let script: Script = serde_json::from_str(&line)?;
    let clock = Clock::new(Duration::from_secs(script.timeout.number().into()));
    let outcome = stage::try_all(script, &clock).map_err(io::Error::other)?;
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &outcome)?;
    out.flush()
}

/// When everything has to end: at its time, or when whoever asked is gone.
#[derive(Debug, Clone)]
struct Clock {
    end: Instant,
    abandoned: Arc<AtomicBool>,
}

impl Clock {
    fn new(time: Duration) -> Self {
        let abandoned = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&abandoned);
        // Standard input stays open as long as somebody waits for the outcome.
        let watch = move || {
            io::copy(&mut io::stdin().lock(), &mut io::sink()).ok();
            flag.store(true, Ordering::SeqCst);
        };
        let _detached = std::thread::spawn(watch);
        Self { end: Instant::now() + time, abandoned }
    }

    #[cfg(test)]
    fn for_test(time: Duration) -> Self {
        Self { end: Instant::now() + time, abandoned: Arc::default() }
    }

    fn left(&self) -> Duration {
        if self.abandoned.load(Ordering::SeqCst) {
            return Duration::ZERO;
        }
        self.end.saturating_duration_since(Instant::now())
    }

    fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// The same, and no later than after `time`.
    fn at_most(&self, time: Duration) -> Self {
        Self { end: self.end.min(Instant::now() + time), abandoned: Arc::clone(&self.abandoned) }
    }
}
