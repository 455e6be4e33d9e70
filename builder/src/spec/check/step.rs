//! `Step`: one `[[check.step]]`. As it is written every key may stand beside every other; as a value it is
//! one of three actions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CheckError, Label, TcpPort, Text, Words};
use crate::spec::value::{EnvName, StopSignal, UserName};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct Step {
    /// What is done.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Runs a command inside the image, and waits for its end or lets it run.
    Run(Run),
    /// Speaks to a server over TCP.
    Speak(Speech),
    /// Ends a server, or only sends it a signal.
    Stop {
        /// The server.
        server: Label,
        /// Only send this one.
        signal: Option<StopSignal>,
    },
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Of a server, what it is called.
    pub name: Option<Label>,
    /// The command; the image's entrypoint and cmd where there is none.
    pub command: Option<Words>,
    /// What it reads.
    pub stdin: String,
    /// Variables, over the image's.
    pub env: BTreeMap<EnvName, Text>,
    /// Who runs it, instead of the image's user.
    pub user: Option<UserName>,
    /// Where something accepts connections once the step is done.
    pub port: Option<TcpPort>,
    /// What is expected; nothing of a server, which has no end yet.
    pub expected: Option<Expected>,
}

/// What a command must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Its exit status, 128+n for a signal.
    pub status: u8,
    /// All of its output.
    pub stdout: Option<String>,
    /// Pieces of its output.
    pub stdout_has: Vec<String>,
    /// Pieces of its errors.
    pub stderr_has: Vec<String>,
}

/// What is said over TCP, and what must come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speech {
    /// The port, of 127.0.0.1.
    pub port: TcpPort,
    /// What is sent.
    #[serde(default)]
    pub send: String,
    /// Pieces of the answer.
    #[serde(default)]
    pub has: Vec<String>,
}

/// A step as it is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Words>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<EnvName, Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<TcpPort>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stdout_has: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stderr_has: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speak: Option<Speech>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<StopSignal>,
}

impl Table {
    /// The keys that are there, of those that only some steps have.
    fn used(&self) -> impl Iterator<Item = &'static str> {
        [
            ("name", self.name.is_some()),
            ("stdin", self.stdin.is_some()),
            ("env", !self.env.is_empty()),
            ("user", self.user.is_some()),
            ("port", self.port.is_some()),
            ("status", self.status.is_some()),
            ("stdout", self.stdout.is_some()),
            ("stdout-has", !self.stdout_has.is_empty()),
            ("stderr-has", !self.stderr_has.is_empty()),
            ("signal", self.signal.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, used)| used.then_some(key))
    }

    /// Refuses every key that would do nothing.
    fn only(&self, of: &'static str, keys: &[&str]) -> Result<(), CheckError> {
        match self.used().find(|key| !keys.contains(key)) {
            Some(key) => Err(CheckError::Idle { key, of }),
            None => Ok(()),
        }
    }
}

impl TryFrom<Table> for Step {
    type Error = CheckError;

    fn try_from(table: Table) -> Result<Self, CheckError> {
        let action = match (&table.run, &table.speak, &table.stop) {
            (Some(_), Some(_), _) => return Err(CheckError::Both("run", "speak")),
            (Some(_), _, Some(_)) => return Err(CheckError::Both("run", "stop")),
            (_, Some(_), Some(_)) => return Err(CheckError::Both("speak", "stop")),
            (None, Some(speech), None) => {
                table.only("speak", &[])?;
                if speech.has.is_empty() {
                    return Err(CheckError::NoAnswer);
                }
                Action::Speak(speech.clone())
            }
            (None, None, Some(server)) => {
                table.only("stop", &["signal"])?;
                Action::Stop { server: server.clone(), signal: table.signal }
            }
            (_, None, None) => Action::Run(run(table)?),
        };
        Ok(Self { action })
    }
}

fn run(table: Table) -> Result<Run, CheckError> {
    let mut keys = vec!["name", "stdin", "env", "user", "port"];
    let expected = if table.name.is_some() {
        table.only("name", &keys)?;
        None
    } else {
        keys.extend(["status", "stdout", "stdout-has", "stderr-has"]);
        table.only("run", &keys)?;
        Some(Expected {
            status: table.status.unwrap_or(0),
            stdout: table.stdout,
            stdout_has: table.stdout_has,
            stderr_has: table.stderr_has,
        })
    };
    Ok(Run {
        name: table.name,
        command: table.run,
        stdin: table.stdin.unwrap_or_default(),
        env: table.env,
        user: table.user,
        port: table.port,
        expected,
    })
}

impl From<Step> for Table {
    fn from(step: Step) -> Self {
        match step.action {
            Action::Speak(speech) => Self { speak: Some(speech), ..Self::default() },
            Action::Stop { server, signal } => {
                Self { stop: Some(server), signal, ..Self::default() }
            }
            Action::Run(run) => {
                let Run { name, command, stdin, env, user, port, expected } = run;
                let mut table = Self {
                    name,
                    run: command,
                    stdin: (!stdin.is_empty()).then_some(stdin),
                    env,
                    user,
                    port,
                    ..Self::default()
                };
                if let Some(Expected { status, stdout, stdout_has, stderr_has }) = expected {
                    table.status = Some(status);
                    (table.stdout, table.stdout_has) = (stdout, stdout_has);
                    table.stderr_has = stderr_has;
                }
                table
            }
        }
    }
}
