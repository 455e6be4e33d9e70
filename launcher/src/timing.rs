//! `--timing`: what each step of a start takes, launcher and child on one clock.
//!
//! A mark is set at the *end* of a step: one word of shared memory, written without a system call (the clock is
//! read through the vDSO). The child's marks survive its exec, since they lie in memory that it shares with the launcher.
//! Where nobody asked for it a mark costs one load and one branch.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::sys;

macro_rules! marks {
    ($($variant:ident = $who:ident $text:literal),* $(,)?) => {
        /// The end of a step of a start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each variant's text is its description")]
        pub enum Mark { $($variant),* }

        impl Mark {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Who does the step.
            pub fn who(self) -> Who {
                match self { $(Self::$variant => Who::$who),* }
            }

            /// What the step is.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

marks! {
    Started = Launcher "start",
    Parsed = Launcher "command line",
    Store = Launcher "store and states opened",
    Image = Launcher "image found",
    Snapshot = Launcher "root file system ready",
    Specified = Launcher "specification",
    Planned = Launcher "plan",
    Entered = Launcher "state written",
    Grouped = Launcher "cgroups made",
    Prepared = Launcher "child prepared",
    Met = Launcher "what is made ahead awaited",
    Cloned = Launcher "clone3",
    Born = Child "namespaces made, child runs",
    Isolated = Child "cgroups joined, mounts made private",
    Rooted = Child "root mounted",
    Mounted = Child "file systems mounted",
    Devices = Child "device nodes",
    Covered = Child "kernel parameters, paths covered",
    Named = Child "names, network",
    Inside = Child "root entered",
    Confined = Child "limits, user, capabilities, filter",
    Executed = Launcher "exec",
    Waiting = Launcher "all made, program awaits its start",
    Created = Launcher "state: created",
    Recorded = Launcher "state: running",
    Ended = Launcher "program ran and ended",
    Cleared = Launcher "cleared up",
}

/// Whose time a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// `paddle`.
    Launcher,
    /// The container's process, before it is the program.
    Child,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Launcher => "paddle",
            Self::Child => "child",
        })
    }
}

/// When each mark was set, in nanoseconds of `CLOCK_MONOTONIC`; 0 for never.
static MARKS: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// From now on marks are kept; the first step began at `since` ([`now`]).
///
/// # Errors
///
/// No memory.
pub fn enable(since: u64) -> Result<(), Errno> {
    let words = sys::shared::words(Mark::ALL.len())?;
    if let Some(first) = words.first() {
        first.store(since, Ordering::Relaxed);
    }
    MARKS.set(words).ok();
    Ok(())
}

/// A step has ended.
pub fn mark(mark: Mark) {
    if let Some(word) = MARKS.get().and_then(|words| words.get(mark as usize)) {
        word.store(now(), Ordering::Relaxed);
    }
}

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes share.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}

/// The steps that were taken, in the order in which they ended, and what each took: since the end of the one before it.
/// Empty where nobody asked.
pub fn steps() -> Vec<(Mark, Duration)> {
    let set = |(mark, word): (&Mark, &AtomicU64)| Some((*mark, word.load(Ordering::Relaxed)));
    let words = MARKS.get().copied().unwrap_or_default();
    let mut ends: Vec<(Mark, u64)> =
        Mark::ALL.iter().zip(words).filter_map(set).filter(|(_, end)| *end > 0).collect();
    ends.sort_by_key(|(_, end)| *end);
    ends.windows(2)
        .filter_map(|pair| match pair {
            [(_, before), (mark, end)] => Some((*mark, Duration::from_nanos(end - before))),
            _ => None,
        })
        .collect()
}
