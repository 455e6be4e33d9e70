//! From a command line to a verb: what was typed becomes typed values, and errors become a status.
//!
//! One file for each verb. Verbs print; nothing below them does. Exit statuses are those of
//! docs/paddle.md.

#[cfg(test)]
mod alone;
mod checkpoint;
mod create;
mod delete;
mod duration;
mod early;
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
mod status;
mod timing;
mod update;
mod verbs;

use std::path::PathBuf;

use clap::Args;
use common::location::{STORE_VARIABLE, Who};
use common::report::{self, Diagnostic, ExitCode};

use crate::cgroup::Driver;
use crate::lifecycle;
use crate::runtime::{self, RuntimeError, StateDirectory, Sweep};
use crate::spawn::SpawnError;
use crate::spec::PassedOver;
use crate::store::Store;

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

/// Parses the command line, does what it says and reports how it went.
pub fn main() -> Status {
    let arguments = spelling::usual(std::env::args_os());
    let early = early::Early::begin(&arguments);
    let (globals, verb, matches) = match verbs::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error),
    };
    if let Err(error) = globals.log.check() {
        return report::fail(&error);
    }
    match (verb.run)(matches, &globals, early) {
        Ok(Ok(status)) => status,
        Ok(Err(Failure(error))) => {
            globals.log.error(error.as_ref());
            log::fail(error.as_ref())
        }
        Err(error) => refuse(&error),
    }
}

/// Help goes to standard output with status 0, all else to standard error with 2. A closed stream changes nothing.
fn refuse(error: &clap::Error) -> Status {
    error.print().ok();
    if error.use_stderr() { ExitCode::Usage } else { ExitCode::Ok }.into()
}

/// The status to end with.
pub type Status = u8;

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
    /// Something that failed beside what was asked for. It goes to the log, if there is one, and nowhere else: standard error
    /// is also the container's, whose output an engine keeps.
    fn warn(&self, message: &str) {
        if self.log.is_kept() {
            self.log.warning(message);
        } else {
            report::warn(message);
        }
    }

    /// The same, of what a configuration asks for in vain.
    fn warn_of_passed_over(&self, passed_over: &PassedOver) {
        passed_over.warnings.iter().for_each(|warning| self.warn(warning));
        passed_over.notes.iter().for_each(|note| self.log.warning(note));
    }

    /// The same, of an error with its causes.
    fn warn_of(&self, error: Option<&SpawnError>) {
        if let Some(error) = error {
            self.warn(&report::chain(error));
        }
    }
}

impl Places {
    /// The state of all containers, some of what dead monitors left behind cleared in passing.
    fn states(&self) -> Result<StateDirectory, RuntimeError> {
        self.swept(Sweep::InPassing)
    }

    /// The same with all of that cleared, for verbs that are about all containers.
    fn all_states(&self) -> Result<StateDirectory, RuntimeError> {
        self.swept(Sweep::Thorough)
    }

    /// What cannot be cleared is a warning: it must not keep anybody from running something else.
    fn swept(&self, extent: Sweep) -> Result<StateDirectory, RuntimeError> {
        let states = StateDirectory::open(&absolute(Who::current().state(self.root.clone())))?;
        let forget = |held| {
            if let Some(failed) = lifecycle::forget_cleared(held)? {
                report::warn(&report::chain(&failed));
            }
            Ok(())
        };
        runtime::sweep(&states, extent, forget)?.iter().for_each(warn);
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
