//! The machine protocol of QEMU (QMP): one JSON object a line, each command answered by `return` or `error`, with events between.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_mins(1);

/// How long memory and devices may take to be written or read.
const MIGRATION: Duration = Duration::from_mins(2);

/// A connection to a running QEMU.
#[derive(Debug)]
pub(super) struct Monitor {
    lines: BufReader<UnixStream>,
}

impl Monitor {
    /// Negotiates on a fresh connection.
    pub(super) fn new(stream: UnixStream) -> Result<Self, String> {
        stream.set_read_timeout(Some(ANSWER)).map_err(|error| format!("monitor: {error}"))?;
        let mut monitor = Self { lines: BufReader::new(stream) };
        monitor.line()?;
        monitor.ask("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Saves what is not in the memory's file to `file`, with the machine at rest.
    pub(super) fn save(&mut self, file: &str) -> Result<(), String> {
        self.ask("stop", &json!({}))?;
        self.share_memory()?;
        self.ask("migrate", &json!({"uri": format!("exec:cat > '{file}'")}))?;
        self.wait()
    }

    /// Loads what [`Monitor::save`] wrote, into a QEMU that was started with `-incoming defer`, and lets the machine go on.
    pub(super) fn load(&mut self, file: &str) -> Result<(), String> {
        self.share_memory()?;
        self.ask("migrate-incoming", &json!({"uri": format!("exec:cat '{file}'")}))?;
        self.wait()?;
        self.ask("cont", &json!({})).map(drop)
    }

    /// Memory is in a file that both sides map: it is not part of the stream.
    fn share_memory(&mut self) -> Result<(), String> {
        let capabilities = json!([{"capability": "x-ignore-shared", "state": true}]);
        self.ask("migrate-set-capabilities", &json!({"capabilities": capabilities})).map(drop)
    }

    fn wait(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + MIGRATION;
        while Instant::now() < deadline {
            let answer = self.ask("query-migrate", &json!({}))?;
            match answer["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed") => return Err(format!("state: {answer}")),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Err(format!("state: not done within {MIGRATION:?}"))
    }

    fn ask(&mut self, command: &str, arguments: &Value) -> Result<Value, String> {
        let question = json!({"execute": command, "arguments": arguments});
        writeln!(self.lines.get_mut(), "{question}")
            .map_err(|error| format!("{command}: {error}"))?;
        loop {
            let mut answer = self.line()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if answer.get("error").is_some() {
                return Err(format!("{command}: {answer}"));
            }
        }
    }

    fn line(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        let count = self.lines.read_line(&mut line).map_err(|error| format!("monitor: {error}"))?;
        if count == 0 {
            return Err("QEMU ended".to_owned());
        }
        serde_json::from_str(&line).map_err(|error| format!("monitor: {error}: {line}"))
    }
}
