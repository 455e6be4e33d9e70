//! `paddle ps NAME`: the processes of one container, as the host sees them.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use common::report::{Diagnostic, ExitCode};

use super::output::{OutputError, print};
use super::{Done, Places};
use crate::cgroup;
use crate::runtime::{self, ContainerId, ProcessId};

/// Why they cannot be listed.
#[derive(Debug, thiserror::Error)]
enum ProcessesError {
    #[error("cannot run `ps`")]
    Run(#[source] io::Error),
    #[error("`ps` failed: {0}")]
    Failed(String),
    #[error("`ps` prints no column PID")]
    NoPid,
    #[error("cannot look through /proc")]
    Proc(#[source] io::Error),
}

impl Diagnostic for ProcessesError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Run(_) => Some("install procps, or use --format json".to_owned()),
            Self::NoPid => Some("its options must leave the column: -o pid,args".to_owned()),
            Self::Failed(_) | Self::Proc(_) => None,
        }
    }
}

/// Prints their numbers as JSON, or what `ps OPTIONS` of the host says about them.
pub(super) fn run(id: &ContainerId, json: bool, options: &[OsString], places: &Places) -> Done {
    let container = runtime::find(&places.states()?, id)?;
    // What has ended has none, as callers expect; or those that it has left in its groups.
    let pids = match container.state.status.process() {
        _ if !container.state.cgroup.is_empty() => {
            cgroup::reopen(&container.state.cgroup).processes()?
        }
        Some(first) => of_namespace(first).map_err(ProcessesError::Proc)?,
        None => Vec::new(),
    };
    if json {
        let text = serde_json::to_string(&pids)
            .map_err(|error| OutputError::from(io::Error::from(error)))?;
        print(&format!("{text}\n"))?;
    } else {
        print(&select(&ps(options)?, &pids)?)?;
    }
    Ok(ExitCode::Ok.into())
}

/// A container without a cgroup of its own: the processes of its pid namespace.
fn of_namespace(first: ProcessId) -> io::Result<Vec<u32>> {
    let namespace = |pid: &str| rustix::fs::stat(format!("/proc/{pid}/ns/pid")).map(|it| it.st_ino);
    let own = namespace(&first.pid.to_string())?;
    if own == namespace("self")? {
        return Ok(u32::try_from(first.pid).into_iter().collect());
    }
    let mut pids: Vec<u32> = std::fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| namespace(name).is_ok_and(|found| found == own))
        .filter_map(|name| name.parse().ok())
        .collect();
    pids.sort_unstable();
    Ok(pids)
}

fn ps(options: &[OsString]) -> Result<String, ProcessesError> {
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef");
    }
    let output = command.args(options).output().map_err(ProcessesError::Run)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ProcessesError::Failed(said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The heading, and the lines of these processes.
fn select(table: &str, pids: &[u32]) -> Result<String, ProcessesError> {
    let mut lines = table.lines();
    let heading = lines.next().unwrap_or_default();
    let column = heading.split_whitespace().position(|title| title == "PID");
    let column = column.ok_or(ProcessesError::NoPid)?;
    let is_one = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Ok(std::iter::once(heading).chain(lines.filter(is_one)).flat_map(|line| [line, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_by_the_column_of_the_pid() {
        let table = "UID   PID  CMD\nroot    7  7 8\nann     8  x\nann    17  7\n";
        assert_eq!(select(table, &[7, 9]).unwrap(), "UID   PID  CMD\nroot    7  7 8\n");
        assert_eq!(
            select(table, &[8, 17]).unwrap(),
            "UID   PID  CMD\nann     8  x\nann    17  7\n"
        );
        assert!(matches!(select("CMD\nx\n", &[1]), Err(ProcessesError::NoPid)));
    }
}
