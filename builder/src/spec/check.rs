//! `Check`: a recipe's `[check]`, what an image has to do before it is believed to run (docs/check.md).
//!
//! Decides which keys there are and which of them go together; a value that exists is one that can be
//! tried. The same form goes as JSON to the process that tries it ([`crate::proof`]), so what is valid is
//! said once. Refuses to know images and sandboxes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::recipe::FileRequest;
use super::value::EnvName;

mod step;
mod values;

pub use step::{Action, Expected, Run, Speech, Step};
pub use values::{HostName, Label, NotA, Pattern, Seconds, TcpPort, Text, Words};

/// A whole `[check]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Table")]
pub struct Check {
    /// Seconds for all steps together.
    pub timeout: Seconds,
    /// Further names of 127.0.0.1 while it runs.
    pub hosts: Vec<HostName>,
    /// Files that are seen while it runs, and are no part of the image.
    pub files: Vec<FileRequest>,
    /// Paths that are no suspects.
    pub ignore: Vec<Pattern>,
    /// Programs of the root that run beside the image, first to last.
    pub peers: Vec<Peer>,
    /// What is done, first to last; never empty.
    pub steps: Vec<Step>,
}

/// `[check]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    #[serde(default)]
    timeout: Seconds,
    #[serde(default)]
    hosts: Vec<HostName>,
    #[serde(default)]
    files: Vec<FileRequest>,
    #[serde(default)]
    ignore: Vec<Pattern>,
    #[serde(default)]
    peer: Vec<Peer>,
    #[serde(default)]
    step: Vec<Step>,
}

/// `[[check.peer]]`: a program of the root, in a root of its own beside the image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Peer {
    /// What it is called.
    pub name: Label,
    /// Its programs.
    pub executables: Vec<String>,
    /// Its further files.
    #[serde(default)]
    pub files: Vec<FileRequest>,
    /// What is started.
    pub run: Words,
    /// Variables that it gets.
    #[serde(default)]
    pub env: BTreeMap<EnvName, Text>,
    /// Where it accepts connections once it is ready.
    #[serde(default)]
    pub port: Option<TcpPort>,
}

/// Why the parts of a `[check]` do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A check that checks nothing.
    #[error("`check` has no `step`")]
    NoStep,
    /// Two things of one name.
    #[error("`{0}` is the name of two steps or peers that run at the same time")]
    Twice(Label),
    /// A step is about a server that does not run by then.
    #[error("no step before it starts a server named `{0}`")]
    NoServer(Label),
    /// A step that asks for two things.
    #[error("`{0}` and `{1}` do not go together in one step")]
    Both(&'static str, &'static str),
    /// A key that would do nothing.
    #[error("`{key}` means nothing in a step with `{of}`")]
    Idle {
        /// The key.
        key: &'static str,
        /// The key that makes it idle.
        of: &'static str,
    },
    /// Nothing is expected of an answer.
    #[error("`speak` needs `has`, with at least one piece of the answer")]
    NoAnswer,
}

impl TryFrom<Table> for Check {
    type Error = CheckError;

    fn try_from(table: Table) -> Result<Self, CheckError> {
        let Table { timeout, hosts, files, ignore, peer: peers, step: steps } = table;
        if steps.is_empty() {
            return Err(CheckError::NoStep);
        }
        let mut running = BTreeSet::new();
        for peer in &peers {
            if !running.insert(&peer.name) {
                return Err(CheckError::Twice(peer.name.clone()));
            }
        }
        let peer_names: BTreeSet<&Label> = running.clone();
        for step in &steps {
            match &step.action {
                Action::Run(run) => {
                    if let Some(name) = run.name.as_ref().filter(|name| !running.insert(name)) {
                        return Err(CheckError::Twice(name.clone()));
                    }
                }
                Action::Stop { server, signal } => {
                    if peer_names.contains(server) || !running.contains(server) {
                        return Err(CheckError::NoServer(server.clone()));
                    }
                    if signal.is_none() {
                        running.remove(server);
                    }
                }
                Action::Speak(_) => {}
            }
        }
        Ok(Self { timeout, hosts, files, ignore, peers, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::recipe::Recipe;

    fn check(text: &str) -> Result<Check, String> {
        let recipe = Recipe::parse(&format!("executables = [\"a\"]\n[check]\n{text}"))?;
        recipe.check.ok_or_else(|| "it has none".to_owned())
    }

    #[test]
    fn every_key_of_a_check_is_read() {
        let check = check(
            r#"
            timeout = 5
            hosts = ["site.test"]
            files = [{ source = "check/x", destination = "/check/x" }]
            ignore = ["/etc/localtime", "/usr/share/**/x"]
            [[check.peer]]
            name = "server"
            executables = ["openssl"]
            files = [{ source = "k", destination = "/key.pem" }]
            run = ["openssl", "s_server"]
            env = { A = "b" }
            port = 8443
            [[check.step]]
            name = "db"
            run = ["redis-server"]
            port = 6379
            [[check.step]]
            run = ["redis-cli", "ping"]
            stdin = "text"
            env = { A = "b" }
            user = "postgres:1"
            status = 7
            stdout = "PONG\n"
            stdout-has = ["PO"]
            stderr-has = ["x"]
            [[check.step]]
            speak = { port = 8080, send = "GET", has = ["200 OK"] }
            [[check.step]]
            stop = "db"
            signal = "SIGHUP"
            [[check.step]]
            stop = "db"
            [[check.step]]
            name = "db"
            "#,
        )
        .unwrap();
        assert_eq!((check.steps.len(), check.peers.len()), (6, 1));
        let Action::Run(run) = &check.steps[1].action else { panic!("{:?}", check.steps[1]) };
        assert_eq!(run.expected.as_ref().map(|expected| expected.status), Some(7));
    }

    #[test]
    fn what_cannot_be_tried_is_refused_by_line_and_key() {
        for (text, line, fragment) in [
            ("timeout = 1", 2, "`check` has no `step`"),
            ("timeout = 0\n[[check.step]]\nrun = [\"a\"]", 3, "`0` is not a time"),
            ("steps = []", 3, "unknown field `steps`"),
            ("hosts = [\"a b\"]", 3, "`a b` is not a host name"),
            ("ignore = [\"etc\"]", 3, "`etc` is not a pattern"),
            ("[[check.step]]\nrun = []", 4, "not a command"),
            ("[[check.step]]\nrun = [\"a\\u0000\"]", 4, "NUL"),
            ("[[check.step]]\nrun = [\"a\"]\nport = 0", 5, "`0` is not a TCP port"),
            ("[[check.step]]\nrun = [\"a\"]\nstatus = 256", 5, "256"),
            ("[[check.step]]\nrun = [\"a\"]\nstop = \"b\"", 3, "`run` and `stop` do not go"),
            ("[[check.step]]\nspeak = { port = 1, has = [] }", 3, "`speak` needs `has`"),
            (
                "[[check.step]]\nspeak = { port = 1, has = [\"a\"] }\nstatus = 1",
                3,
                "`status` means nothing in a step with `speak`",
            ),
            (
                "[[check.step]]\nname = \"a\"\nstdout = \"\"",
                3,
                "`stdout` means nothing in a step with `name`",
            ),
            ("[[check.step]]\nrun = [\"a\"]\nsignal = \"TERM\"", 3, "`signal` means nothing"),
            ("[[check.step]]\nstop = \"a\"", 2, "starts a server named `a`"),
            ("[[check.step]]\nname = \"a\"\n[[check.step]]\nname = \"a\"", 2, "name of two"),
            ("[[check.step]]\nname = \"a b\"", 4, "`a b` is not a name"),
        ] {
            let message = check(text).unwrap_err();
            let at = format!("line {line},");
            assert!(message.contains(&at) && message.contains(fragment), "{text}\n{message}");
        }
    }

    #[test]
    fn a_pattern_covers_what_is_below_it() {
        let pattern: Pattern = "/usr/share/*".parse().unwrap();
        for (path, covered) in
            [("/usr/share/a", true), ("/usr/share/a/b", true), ("/usr/share", false), ("/u", false)]
        {
            assert_eq!(pattern.covers(path.as_bytes()), covered, "{path}");
        }
    }
}
