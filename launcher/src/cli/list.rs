//! `paddle list`: all containers, as callers of OCI runtimes want them. (People have `paddle ps`.)

use clap::{Args, ValueEnum};
use common::escape::Escaped;
use common::report::{self, ExitCode};

use super::output::{columns, print, print_json};
use super::state::Shown;
use super::{Done, Globals};
use crate::runtime;

/// List all containers with their bundles, also those that have ended.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How they are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Print ids only
    #[arg(short, long)]
    quiet: bool,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Prints them. One that cannot be read hides no other: it is reported, and the status says so.
pub(super) fn run(arguments: &Arguments, globals: &Globals) -> Done {
    let (containers, failures) = runtime::list(&globals.places.all_states()?)?;
    let shown: Vec<Shown> = containers.iter().map(Shown::from).collect();
    if arguments.quiet {
        let ids: Vec<&str> = shown.iter().flat_map(|one| [one.id.as_str(), "\n"]).collect();
        print(&ids.concat())?;
    } else if arguments.format == Format::Json {
        print_json(&shown)?;
    } else {
        print(&table(&shown))?;
    }
    for failure in &failures {
        report::print(failure);
    }
    Ok(if failures.is_empty() { ExitCode::Ok } else { ExitCode::Failed }.into())
}

fn table(shown: &[Shown]) -> String {
    let heading = ["ID", "PID", "STATUS", "BUNDLE", "CREATED"].map(str::to_owned);
    let rows = shown.iter().map(|one| {
        let bundle = Escaped(one.bundle.as_os_str().as_encoded_bytes()).to_string();
        let status = one.status.to_owned();
        [one.id.clone(), one.pid.to_string(), status, bundle, one.created.clone()]
    });
    columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}
