//! With which status a verb ends that failed.

use std::fmt;

use common::report::{Diagnostic, ExitCode};

use super::{Done, Failure};

/// An error of any stage, whatever it says its status is.
#[derive(Debug)]
struct Ended {
    error: Box<dyn Diagnostic>,
    code: ExitCode,
}

/// A verb of engines: they read 1 as a failure. But for what is wrong with the program itself, which has the statuses of shells.
pub(super) fn of_engines(done: Done) -> Done {
    with(done, ExitCode::Failed)
}

/// `exec`: every small number may be its program's.
pub(super) fn of_exec(done: Done) -> Done {
    with(done, ExitCode::Exec)
}

fn with(done: Done, failed: ExitCode) -> Done {
    done.map_err(|Failure(error)| {
        let code = match error.exit_code() {
            code @ (ExitCode::Usage | ExitCode::NotExecutable | ExitCode::NotFound) => code,
            _ => failed,
        };
        Ended { error, code }.into()
    })
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Ended {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl Diagnostic for Ended {
    fn hint(&self) -> Option<String> {
        self.error.hint()
    }

    fn exit_code(&self) -> ExitCode {
        self.code
    }
}
