//! What `--timing` says when a container has ended, or waits for its start.

use std::io::Write as _;

use common::report::{Diagnostic, ExitCode};
use rustix::io::Errno;

use crate::cli::output::columns;
use crate::timing::{self, Mark, mark};

/// No memory for the marks.
#[derive(Debug, thiserror::Error)]
#[error("cannot note the time of each step")]
pub(super) struct TimingError(#[from] Errno);

impl Diagnostic for TimingError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Launcher
    }
}

/// Notes them if `asked`; the first, understanding the command line, is over.
pub(super) fn begin(asked: bool, since: u64) -> Result<(), TimingError> {
    if asked {
        timing::enable(since)?;
        mark(Mark::Parsed);
    }
    Ok(())
}

/// Prints the steps of the start to standard error, in microseconds; nothing where `--timing` was not given. A closed
/// standard error changes nothing.
pub(super) fn print() {
    let steps = timing::steps();
    if steps.is_empty() {
        return;
    }
    let row =
        |who: String, what: &str, micros: u128| [who, what.to_owned(), format!("{micros:>6}")];
    let mut rows = vec![["WHO", "STEP", "    us"].map(str::to_owned)];
    rows.extend(
        steps.iter().map(|(mark, took)| row(mark.who().to_string(), mark.text(), took.as_micros())),
    );
    let all = steps.iter().map(|(_, took)| took.as_micros()).sum();
    rows.push(row("both".to_owned(), "everything", all));
    std::io::stderr().write_all(columns(&rows).as_bytes()).ok();
}
