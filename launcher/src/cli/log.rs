//! The log that callers of OCI runtimes read errors from: a line for each, the last one counts.

use std::env;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use common::report::{self, Diagnostic};
use serde::Serialize;

use super::Status;
use crate::runtime::Timestamp;

/// Options about the log.
#[derive(Debug, Args)]
pub(super) struct LogOptions {
    /// Also write errors to this file, and warnings to it alone
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How they are written there
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// How much is written there
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: Level,
    /// Write everything there
    #[arg(long)]
    debug: bool,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// `time=... level=... msg=...`
    Text,
    /// An object.
    Json,
}

/// How grave a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Nothing works any more.
    Panic,
    /// The command failed.
    Fatal,
    /// The command failed.
    Error,
    /// It did not do all that it was to.
    #[value(alias = "warn")]
    Warning,
    /// What it does.
    Info,
    /// Why.
    Debug,
    /// All.
    Trace,
}

/// conmon says by this variable that it is the caller. Podman looks for words in what it passes on from standard error, and
/// shows the one line that has them: an error's cause must not stand on another than the error.
const CONMON: &str = "_OCI_SYNCPIPE";

/// Prints an error to standard error, and returns the status to end with.
pub(super) fn fail(error: &dyn Diagnostic) -> Status {
    if env::var_os(CONMON).is_some() { report::fail_flat(error) } else { report::fail(error) }
}

/// The log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the log `{}`", path.display())]
pub(super) struct LogError {
    path: PathBuf,
    source: io::Error,
}

impl Diagnostic for LogError {}

/// One line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    level: Level,
    msg: &'a str,
    time: String,
}

impl LogOptions {
    /// Writes an error with its causes, on one line.
    pub(super) fn error(&self, error: &dyn Diagnostic) {
        self.write(Level::Error, &report::chain(error));
    }

    /// Writes a warning.
    pub(super) fn warning(&self, message: &str) {
        self.write(Level::Warning, message);
    }

    /// Writes what is of use to who looks for a fault; without a log it goes to standard error, if `--debug` asks for it.
    pub(super) fn debug(&self, message: &str) {
        if self.log.is_none() && self.debug {
            let line =
                Line { level: Level::Debug, msg: message, time: Timestamp::now().to_string() };
            writeln!(io::stderr(), "{line}").ok();
        }
        self.write(Level::Debug, message);
    }

    /// Whether there is one.
    pub(super) fn is_kept(&self) -> bool {
        self.log.is_some()
    }

    /// Sees that the log can be written, before anything is done that it would have to tell of.
    pub(super) fn check(&self) -> Result<(), LogError> {
        let Some(path) = &self.log else { return Ok(()) };
        Self::open(path).map(drop).map_err(|source| LogError { path: path.clone(), source })
    }

    /// A log that cannot be written any more changes nothing: there is nowhere to say so but standard error, which gets the same
    /// messages anyway.
    fn write(&self, level: Level, msg: &str) {
        let wanted = if self.debug { Level::Trace } else { self.log_level };
        let Some(path) = self.log.as_ref().filter(|_| level <= wanted) else { return };
        let Ok(mut file) = Self::open(path) else { return };
        let line = Line { level, msg, time: Timestamp::now().to_string() };
        let text = match self.log_format {
            LogFormat::Json => serde_json::to_string(&line).unwrap_or_default(),
            LogFormat::Text => line.to_string(),
        };
        file.write_all(format!("{text}\n").as_bytes()).ok();
    }

    fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o644).open(path)
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Panic => "panic",
            Level::Fatal => "fatal",
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        };
        write!(f, "time=\"{}\" level={level} msg={:?}", self.time, self.msg)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open `a`")]
    struct Sample(#[source] io::Error);

    impl Diagnostic for Sample {}

    #[test]
    fn lines_are_what_callers_parse() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let sample = Sample(io::Error::other("no \"way\"\n"));
        for (log_format, expected) in [
            (LogFormat::Json, r#""level":"error","msg":"cannot open `a`: no \"way\"\n","time":"2"#),
            (LogFormat::Text, r#" level=error msg="cannot open `a`: no \"way\"\n""#),
        ] {
            let log = Some(path.clone());
            let options = LogOptions { log, log_format, log_level: Level::Warning, debug: false };
            options.error(&sample);
            options.write(Level::Info, "nothing of interest");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(expected) && text.ends_with('\n'), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_is_an_error_before_anything_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let with = |log| LogOptions {
            log,
            log_format: LogFormat::Text,
            log_level: Level::Info,
            debug: true,
        };
        assert!(with(None).check().is_ok());
        let path = folder.path().join("log");
        let options = with(Some(path.clone()));
        options.check().unwrap();
        options.debug("found");
        assert!(std::fs::read_to_string(path).unwrap().ends_with("level=debug msg=\"found\"\n"));
        let error = with(Some(folder.path().join("no/log"))).check().unwrap_err().to_string();
        assert!(error.starts_with("cannot open the log"), "{error}");
    }
}
