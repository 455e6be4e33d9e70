//! How a failure reaches a person: one renderer for both programs.
//!
//! ```text
//! error: cannot resolve `/usr/bin/app`
//!   caused by: `libfoo.so.1` is missing, needed by `/usr/lib/libbar.so.2`
//! hint: install the package that ships libfoo.so.1, or name its folder with --library-path
//! ```
//!
//! Stages return typed errors that implement [`Diagnostic`]; only `main` prints them.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

/// An error that knows what its reader can do about it.
pub trait Diagnostic: Error {
    /// Something that the person can do, without the word `hint:`.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The status with which the program ends.
    fn exit_code(&self) -> ExitCode {
        ExitCode::Failed
    }
}

/// The statuses with which `coracle` and `paddle` end by their own decision. (`paddle run` also
/// passes on its application's.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// 0: done.
    Ok = 0,
    /// 1: the command failed.
    Failed = 1,
    /// 2: the command line was wrong.
    Usage = 2,
    /// 125: `paddle run` failed before the application started.
    Launcher = 125,
    /// 126: the application was found but cannot be executed.
    NotExecutable = 126,
    /// 127: the application was not found.
    NotFound = 127,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// The error, its causes and its hint as text, one line each (multi-line messages are indented).
/// A cause whose text its parent already ends with is not repeated.
pub fn render(error: &dyn Diagnostic) -> String {
    let mut text = format!("error: {}\n", indent(&error.to_string()));
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !said.ends_with(&message) {
            let _ = writeln!(text, "  caused by: {}", indent(&message));
            said = message;
        }
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "hint: {}", indent(&hint));
    }
    text
}

fn indent(message: &str) -> String {
    message.replace('\n', "\n    ")
}

/// Prints the error to standard error and returns the status to end with. A closed standard error
/// changes nothing.
pub fn fail(error: &dyn Diagnostic) -> std::process::ExitCode {
    let _ = std::io::stderr().write_all(render(error).as_bytes());
    error.exit_code().into()
}

/// Prints one `warning: ` line to standard error.
pub fn warn(message: &str) {
    let _ = writeln!(std::io::stderr(), "warning: {}", indent(message));
}
