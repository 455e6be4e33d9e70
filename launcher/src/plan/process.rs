//! The program: what is executed, as whom, with what.

use common::tree::ImagePath;
use serde::{Deserialize, Serialize};

use crate::spec::RlimitKind;

/// The program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; never empty. Without a slash the program is looked for along `PATH` of
    /// [`Self::env`], inside the container.
    pub argv: Vec<String>,
    /// `NAME=VALUE`, each name once.
    pub env: Vec<String>,
    /// Where it starts. Made, by root inside, where it is missing.
    pub cwd: ImagePath,
    /// User inside.
    pub uid: u32,
    /// Group inside.
    pub gid: u32,
    /// Further groups inside.
    pub groups: Vec<u32>,
    /// File mode creation mask.
    pub umask: u32,
    /// Limits; a kind that is absent keeps the launcher's.
    pub rlimits: Vec<Rlimit>,
    /// Whether standard input, output and error are a terminal of the container's own.
    pub terminal: bool,
    /// Columns and rows of that terminal, set before the program can ask.
    pub console_size: Option<(u16, u16)>,
    /// Preference of the out-of-memory killer, -1000 to 1000; `None` keeps the launcher's.
    pub oom_score_adj: Option<i32>,
}

/// One limit (getrlimit(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Of what.
    pub kind: RlimitKind,
    /// In force; `None` is unlimited.
    pub soft: Option<u64>,
    /// How far the program may raise it; `None` is unlimited.
    pub hard: Option<u64>,
}
