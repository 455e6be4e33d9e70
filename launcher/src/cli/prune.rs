//! `paddle prune`: makes room.

use std::fmt::Write as _;

use clap::Args;
use common::report::{self, ExitCode};

use super::duration::Span;
use super::images::human;
use super::output::print;
use super::{Done, Places};
use crate::runtime;
use crate::store::{Pruning, Removed};

/// Remove what no image needs, and images that were not used lately.
///
/// Without options no named image is removed: only unpacked files of images that have no name (any
/// more), and left-over blobs. What a container uses always stays.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Also remove images that were not used for this long (30d, 12h; the most recent use counts)
    #[arg(long, value_name = "TIME")]
    older_than: Option<Span>,
    /// Also remove images, but keep the N that were used last
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
}

/// Removes, and prints what.
pub(super) fn run(arguments: &Arguments, places: &Places) -> Done {
    let older_than = arguments.older_than.map(|span| span.0);
    let store = places.store()?;
    // What containers wrote, of whom nothing is known any more: a restart of the host forgets them.
    runtime::sweep_store(&store, &places.all_states()?)?;
    let removed = store.prune(Pruning { older_than, keep: arguments.keep })?;
    print(&summary(&removed))?;
    if !removed.in_use.is_empty() {
        report::warn(&format!("{} in use by a container: kept", removed.in_use.len()));
    }
    Ok(ExitCode::Ok.into())
}

fn summary(removed: &Removed) -> String {
    let mut text = String::new();
    for name in &removed.names {
        let _ = writeln!(text, "removed image {name}");
    }
    for chain in &removed.snapshots {
        let _ = writeln!(text, "removed unpacked files {}", chain.short());
    }
    let _ = writeln!(text, "{} of space freed", human(removed.bytes));
    text
}
