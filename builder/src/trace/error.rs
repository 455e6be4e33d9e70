//! How programs end, and why some cannot be watched, in words.

use std::io;

use common::escape::Escaped;
use common::report::{Diagnostic, ExitCode};

use super::start::{Failed, Step};

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// With this status.
    Exited(u8),
    /// By this signal.
    Killed(u8),
}

impl Status {
    /// As a shell says it: 128 and the signal's number for who was killed.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => signal.saturating_add(128),
        }
    }
}

/// Why nothing is watched.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// `coracle` could not be started again.
    #[error("cannot start `coracle` again, to become `{}`", Escaped(program))]
    Again {
        /// The program.
        program: Vec<u8>,
        /// Why.
        source: io::Error,
    },
    /// The kernel does not allow to watch.
    #[error("cannot watch `{}`", Escaped(program))]
    Forbidden {
        /// The program.
        program: Vec<u8>,
        /// What the kernel said.
        source: io::Error,
    },
    /// What was started did not become the program.
    #[error("cannot start `{}`", Escaped(program))]
    Start {
        /// The program.
        program: Vec<u8>,
        /// The step that failed.
        source: Failed,
    },
    /// It ended before it became the program, and could not say why.
    #[error("cannot start `{}`: it ended too early, {}", Escaped(program), words(*status))]
    Early {
        /// The program.
        program: Vec<u8>,
        /// How it ended.
        status: Status,
    },
    /// The kernel's word about children cannot be had.
    #[error("cannot wait for what is watched")]
    Wait {
        /// What the kernel said.
        source: io::Error,
    },
}

fn words(status: Status) -> String {
    match status {
        Status::Exited(code) => format!("with status {code}"),
        Status::Killed(signal) => format!("by signal {signal}"),
    }
}

impl Diagnostic for TraceError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Forbidden { .. } => {
                "a tracer needs ptrace(2): in a container allow it (--cap-add SYS_PTRACE, or a \
                 seccomp profile that has ptrace), do not run under another tracer, and see \
                 /proc/sys/kernel/yama/ptrace_scope (0, 1, or 2 for root)"
            }
            Self::Start { source: Failed { step: Step::Filter, .. }, .. } => {
                "the kernel needs seccomp filters (CONFIG_SECCOMP_FILTER), and a sandbox around \
                 this one must allow seccomp(2)"
            }
            Self::Start { source: Failed { step: Step::Execute, errno }, .. }
                if *errno == nix::libc::ENOENT =>
            {
                "check the name, and PATH; of a script or a dynamic program, its interpreter may \
                 be what is missing"
            }
            Self::Again { .. } => "is /proc mounted?",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Start { source: Failed { step: Step::Execute, errno }, .. } => match *errno {
                nix::libc::ENOENT => ExitCode::NotFound,
                _ => ExitCode::NotExecutable,
            },
            _ => ExitCode::Failed,
        }
    }
}
