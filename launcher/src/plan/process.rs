//! The program: what is executed, as whom, with what.

use common::tree::ImagePath;
use oci_spec::runtime::{Linux, PosixRlimit, Process as OciProcess, Spec};
use serde::{Deserialize, Serialize};

use super::{Affinity, PlanError, Scheduling, paths, scheduling};
use crate::spec::RlimitKind;

/// The program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; empty for the container of a bundle without a process only. Without a slash the program is looked for along `PATH` of
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
    /// Further groups inside; `None` keeps the launcher's.
    pub groups: Option<Vec<u32>>,
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
    /// Whether `HOME` is set to what the container's own `/etc/passwd` says of the user: [`Self::env`] has none.
    #[serde(default)]
    pub find_home: bool,
    /// Whether what is not a terminal of its own, of input and output, is given to its user, so that it can open
    /// `/dev/stdout` anew: engines hand over pipes of root's.
    #[serde(default)]
    pub own_streams: bool,
    /// How it is scheduled.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// On which processors it runs; the container's first process leaves that to its cgroup.
    #[serde(default)]
    pub affinity: Affinity,
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

/// The process of a specification: `linux` says what all processes of the container have in common.
///
/// # Errors
///
/// A value that is none.
pub fn process(process: &OciProcess, linux: Option<&Linux>) -> Result<Process, PlanError> {
    let user = process.user();
    let argv = process.args().clone().unwrap_or_default();
    let (env, home) = environment(process.env().as_deref().unwrap_or_default())?;
    Ok(Process {
        argv,
        env,
        cwd: paths::one(process.cwd())?,
        uid: user.uid(),
        gid: user.gid(),
        groups: Some(user.additional_gids().clone().unwrap_or_default()),
        umask: user.umask().unwrap_or(0o022),
        rlimits: rlimits(process.rlimits().as_deref().unwrap_or_default())?,
        terminal: process.terminal().unwrap_or(false),
        console_size: process.console_size().and_then(|size| {
            Some((u16::try_from(size.width()).ok()?, u16::try_from(size.height()).ok()?))
        }),
        oom_score_adj: process.oom_score_adj(),
        find_home: !home,
        own_streams: false,
        scheduling: scheduling::plan(process, linux)?,
        affinity: Affinity::default(),
    })
}

/// The annotation by which callers ask that the launcher's further groups be kept: Podman, for `--group-add keep-groups`.
/// Its name is crun's (crun(1)), and so is that its value says nothing.
pub const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

impl Process {
    /// Keeps the launcher's groups where the container's annotations ask for that.
    pub(super) fn keep_groups_as_annotated(&mut self, spec: &Spec) {
        if spec.annotations().as_ref().is_some_and(|all| all.contains_key(KEEP_GROUPS)) {
            self.groups = None;
        }
    }
}

/// Each variable once, where and as it was last set; and whether `HOME` is among them. An empty one counts as missing.
fn environment(wanted: &[String]) -> Result<(Vec<String>, bool), PlanError> {
    let mut all: Vec<String> = Vec::with_capacity(wanted.len());
    let mut home = false;
    for (at, entry) in wanted.iter().enumerate() {
        let name = match entry.split_once('=') {
            Some((name, _)) if !name.is_empty() => name,
            _ => return Err(PlanError::Variable(entry.clone())),
        };
        let again = |later: &String| later.split_once('=').is_some_and(|(other, _)| other == name);
        if wanted.iter().skip(at + 1).any(again) || entry == "HOME=" {
            continue;
        }
        home |= name == "HOME";
        all.push(entry.clone());
    }
    Ok((all, home))
}

fn rlimits(wanted: &[PosixRlimit]) -> Result<Vec<Rlimit>, PlanError> {
    let mut all: Vec<Rlimit> = Vec::with_capacity(wanted.len());
    for limit in wanted {
        let name = limit.typ().to_string();
        let kind = name.strip_prefix("RLIMIT_").and_then(RlimitKind::from_name);
        let kind = kind.ok_or(PlanError::Limit(name))?;
        if all.iter().any(|known| known.kind == kind) {
            return Err(PlanError::DuplicateLimit(kind.name()));
        }
        let amount = |value| (value != u64::MAX).then_some(value);
        all.push(Rlimit { kind, soft: amount(limit.soft()), hard: amount(limit.hard()) });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_is_set_once_as_it_was_last() {
        let check = |given: &str, expected: Option<(&str, bool)>| {
            let given: Vec<String> = given.split(' ').map(str::to_owned).collect();
            let found = environment(&given).ok().map(|(all, home)| (all.join(" "), home));
            let expected = expected.map(|(all, home)| (all.to_owned(), home));
            assert_eq!(found, expected, "{given:?}");
        };
        check("A=1 B=2 A=3", Some(("B=2 A=3", false)));
        check("A= B==", Some(("A= B==", false)));
        check("HOME=/x A=1", Some(("HOME=/x A=1", true)));
        check("HOME= A=1", Some(("A=1", false)));
        check("HOME=/x HOME=", Some(("", false)));
        check("A", None);
        check("=x", None);
    }
}
