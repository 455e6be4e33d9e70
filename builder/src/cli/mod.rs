//! argv -> a verb's arguments -> its result in words. One file for each verb.
//!
//! Decides what options are called and how results look. Only this stage writes to the terminal.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::location::Who;
use common::report::{self, Diagnostic};

use crate::Error;

mod build;
pub mod check;
pub mod closure;
mod images;
mod inspect;
mod modules;
pub mod new;
mod output;
pub mod proven;
mod request;
pub mod resolution;
mod rules;
pub mod search;
mod shell_words;
mod signals;
mod sizes;
pub mod subject;
pub mod trace;
pub mod tree;
mod why;

/// Packs one application into the smallest root filesystem that runs it.
#[derive(Debug, Parser)]
#[command(name = "coracle", version, max_term_width = 100, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Build(Box<build::Arguments>),
    New(new::Arguments),
    Why(why::Arguments),
    Inspect(inspect::Arguments),
    Images(images::Arguments),
    Rules(rules::Arguments),
    Closure(closure::ClosureArgs),
    Tree(tree::TreeArgs),
    Check(check::CheckArgs),
    Trace(trace::TraceArgs),
    /// Becomes a command that is watched; started by `trace`
    #[command(name = crate::trace::start::VERB, hide = true)]
    TraceChild(crate::trace::start::Arguments),
    /// Asks a loader in a jail; started by `check`
    #[command(name = crate::check::jail::VERB, hide = true)]
    AskLoader(crate::check::jail::Arguments),
    /// Process 1 of a check's sandbox; started by `check --run`
    #[command(name = crate::proof::inside::VERB, hide = true)]
    Prove,
    /// Becomes a program of an image; started by process 1 of a check's sandbox
    #[command(name = crate::proof::inside::begin::VERB, hide = true)]
    ProveChild(crate::proof::inside::begin::Arguments),
}

/// Where the store is.
#[derive(Debug, clap::Args)]
struct StoreOption {
    /// The store, an OCI image layout
    #[arg(
        long,
        value_name = "DIR",
        help = "The store, an OCI image layout [default: $CORACLE_STORE, else /var/lib/coracle for \
                root and $XDG_DATA_HOME/coracle for others]"
    )]
    store: Option<PathBuf>,
}

impl StoreOption {
    fn path(&self) -> Result<PathBuf, Error> {
        Who::current().store(self.store.clone()).ok_or(Error::NoStore)
    }
}

/// Why a verb failed.
#[derive(Debug)]
enum Failure {
    /// The verb itself.
    Error(Error),
    /// What was named means nothing.
    Subject(subject::SubjectError),
    /// An executable cannot be resolved.
    Resolution(resolution::ResolutionError),
    /// A check did not pass, or could not be run.
    Check(proven::RunError),
    /// A command cannot be watched.
    Trace(Box<trace::TraceVerbError>),
    /// Its result could not be printed.
    Print(io::Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

impl From<proven::RunError> for Failure {
    fn from(error: proven::RunError) -> Self {
        Self::Check(error)
    }
}

impl From<subject::SubjectError> for Failure {
    fn from(error: subject::SubjectError) -> Self {
        Self::Subject(error)
    }
}

impl From<trace::TraceVerbError> for Failure {
    fn from(error: trace::TraceVerbError) -> Self {
        Self::Trace(Box::new(error))
    }
}

impl From<resolution::ResolutionError> for Failure {
    fn from(error: resolution::ResolutionError) -> Self {
        Self::Resolution(error)
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

/// Runs the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap knows which of help and mistakes goes where, and with which status (0 or 2).
            return match error.print() {
                Ok(()) if !error.use_stderr() => report::ExitCode::Ok.into(),
                Err(_) | Ok(()) => report::ExitCode::Usage.into(),
            };
        }
    };
    let mut out = io::BufWriter::new(io::stdout());
    let result = match arguments.verb {
        Verb::Build(arguments) => build::run(&arguments, &mut out),
        Verb::New(arguments) => new::run(&arguments, &mut out),
        Verb::Why(arguments) => why::run(&arguments, &mut out),
        Verb::Inspect(arguments) => inspect::run(&arguments, &mut out),
        Verb::Images(arguments) => images::run(&arguments, &mut out),
        Verb::Rules(arguments) => rules::run(&arguments, &mut out),
        Verb::Closure(arguments) => return finish(closure::run(&arguments)),
        Verb::Tree(arguments) => return finish(tree::run(&arguments)),
        Verb::Check(arguments) => return finish(check::run(&arguments)),
        Verb::Trace(arguments) => {
            return trace::run(&arguments).unwrap_or_else(|error| report::fail(&error));
        }
        Verb::TraceChild(arguments) => {
            crate::trace::start::enter(&arguments);
            return report::ExitCode::Failed.into();
        }
        Verb::AskLoader(arguments) => {
            crate::check::jail::enter(arguments);
            return report::ExitCode::Ok.into();
        }
        Verb::Prove => {
            return match crate::proof::inside::run() {
                Ok(()) => report::ExitCode::Ok.into(),
                Err(error) => report::fail(&check::ProveError { source: error }),
            };
        }
        Verb::ProveChild(arguments) => return crate::proof::inside::begin::enter(&arguments),
    };
    let result = result.and_then(|()| out.flush().map_err(Failure::Print));
    match result {
        Ok(()) => report::ExitCode::Ok.into(),
        // Whoever read us has read enough (`coracle images | head -1`).
        Err(Failure::Print(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            report::ExitCode::Ok.into()
        }
        Err(Failure::Print(error)) => report::fail(&output::PrintError { source: error }),
        Err(Failure::Error(error)) => report::fail(&error),
        Err(Failure::Subject(error)) => report::fail(&error),
        Err(Failure::Check(error)) => report::fail(&error),
        Err(Failure::Resolution(error)) => report::fail(&error),
        Err(Failure::Trace(error)) => report::fail(&*error),
    }
}

fn finish(result: Result<report::ExitCode, impl Diagnostic>) -> ExitCode {
    match result {
        Ok(code) => code.into(),
        Err(error) => report::fail(&error),
    }
}
