//! What is said of a container that has ended, beside its status.

use common::report::{self, Diagnostic};

use crate::cgroup::Bytes;
use crate::run::{Outcome, Request};
use crate::supervise::Ended;

/// Says on standard error what a status alone does not.
pub(super) fn explain(outcome: &Outcome, request: &Request, memory: Option<Bytes>) {
    if outcome.out_of_memory > 0 {
        let error = OutOfMemory { whole: outcome.ended.was_killed(), limit: memory };
        if error.whole {
            report::print(&error);
        } else {
            report::warn(&error.to_string());
        }
    }
    if let (Ended::TimedOut, Some(limit)) = (outcome.ended, request.timeout) {
        report::print(&TimedOut(limit));
    }
    outcome.left_behind.iter().for_each(crate::cli::warn);
}

/// The kernel killed for want of memory.
#[derive(Debug)]
struct OutOfMemory {
    /// The program itself, and not only a process that it had started.
    whole: bool,
    limit: Option<Bytes>,
}

impl std::fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let who = if self.whole { "killed" } else { "a process of the container was killed" };
        write!(f, "{who}: out of memory")?;
        self.limit.map_or(Ok(()), |limit| write!(f, " (limit {limit})"))
    }
}

impl std::error::Error for OutOfMemory {}

impl Diagnostic for OutOfMemory {
    fn hint(&self) -> Option<String> {
        self.limit.map(|_| "give it more with --memory".to_owned())
    }
}

/// The program did not end by itself.
#[derive(Debug, thiserror::Error)]
#[error("stopped: it ran longer than {0:?}")]
struct TimedOut(std::time::Duration);

impl Diagnostic for TimedOut {}
