//! `paddle events`: what a container uses, and when its memory ran out, as a stream of JSON.
//!
//! One object a line, `{"type": "stats" or "oom", "id": ..., "data": ...}`: the form that callers of OCI runtimes parse.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;
use common::report::{Diagnostic, ExitCode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;

use super::duration::Span;
use super::output::{OutputError, print};
use super::{Done, Failure, Places};
use crate::cgroup::{self, Cgroup, OomEvent, OomWatch, Stats};
use crate::runtime::{self, ContainerId, RuntimeError};

/// Print what a container uses, again and again until it ends, and when its memory runs out.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print once, and stop
    #[arg(long)]
    stats: bool,
    /// How often
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    interval: Span,
    /// The container
    #[arg(value_name = "NAME")]
    id: ContainerId,
}

/// One line.
#[derive(Debug, Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a ContainerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Stats>,
}

/// Waiting failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot wait for events of the container")]
struct WaitError(#[source] std::io::Error);

impl Diagnostic for WaitError {}

/// Prints them.
pub(super) fn run(arguments: &Arguments, places: &Places) -> Done {
    let id = &arguments.id;
    let container = runtime::find(&places.states()?, id)?;
    let process = container.process()?;
    let group = cgroup::reopen(&container.state.cgroup);
    if arguments.stats {
        say(&Event { kind: "stats", id, data: Some(group.stats()?) })?;
        return Ok(ExitCode::Ok.into());
    }
    let ended = || RuntimeError::NotRunning { id: id.clone(), status: "stopped" };
    let pidfd = process.open().map_err(WaitError)?.ok_or_else(ended)?;
    watch(id, group.as_ref(), pidfd.as_fd(), arguments.interval.0)?;
    Ok(ExitCode::Ok.into())
}

/// Until the container's first process has ended.
fn watch(
    id: &ContainerId,
    group: &dyn Cgroup,
    process: std::os::fd::BorrowedFd<'_>,
    interval: Duration,
) -> Result<(), Failure> {
    // A container without the memory controller does not run out of its own memory.
    let mut memory = group.watch_memory().ok();
    let mut next = Instant::now() + interval;
    loop {
        let mut polled = vec![PollFd::new(&process, PollFlags::IN)];
        polled.extend(memory.iter().map(|watch| PollFd::new(watch, PollFlags::IN)));
        let left = next.saturating_duration_since(Instant::now());
        match poll(&mut polled, Timespec::try_from(left).ok().as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(WaitError(errno.into()).into()),
        }
        let ended = polled.first().is_some_and(|one| !one.revents().is_empty());
        drop(polled);
        tell_out_of_memory(id, &mut memory)?;
        if ended {
            return Ok(());
        }
        if Instant::now() >= next {
            say(&Event { kind: "stats", id, data: Some(group.stats()?) })?;
            next += interval;
        }
    }
}

fn tell_out_of_memory(id: &ContainerId, memory: &mut Option<OomWatch>) -> Result<(), Failure> {
    while let Some(watch) = memory {
        match watch.take()? {
            OomEvent::OutOfMemory => say(&Event { kind: "oom", id, data: None })?,
            OomEvent::Nothing => break,
            OomEvent::Gone => *memory = None,
        }
    }
    Ok(())
}

fn say(event: &Event<'_>) -> Result<(), OutputError> {
    let mut line = serde_json::to_string(event).map_err(std::io::Error::from)?;
    line.push('\n');
    print(&line)
}
