//! What `--timing` says when a container has ended.

use std::io::Write as _;

use crate::cli::output::columns;
use crate::timing;

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
