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
use std::io::Write as _;

use crate::escape::Tamed;

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
    /// 255: `paddle exec` failed before the application started.
    Exec = 255,
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code as Self
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(u8::from(code))
    }
}

/// The error, its causes and its hint as text, one line each (multi-line messages are indented).
/// A cause whose text its parent already ends with is not repeated. Nothing that steers a terminal
/// passes, whoever wrote the message: parsers quote their input.
pub fn render(error: &dyn Diagnostic) -> String {
    let messages: Vec<String> = messages(error).iter().map(|message| indent(message)).collect();
    format!("error: {}\n{}", messages.join("\n  caused by: "), hint(error))
}

/// The same for a program that reads lines: the error and its causes are one.
pub fn render_flat(error: &dyn Diagnostic) -> String {
    format!("error: {}\n{}", Tamed(&chain(error)), hint(error))
}

/// An error and its causes, as `error: cause: cause`.
pub fn chain(error: &dyn Diagnostic) -> String {
    messages(error).join(": ")
}

fn messages(error: &dyn Diagnostic) -> Vec<String> {
    let mut said = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !said.last().is_some_and(|last| last.ends_with(&message)) {
            said.push(message);
        }
        source = cause.source();
    }
    said
}

fn hint(error: &dyn Diagnostic) -> String {
    error.hint().map_or_else(String::new, |hint| format!("hint: {}\n", indent(&hint)))
}

fn indent(message: &str) -> String {
    let lines: Vec<_> = message.split('\n').map(|line| Tamed(line).to_string()).collect();
    lines.join("\n    ")
}

/// Prints the error to standard error. A closed standard error changes nothing.
pub fn print(error: &dyn Diagnostic) {
    std::io::stderr().write_all(render(error).as_bytes()).ok();
}

/// [Prints](fn@print) the error and returns the status to end with.
pub fn fail<S: From<ExitCode>>(error: &dyn Diagnostic) -> S {
    print(error);
    error.exit_code().into()
}

/// The same, with the error and its causes on one line.
pub fn fail_flat<S: From<ExitCode>>(error: &dyn Diagnostic) -> S {
    std::io::stderr().write_all(render_flat(error).as_bytes()).ok();
    error.exit_code().into()
}

/// Prints one `warning: ` line to standard error.
pub fn warn(message: &str) {
    writeln!(std::io::stderr(), "warning: {}", indent(message)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Sample {
        #[error("cannot read `a`\nand \x1b[31mmore")]
        Outer(#[source] std::io::Error),
        #[error("wrapped: {0}")]
        Wrapped(#[source] std::io::Error),
    }

    impl Diagnostic for Sample {
        fn hint(&self) -> Option<String> {
            Some("try\nagain".to_owned())
        }
    }

    #[test]
    fn an_error_is_rendered_with_causes_and_hint_and_steers_no_terminal() {
        let cause = || std::io::Error::other("line \x1b]0;title\x07 \\x1b");
        assert_eq!(
            render(&Sample::Outer(cause())),
            "error: cannot read `a`\n    and \\x1b[31mmore\n  \
             caused by: line \\x1b]0;title\\x07 \\x1b\nhint: try\n    again\n"
        );
        assert_eq!(
            render_flat(&Sample::Outer(cause())),
            "error: cannot read `a`\\nand \\x1b[31mmore: line \\x1b]0;title\\x07 \\x1b\nhint: try\n    again\n"
        );
        // What the message has already said is not said again.
        assert_eq!(render(&Sample::Wrapped(std::io::Error::other("x"))).matches('x').count(), 1);
    }
}
