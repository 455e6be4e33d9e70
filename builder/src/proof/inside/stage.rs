//! Peers, servers and steps, one after the other, until the first that fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::accounts;
use super::processes::{Child, MOMENT, PAUSE, Processes, Start};
use super::{Clock, compare, given, speech};
use crate::proof::OURS;
use crate::proof::outcome::{Log, Outcome, Problem, Seen, Tried, Waiting};
use crate::proof::script::{PeerScript, Script};
use crate::spec::DEFAULT_PATH;
use crate::spec::check::{Action, Label, Run, Speech, Step, TcpPort};
use crate::spec::value::{StopSignal, UserName};
use crate::trace::TraceError;

/// How long servers that nobody stopped have to end by themselves, after the last step.
const GRACE: Duration = Duration::from_secs(5);

/// Tries everything; afterwards nothing of it runs.
pub(super) fn try_all(script: Script, clock: &Clock) -> Result<Outcome, TraceError> {
    let Script { env, command, user, stop_signal, peers, steps, timeout: _ } = script;
    let mut stage = Stage {
        env,
        command,
        user,
        stop_signal,
        clock: clock.clone(),
        processes: Processes::new()?,
        servers: BTreeMap::new(),
        peers: Vec::new(),
    };
    stage.processes.try_to_watch();
    let mut outcome = Outcome::default();
    let prepared = stage.tried("prepare".to_owned(), |_| prepare(&peers));
    outcome.steps.extend(Some(prepared).filter(|step| step.problem.is_some()));
    for peer in peers {
        let what = format!("{}: {}", peer.name, shown(peer.run.iter()));
        stage.next(&mut outcome, what, |stage| stage.start_peer(&peer));
    }
    for step in steps {
        let what = stage.describe(&step);
        stage.next(&mut outcome, what, |stage| stage.step(&step));
    }
    if outcome.holds() {
        let end = stage.tried("end".to_owned(), Stage::nobody_has_ended);
        outcome.steps.extend(Some(end).filter(|end| end.problem.is_some()));
    }
    stage.end();
    let record = stage.processes.finish();
    let seen = record.and_then(|record| {
        Seen::of(&record).ok_or_else(|| "it looked for more files than can be told".to_owned())
    });
    match seen {
        Ok(seen) => outcome.seen = Some(seen),
        Err(why) => outcome.unwatched = Some(why),
    }
    Ok(outcome)
}

/// Brings the check's files, and the roots of its peers.
fn prepare(peers: &[PeerScript]) -> Result<(), Failed> {
    let given = [(path("given/files"), PathBuf::from("/"))]
        .into_iter()
        .chain(peers.iter().map(|peer| (path("given/peers").join(&peer.name), root(peer))));
    for (from, to) in given {
        given::copy(&from, &to).map_err(|error| Problem::NotBegun { why: error.to_string() })?;
    }
    Ok(())
}

fn path(below: &str) -> PathBuf {
    Path::new(OURS).join(below)
}

fn root(peer: &PeerScript) -> PathBuf {
    path("peers").join(&peer.name)
}

/// A command on one line, as a shell would take it.
fn shown<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let plain = |word: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || "_-+=./:,@%".contains(c);
        !word.is_empty() && word.chars().all(good)
    };
    let words: Vec<String> =
        words.map(|word| if plain(word) { word.to_owned() } else { format!("{word:?}") }).collect();
    words.join(" ")
}

/// All that is on while a check runs.
#[derive(Debug)]
struct Stage {
    env: Vec<String>,
    command: Vec<String>,
    user: Option<UserName>,
    stop_signal: StopSignal,
    clock: Clock,
    processes: Processes,
    servers: BTreeMap<Label, Child>,
    peers: Vec<(String, Child)>,
}

/// A problem, and what its own program printed.
struct Failed {
    problem: Problem,
    logs: Vec<Log>,
}

impl Failed {
    fn alone(problem: Problem) -> Self {
        Self { problem, logs: Vec::new() }
    }

    fn of(child: &Child) -> impl FnOnce(Problem) -> Self {
        let logs = [("standard output", &child.stdout), ("standard error", &child.stderr)];
        let logs = logs.into_iter().filter_map(|(of, stream)| stream.log(of.to_owned()));
        let mut logs: Vec<Log> = logs.collect();
        move |problem| {
            // It quotes what was printed from where it matters.
            if matches!(problem, Problem::Differs { .. }) {
                logs.retain(|log| log.of != "standard output");
            }
            Self { problem, logs }
        }
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::alone(problem)
    }
}

impl Stage {
    /// Tries what comes next, unless something has failed before.
    fn next(
        &mut self,
        outcome: &mut Outcome,
        what: String,
        act: impl FnOnce(&mut Self) -> Result<(), Failed>,
    ) {
        if outcome.holds() {
            outcome.steps.push(self.tried(what, act));
        } else {
            outcome.untried += 1;
        }
    }

    fn tried(&mut self, what: String, act: impl FnOnce(&mut Self) -> Result<(), Failed>) -> Tried {
        let started = Instant::now();
        let result = act(self);
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Err(Failed { problem, mut logs }) = result else {
            return Tried { what, millis, problem: None, logs: Vec::new() };
        };
        // Whatever a server has to say about it is in its log.
        let servers = self.servers.iter().map(|(name, child)| (name.as_str(), child));
        let peers = self.peers.iter().map(|(name, child)| (name.as_str(), child));
        for (name, child) in servers.chain(peers) {
            logs.extend(child.stdout.log(format!("standard output of {name}")));
            logs.extend(child.stderr.log(format!("standard error of {name}")));
        }
        Tried { what, millis, problem: Some(problem), logs }
    }

    /// A step on one line.
    fn describe(&self, step: &Step) -> String {
        match &step.action {
            Action::Run(run) => {
                let command = match &run.command {
                    Some(words) => shown(words.iter()),
                    None => shown(self.command.iter().map(String::as_str)),
                };
                run.name.as_ref().map_or(command.clone(), |name| format!("{name}: {command}"))
            }
            Action::Speak(speech) => format!("speak to port {}", speech.port.number()),
            Action::Stop { server, signal: None } => format!("stop {server}"),
            Action::Stop { server, signal: Some(signal) } => format!("send {signal} to {server}"),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), Failed> {
        match &step.action {
            Action::Run(run) => self.run(run),
            Action::Speak(speech) => self.speak(speech),
            Action::Stop { server, signal } => self.stop(server, signal.as_ref()),
        }
    }

    /// Waits until there is an answer; `None` when the time is over.
    fn wait<T>(
        &mut self,
        pause: Duration,
        mut ask: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<T> {
        loop {
            if let Some(answer) = ask(self) {
                return Some(answer);
            }
            if self.clock.is_over() {
                return None;
            }
            self.processes.go_on(pause);
        }
    }

    /// In a thread of its own, as the server goes on only while it is watched.
    fn speak(&mut self, speech: &Speech) -> Result<(), Failed> {
        let (speech, clock) = (speech.clone(), self.clock.clone());
        let thread = std::thread::spawn(move || speech::speak(&speech, &clock));
        while !thread.is_finished() {
            self.processes.go_on(MOMENT);
        }
        let lost = || Problem::NotBegun { why: "the thread that speaks has ended".to_owned() };
        Ok(thread.join().unwrap_or_else(|_| Err(lost()))?)
    }

    fn run(&mut self, run: &Run) -> Result<(), Failed> {
        let account = accounts::account(run.user.as_ref().or(self.user.as_ref()))
            .map_err(|why| Problem::NotBegun { why: why.to_string() })?;
        let words: Vec<String> = match &run.command {
            Some(words) => words.iter().map(str::to_owned).collect(),
            None => self.command.clone(),
        };
        let mut env = variables(&account.home, &self.env);
        let own = run.env.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        env.extend(own);
        let start = Start { words, env, account, root: None, stdin: run.stdin.clone() };
        let child = self.start(start)?;
        if let Some(expected) = &run.expected {
            let time = || Failed::of(&child)(Problem::Time { waiting: Waiting::End });
            let ended = self.wait(PAUSE, |stage| stage.processes.ended(&child)).ok_or_else(time)?;
            let (stdout, stderr) = (child.stdout.all(), child.stderr.all());
            compare::compare(expected, ended, stdout.as_deref(), stderr.as_deref())
                .map_err(|problem| Failed::of(&child)(problem))?;
            return self.ready(run.port, None).map_err(Failed::of(&child));
        }
        let Some(name) = &run.name else { return Ok(()) };
        self.servers.insert(name.clone(), child.clone());
        Ok(self.ready(run.port, Some((name.as_str(), &child)))?)
    }

    fn start(&mut self, start: Start) -> Result<Child, Problem> {
        if start.words.is_empty() {
            let why = "the image has neither an entrypoint nor a command".to_owned();
            return Err(Problem::NotBegun { why });
        }
        self.processes.start(start).map_err(|why| Problem::NotBegun { why })
    }

    /// Waits until somebody accepts connections, while the server lives.
    fn ready(
        &mut self,
        port: Option<TcpPort>,
        server: Option<(&str, &Child)>,
    ) -> Result<(), Problem> {
        let Some(port) = port else { return Ok(()) };
        let answer = self.wait(MOMENT, |stage| {
            let ended = server.and_then(|(name, child)| {
                let status = stage.processes.ended(child)?;
                Some(Problem::Ended { server: name.to_owned(), status })
            });
            match ended {
                Some(problem) => Some(Err(problem)),
                None => speech::is_open(port).then_some(Ok(())),
            }
        });
        let waiting = Waiting::Port(port.number());
        answer.unwrap_or(Err(Problem::Time { waiting }))
    }

    fn start_peer(&mut self, peer: &PeerScript) -> Result<(), Failed> {
        let start = Start {
            words: peer.run.iter().map(str::to_owned).collect(),
            env: variables("/root", &peer.env),
            account: accounts::root(),
            root: Some(root(peer)),
            stdin: String::new(),
        };
        let child = self.start(start)?;
        self.peers.push((peer.name.clone(), child.clone()));
        Ok(self.ready(peer.port, Some((&peer.name, &child)))?)
    }

    fn stop(&mut self, name: &Label, signal: Option<&StopSignal>) -> Result<(), Failed> {
        // The recipe was checked: there is one of that name.
        let Some(child) = self.servers.get(name).cloned() else { return Ok(()) };
        if let Some(status) = self.processes.ended(&child) {
            return Err(Problem::Ended { server: name.to_string(), status }.into());
        }
        let number = number(signal.unwrap_or(&self.stop_signal))?;
        self.processes.send(&child, number);
        if signal.is_some() {
            return Ok(());
        }
        let time = || Problem::Time { waiting: Waiting::End };
        let status = self.wait(PAUSE, |stage| stage.processes.ended(&child)).ok_or_else(time)?;
        // Its logs are among the servers' for as long as it is one.
        if status != 0 && i32::from(status) != 128 + number as i32 {
            return Err(Problem::Stopped { status }.into());
        }
        self.servers.remove(name);
        Ok(())
    }

    /// A server that ended although nobody stopped it has failed, even if every step went well.
    fn nobody_has_ended(&mut self) -> Result<(), Failed> {
        for (name, child) in &self.servers {
            if let Some(status) = self.processes.ended(child) {
                return Err(Problem::Ended { server: name.to_string(), status }.into());
            }
        }
        Ok(())
    }

    /// Asks the servers to end, and then ends all.
    fn end(&mut self) {
        for child in self.servers.values() {
            // To whom has ended already, nothing is sent; who does not listen is killed below.
            if let Ok(signal) = number(&self.stop_signal) {
                self.processes.send(child, signal);
            }
        }
        self.clock = self.clock.at_most(GRACE);
        self.wait(PAUSE, |stage| {
            let mut left = stage.servers.values();
            left.all(|child| stage.processes.ended(child).is_some()).then_some(())
        });
    }
}

fn number(signal: &StopSignal) -> Result<Signal, Problem> {
    signal.number().and_then(|number| Signal::try_from(number).ok()).ok_or_else(|| {
        // Nothing in safe Rust can send one.
        Problem::NotBegun { why: format!("a check cannot send the real-time signal {signal}") }
    })
}

/// As a launcher sets them: `PATH` and `HOME` where there are none.
fn variables(home: &str, given: &[String]) -> BTreeMap<String, String> {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut all: BTreeMap<String, String> =
        [("PATH", DEFAULT_PATH), ("HOME", home)].map(pair).into();
    all.extend(given.iter().filter_map(|entry| entry.split_once('=')).map(pair));
    all
}
