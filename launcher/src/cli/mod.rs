//! From a command line to a verb: what was typed becomes typed values, and errors become a status.
//!
//! One file for each verb. Verbs print; nothing below them does. Exit statuses are those of
//! docs/paddle.md.

mod duration;
mod images;
mod output;
mod prune;
mod ps;
mod resources;
mod rm;
mod rmi;
mod run;
mod spec;
mod timing;

use std::path::PathBuf;
use std::process::ExitCode as Status;

use clap::{Args, Parser, Subcommand};
use common::location::{STORE_VARIABLE, Who};
use common::report::{self, Diagnostic, ExitCode};

use crate::runtime::{self, RuntimeError, StateDirectory};
use crate::store::Store;

/// Launches images: unpacks one once and runs it isolated and limited.
#[derive(Debug, Parser)]
#[command(name = "paddle", version, propagate_version = true, max_term_width = 100)]
struct CommandLine {
    #[command(flatten)]
    places: Places,
    #[command(subcommand)]
    verb: Verb,
}

/// Where images and the state of containers are.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "what describes an option is its help text")]
struct Places {
    /// Folder of the images [default: /var/lib/coracle, or $XDG_DATA_HOME/coracle; the variable
    /// CORACLE_STORE moves it]
    #[arg(long, global = true, value_name = "FOLDER")]
    store: Option<PathBuf>,
    /// Folder for the state of containers [default: /run/coracle, or $XDG_RUNTIME_DIR/coracle]
    #[arg(long, global = true, value_name = "FOLDER", visible_alias = "state-dir")]
    root: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(Box<run::Arguments>),
    Ps(ps::Arguments),
    Rm(rm::Arguments),
    Images(images::Arguments),
    Rmi(rmi::Arguments),
    Prune(prune::Arguments),
    Spec(spec::Arguments),
}

/// Parses the command line, does what it says and reports how it went.
pub fn main() -> Status {
    let since = crate::timing::now();
    let CommandLine { places, verb } = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            // Help goes to standard output with status 0, all else to standard error with 2. A
            // closed stream changes nothing.
            error.print().ok();
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Ok }.into();
        }
    };
    if matches!(verb, Verb::Images(_) | Verb::Rmi(_)) {
        // Whatever command comes next clears what a killed one left. These need no states, so a
        // place for them that cannot be opened is no error.
        places.states().ok();
    }
    let done = match verb {
        Verb::Run(arguments) => run::run(*arguments, &places, since),
        Verb::Ps(arguments) => ps::run(&arguments, &places),
        Verb::Rm(arguments) => rm::run(&arguments, &places),
        Verb::Images(arguments) => images::run(&arguments, &places),
        Verb::Rmi(arguments) => rmi::run(&arguments, &places),
        Verb::Prune(arguments) => prune::run(&arguments, &places),
        Verb::Spec(arguments) => spec::run(&arguments),
    };
    done.unwrap_or_else(|Failure(error)| report::fail(error.as_ref()))
}

/// What each verb returns: the status to end with, or an error that is yet to be printed.
type Done = Result<Status, Failure>;

/// Any stage's error, on its way to the person.
struct Failure(Box<dyn Diagnostic>);

impl<E: Diagnostic + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

/// A place that is not known.
#[derive(Debug, thiserror::Error)]
#[error("there is no folder for images: neither HOME nor XDG_DATA_HOME is set")]
struct NoStore;

impl Diagnostic for NoStore {
    fn hint(&self) -> Option<String> {
        Some(format!("name one with --store or {STORE_VARIABLE}"))
    }
}

impl Places {
    /// The state of all containers, what dead monitors left behind cleared. What cannot be cleared
    /// is a warning: it must not keep anybody from running something else.
    fn states(&self) -> Result<StateDirectory, RuntimeError> {
        let states = StateDirectory::open(&absolute(Who::current().state(self.root.clone())))?;
        runtime::sweep(&states)?.iter().for_each(warn);
        Ok(states)
    }

    /// The store of images.
    fn store(&self) -> Result<Store, Failure> {
        let path = Who::current().store(self.store.clone()).ok_or(NoStore)?;
        Ok(Store::open(&absolute(path))?)
    }
}

/// Something that failed beside what was asked for.
fn warn(error: &RuntimeError) {
    report::warn(report::render(error).trim_start_matches("error: ").trim_end());
}

/// States name their store, and are read from other folders. (Fails for the empty path only, which
/// opening then refuses.)
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }
}
