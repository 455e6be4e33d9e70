//! Seccomp: compiles a profile of the runtime specification to the filter program that the kernel runs.
//!
//! ```text
//! default       Docker's rules as data -> profile         arch      names -> numbers, by architecture
//! rules         profile -> number -> verdict or tests     assemble  numbers -> binary tree -> program
//! features      what of the specification is known here, by its names
//! ready         the default program of most containers, compiled beforehand
//! ```
//!
//! Libraries that do this write one comparison per system call, in a row, for three architectures: 13 ms
//! to compile and 1.4 ms to load. A binary tree over one architecture loads in 0.2 ms, and decides any
//! call within a dozen comparisons. This module decides nothing about which calls are safe except in
//! [`default_profile`]; it never loads a program.
//!
//! A call made by another instruction set than the kernel's own (32-bit code on a 64-bit kernel) is judged by the same
//! profile where it lists that architecture, with a tree of its own; otherwise it kills the process.

mod arch;
mod assemble;
mod default;
mod features;
mod ready;
mod rules;

use common::report::{Diagnostic, ExitCode};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};
use serde::{Deserialize, Serialize};

use crate::spec::CapabilitySet;
use crate::sys::seccomp::{Filter, NEW_LISTENER};

pub use arch::Architecture;
pub use default::default_profile;
pub use features::{actions, architectures, known_flags, operators, supported_flags};
use rules::Table;

/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
pub const MAX_LENGTH: usize = 4096;

/// A filter, ready to be loaded by `seccomp(2)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// At most [`MAX_LENGTH`].
    pub instructions: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
    /// Whether some verdict is "ask the listener", or one is wanted all the same, so that there has to be one
    /// (`SECCOMP_FILTER_FLAG_NEW_LISTENER`).
    pub notifies: bool,
    /// Whether a process behind the filter can send its listener away (`sendmsg` goes through); otherwise somebody has to
    /// take it from there.
    #[serde(default)]
    pub sends: bool,
}

/// One instruction of classic BPF: `struct sock_filter` of `linux/filter.h`. Serialised as
/// `[code, jt, jf, k]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u16, u8, u8, u32)", into = "(u16, u8, u8, u32)")]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many instructions to skip when the test holds.
    pub jt: u8,
    /// How many to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

impl From<(u16, u8, u8, u32)> for Instruction {
    fn from((code, jt, jf, k): (u16, u8, u8, u32)) -> Self {
        Self { code, jt, jf, k }
    }
}

impl From<Instruction> for (u16, u8, u8, u32) {
    fn from(i: Instruction) -> Self {
        (i.code, i.jt, i.jf, i.k)
    }
}

impl Program {
    /// What `seccomp(2)` is given.
    pub fn kernel_flags(&self) -> u32 {
        self.flags | if self.notifies { NEW_LISTENER } else { 0 }
    }
}

impl From<&Program> for Filter {
    fn from(program: &Program) -> Self {
        Self::new(program.instructions.iter().map(|&one| one.into()), program.kernel_flags())
    }
}

/// Why a profile cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeccompError {
    /// An error number where the action gives none.
    #[error("the seccomp profile gives an errnoRet to `{0:?}`, which returns no error")]
    ErrnoWithoutErrno(LinuxSeccompAction),
    /// An error number that the kernel cannot return.
    #[error("the seccomp profile returns the error number {0}; the largest is 4095")]
    Errno(u32),
    /// A test of an argument that no call has.
    #[error("the seccomp rule for `{name}` tests argument {index}; the last is 5")]
    Argument {
        /// The call.
        name: String,
        /// The argument.
        index: usize,
    },
    /// More rules than a program can hold.
    #[error("the seccomp profile compiles to {0} instructions; the kernel takes {MAX_LENGTH}")]
    TooLong(usize),
    /// Not x86-64 or aarch64.
    #[error("seccomp profiles can be compiled for x86-64 and aarch64 only")]
    Architecture,
}

impl Diagnostic for SeccompError {
    fn hint(&self) -> Option<String> {
        matches!(self, Self::TooLong(_))
            .then(|| "join rules of the same action and drop tests of arguments".to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Launcher
    }
}

/// The program for this machine's architecture.
///
/// # Errors
/// A profile that says something impossible, or too much.
pub fn compile(profile: &LinuxSeccomp) -> Result<Program, SeccompError> {
    compile_for(profile, Architecture::native().ok_or(SeccompError::Architecture)?)
}

/// The program of the default profile for who holds these capabilities: for Docker's, it is ready.
///
/// # Errors
/// As [`compile`].
pub fn default_program(capabilities: CapabilitySet) -> Result<Program, SeccompError> {
    let native = Architecture::native().ok_or(SeccompError::Architecture)?;
    let usual = capabilities == CapabilitySet::DOCKER;
    if let Some(program) = usual.then(|| ready::program(native)).flatten() {
        return Ok(program);
    }
    compile_for(&default_profile(capabilities), native)
}

/// The program for another machine.
///
/// # Errors
/// As [`compile`].
pub fn compile_for(
    profile: &LinuxSeccomp,
    architecture: Architecture,
) -> Result<Program, SeccompError> {
    let tables = rules::tables(profile, architecture)?;
    let sends = architecture.number("sendmsg");
    let notifies = tables.iter().any(Table::notifies);
    let instructions = assemble::assemble(&tables);
    if instructions.len() > MAX_LENGTH {
        return Err(SeccompError::TooLong(instructions.len()));
    }
    Ok(Program {
        instructions,
        flags: flags(profile, notifies),
        notifies,
        sends: sends.is_some_and(|number| tables.first().is_some_and(|own| own.allows(number))),
    })
}

/// The numbers of `linux/seccomp.h`. A filter is loaded while there is one thread only, so that there are none that it
/// would have to be synchronised with; and without a listener nothing waits that could be killed.
fn flags(profile: &LinuxSeccomp, notifies: bool) -> u32 {
    profile.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                LinuxSeccompFilterFlag::SeccompFilterFlagLog => 1 << 1,
                LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => 1 << 2,
                LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv if notifies => 1 << 5,
                LinuxSeccompFilterFlag::SeccompFilterFlagTsync
                | LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 0,
            }
    })
}
