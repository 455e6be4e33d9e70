//! From a command line to a verb: what was typed becomes typed values, and errors become a status.
//!
//! One file for each verb. Verbs print; nothing below them does. Exit statuses are those of
//! docs/paddle.md.

mod checkpoint;
mod create;
mod delete;
mod duration;
mod events;
mod exec;
mod features;
mod images;
mod kill;
mod list;
mod log;
mod output;
mod pause;
mod processes;
mod prune;
mod ps;
mod resources;
mod rm;
mod rmi;
mod run;
mod spec;
mod spelling;
mod start;
mod state;
mod timing;
mod update;

use std::path::PathBuf;
use std::process::ExitCode as Status;
use std::sync::LazyLock;

use clap::{ArgAction, Args, Parser, Subcommand};
use common::location::{STORE_VARIABLE, Who};
use common::report::{self, Diagnostic, ExitCode};

use crate::cgroup::Driver;
use crate::runtime::{self, RuntimeError, StateDirectory};
use crate::spawn::SpawnError;
use crate::spec::OCI_VERSION;
use crate::store::Store;

/// Launches images: unpacks one once and runs it isolated and limited.
#[derive(Debug, Parser)]
#[command(name = "paddle", version = VERSION.as_str(), disable_version_flag = true, max_term_width = 100)]
struct CommandLine {
    #[command(flatten)]
    globals: Globals,
    /// Print version
    #[arg(short = 'v', long, visible_short_alias = 'V', action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    verb: Verb,
}

/// Engines read the first line as `NAME version X`.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = option_env!("CORACLE_COMMIT").unwrap_or("unknown");
    format!("version {}\ncommit: {commit}\nspec: {OCI_VERSION}", env!("CARGO_PKG_VERSION"))
});

/// What every verb has to know.
#[derive(Debug, Args)]
struct Globals {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    log: log::LogOptions,
    #[command(flatten)]
    management: Management,
}

/// Who makes cgroups, and on whose behalf.
#[derive(Debug, Args)]
struct Management {
    /// Have systemd make cgroups: --cgroup-manager systemd
    #[arg(long)]
    systemd_cgroup: bool,
    /// Who makes cgroups [default: cgroupfs; systemd for a limit of an image's container that an ordinary user can
    /// have from nobody else]
    #[arg(long, value_name = "cgroupfs|systemd|disabled")]
    cgroup_manager: Option<Driver>,
    /// Accepted: what an ordinary user cannot do is found out
    #[arg(long, value_name = "true|false|auto", default_value = "auto", hide = true)]
    rootless: String,
    /// Accepted: criu is found along PATH
    #[arg(long, value_name = "PROGRAM", hide = true)]
    criu: Option<PathBuf>,
}

impl Management {
    /// Who makes a bundle's cgroups.
    fn driver(&self) -> Driver {
        self.chosen_driver().unwrap_or_default()
    }

    /// Who has to make cgroups.
    fn chosen_driver(&self) -> Option<Driver> {
        if self.systemd_cgroup { Some(Driver::Systemd) } else { self.cgroup_manager }
    }
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
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        visible_alias = "state-dir",
        overrides_with = "root"
    )]
    root: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(Box<run::Arguments>),
    Ps(ps::Arguments),
    Rm(rm::Arguments),
    Kill(kill::Arguments),
    Create(create::Arguments),
    Start(start::Arguments),
    State(state::Arguments),
    Delete(delete::Arguments),
    List(list::Arguments),
    Exec(Box<exec::Arguments>),
    Pause(pause::Pause),
    #[command(visible_alias = "unpause")]
    Resume(pause::Resume),
    Update(Box<update::Arguments>),
    Events(events::Arguments),
    Features(features::Arguments),
    Checkpoint(Box<checkpoint::Checkpoint>),
    Restore(Box<checkpoint::Restore>),
    Images(images::Arguments),
    Rmi(rmi::Arguments),
    Prune(prune::Arguments),
    Spec(spec::Arguments),
}

/// Parses the command line, does what it says and reports how it went.
pub fn main() -> Status {
    let since = crate::timing::now();
    let arguments = spelling::usual(std::env::args_os());
    let CommandLine { globals, verb, .. } = match CommandLine::try_parse_from(arguments) {
        Ok(command_line) => command_line,
        Err(error) => {
            // Help goes to standard output with status 0, all else to standard error with 2. A
            // closed stream changes nothing.
            error.print().ok();
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Ok }.into();
        }
    };
    match verb.run(&globals, since) {
        Ok(status) => status,
        Err(Failure(error)) => {
            globals.log.error(error.as_ref());
            report::fail(error.as_ref())
        }
    }
}

impl Verb {
    fn run(self, globals: &Globals, since: u64) -> Done {
        let places = &globals.places;
        if matches!(self, Self::Images(_) | Self::Rmi(_)) {
            // Whatever command comes next clears what a killed one left. These need no states, so a
            // place for them that cannot be opened is no error.
            places.states().ok();
        }
        match self {
            Self::Run(arguments) => run::run(*arguments, globals, since),
            Self::Ps(arguments) => ps::run(&arguments, places),
            Self::Rm(arguments) => rm::run(&arguments, globals),
            Self::Kill(arguments) => kill::run(&arguments, globals),
            Self::Create(arguments) => create::run(arguments, globals),
            Self::Start(arguments) => start::run(&arguments, globals),
            Self::State(arguments) => state::run(&arguments, globals),
            Self::Delete(arguments) => delete::run(&arguments, globals),
            Self::List(arguments) => list::run(&arguments, globals),
            Self::Exec(arguments) => exec::run(*arguments, places),
            Self::Pause(arguments) => pause::pause(&arguments, places),
            Self::Resume(arguments) => pause::resume(&arguments, places),
            Self::Update(arguments) => update::run(&arguments, places),
            Self::Events(arguments) => events::run(&arguments, places),
            Self::Features(_) => features::run(),
            Self::Checkpoint(arguments) => checkpoint::checkpoint(*arguments, globals),
            Self::Restore(arguments) => checkpoint::restore(*arguments, globals),
            Self::Images(arguments) => images::run(&arguments, places),
            Self::Rmi(arguments) => rmi::run(&arguments, places),
            Self::Prune(arguments) => prune::run(&arguments, places),
            Self::Spec(arguments) => spec::run(&arguments),
        }
    }
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

impl Globals {
    /// Something that failed beside what was asked for.
    fn warn(&self, message: &str) {
        self.log.warning(message);
        report::warn(message);
    }

    /// The same, of an error with its causes.
    fn warn_of(&self, error: Option<&SpawnError>) {
        if let Some(error) = error {
            self.warn(&log::Chain(error).to_string());
        }
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
