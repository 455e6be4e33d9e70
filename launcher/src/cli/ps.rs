//! `paddle ps`: which containers there are; with a name, the processes of that one.

use std::ffi::OsString;

use clap::Args;
use common::escape::Escaped;
use common::report::{self, Diagnostic, ExitCode};
use serde::Serialize;

use super::list::Format;
use super::output::{columns, print, print_json};
use super::{Done, Places, processes};
use crate::runtime::{self, ContainerId, Exit, State, Status, Timestamp};

/// List containers; with a name, the processes of that container.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How they are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: Format,
    /// Also those that have ended (without `paddle run --rm` they stay until `paddle rm`)
    #[arg(short, long)]
    all: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
    /// Print names only
    #[arg(short, long)]
    quiet: bool,
    /// A container, and options for the host's `ps` (otherwise -ef)
    // One list: what follows the name is that program's.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_names = ["NAME", "PS OPTIONS"])]
    name_and_options: Vec<OsString>,
}

/// A name that is none.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is no container", Escaped(.0.as_encoded_bytes()))]
struct NoName(OsString);

impl Diagnostic for NoName {
    fn hint(&self) -> Option<String> {
        Some("options of paddle stand before the name, those of ps behind it".to_owned())
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// A container as `--json` prints it.
#[derive(Debug, Serialize)]
struct Entry {
    id: String,
    image: String,
    command: Vec<String>,
    status: &'static str,
    /// As the host numbers it; absent unless it is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i32>,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    out_of_memory: bool,
}

/// Lists them. One that cannot be read hides no other: it is reported, and the status says so.
pub(super) fn run(arguments: &Arguments, places: &Places) -> Done {
    let json = arguments.json || arguments.format == Format::Json;
    if let Some((name, options)) = arguments.name_and_options.split_first() {
        let id: Option<ContainerId> = name.to_str().and_then(|name| name.parse().ok());
        let id =
            id.filter(|id| !id.as_str().starts_with('-')).ok_or_else(|| NoName(name.clone()))?;
        return processes::run(&id, json, options, places);
    }
    let directory = places.all_states()?;
    let (containers, failures) = runtime::list(&directory)?;
    let mut states: Vec<State> = containers.into_iter().map(|one| one.state).collect();
    for failure in &failures {
        report::print(failure);
    }
    let code = if failures.is_empty() { ExitCode::Ok } else { ExitCode::Failed };
    states.retain(|state| arguments.all || !matches!(state.status, Status::Stopped { .. }));
    if json {
        print_json(&states.iter().map(Entry::from).collect::<Vec<_>>())?;
    } else if arguments.quiet {
        let mut names = String::new();
        for state in &states {
            names.push_str(state.id.as_str());
            names.push('\n');
        }
        print(&names)?;
    } else {
        print(&table(&states, Timestamp::now()))?;
    }
    Ok(code.into())
}

fn table(states: &[State], now: Timestamp) -> String {
    let heading = ["CONTAINER", "IMAGE", "COMMAND", "CREATED", "STATUS"].map(str::to_owned);
    let rows = states.iter().map(|state| {
        let created = format!("{} ago", state.created.age(now));
        [state.id.to_string(), state.image.clone(), command(state), created, status(state, now)]
    });
    columns(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

/// The start of the command, escaped: an image chooses it.
fn command(state: &State) -> String {
    const WIDTH: usize = 40;
    let line = state.command.join(" ");
    let shown = Escaped(line.as_bytes()).to_string();
    match shown.char_indices().nth(WIDTH) {
        Some((cut, _)) => format!("{}...", shown.split_at(cut).0),
        None => shown,
    }
}

fn status(state: &State, now: Timestamp) -> String {
    match state.status {
        Status::Creating | Status::Created { .. } | Status::Running { .. } => {
            state.status.word().to_owned()
        }
        Status::Stopped { exit, finished } => {
            let how = match exit {
                Some(Exit { code, out_of_memory: false }) => format!("exited ({code})"),
                Some(Exit { code, out_of_memory: true }) => format!("out of memory ({code})"),
                None if state.monitored => "killed with its launcher".to_owned(),
                None => return "exited".to_owned(),
            };
            format!("{how} {} ago", finished.age(now))
        }
    }
}

impl From<&State> for Entry {
    fn from(state: &State) -> Self {
        let (exit, finished) = match state.status {
            Status::Stopped { exit, finished } => (exit, Some(finished.to_string())),
            _ => (None, None),
        };
        let pid = state.status.process().map(|process| process.pid);
        Self {
            id: state.id.to_string(),
            image: state.image.clone(),
            command: state.command.clone(),
            status: state.status.word(),
            pid,
            created: state.created.to_string(),
            finished,
            exit_code: exit.map(|exit| exit.code),
            out_of_memory: exit.is_some_and(|exit| exit.out_of_memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::CgroupPaths;
    use crate::runtime::{ProcessId, ProcessMark};

    #[test]
    fn a_table_shows_each_way_to_be() {
        let state = |id: &str, command: &str, status| State {
            id: id.parse().unwrap(),
            image: "app:latest".to_owned(),
            bundle: None,
            annotations: std::collections::BTreeMap::new(),
            monitored: true,
            mounted: None,
            command: command.split(' ').map(str::to_owned).collect(),
            hooks: None,
            created: Timestamp(100),
            remove: false,
            store: None,
            cgroup: CgroupPaths::default(),
            no_new_keyring: false,
            rdt: None,
            status,
        };
        let stopped = |exit| Status::Stopped { exit, finished: Timestamp(150) };
        let exit = |code, out_of_memory| Some(Exit { code, out_of_memory });
        let process = ProcessId { pid: 1, mark: ProcessMark::StartTime(1) };
        let states = [
            state("a", "/bin/app -x", Status::Running { process }),
            state("b", "\u{1b}[31mred", stopped(exit(3, false))),
            state("c", "x", stopped(exit(137, true))),
            state("d", &"y".repeat(50), stopped(None)),
        ];
        let long = format!("{}...", "y".repeat(40));
        let expected = format!(
            "CONTAINER  IMAGE       COMMAND{:38}CREATED      STATUS\n\
             a          app:latest  /bin/app -x{:34}1 minute ago  running\n\
             b          app:latest  \\x1b[31mred{:34}1 minute ago  exited (3) 10 seconds ago\n\
             c          app:latest  x{:44}1 minute ago  out of memory (137) 10 seconds ago\n\
             d          app:latest  {long}  1 minute ago  killed with its launcher 10 seconds ago\n",
            "", "", "", ""
        );
        assert_eq!(
            table(&states, Timestamp(160)),
            expected.replace("CREATED      ", "CREATED       ")
        );
    }
}
