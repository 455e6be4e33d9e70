//! The real loader as the oracle: what it would open for a program, and what the resolver says, as the
//! same value.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use builder::resolve::{Closure, Relation};

use crate::chroot::inside;

/// Names asked for and the paths that were opened for them; names that no place had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Name to path, both as the loader prints them.
    pub found: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it calls `not found`.
    pub missing: BTreeSet<Vec<u8>>,
    /// Whether it stopped at a file that it could not load.
    pub fatal: bool,
}

/// What a loader says that relocates everything and runs nothing (`ldd -r`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing defines a symbol.
    Undefined {
        /// The symbol.
        symbol: String,
        /// Its version, or nothing.
        version: String,
        /// Who needs it.
        object: String,
    },
    /// The object of the needed version does not define a symbol.
    NotInFile {
        /// The symbol.
        symbol: String,
        /// Its version.
        version: String,
        /// Who needs it.
        object: String,
    },
    /// An object does not define a version.
    Version {
        /// The object.
        provider: String,
        /// The version.
        version: String,
        /// Who needs it.
        object: String,
    },
    /// As before, and nobody minds.
    WeakVersion {
        /// The object.
        provider: String,
        /// The version.
        version: String,
        /// Who would use it.
        object: String,
    },
    /// An object has no versions at all.
    NoVersions {
        /// The object.
        provider: String,
        /// Who needs some.
        object: String,
    },
    /// The loader gives up in the middle.
    Stops,
}

/// A loader in a root.
#[derive(Debug, Clone, Copy)]
pub struct Loader<'a> {
    /// `/`, or a folder that becomes the root of the loader (as root only).
    pub root: &'a Path,
    /// The loader's path in that root.
    pub path: &'a str,
    /// `--library-path`.
    pub library_path: Option<&'a str>,
    /// `--preload`.
    pub preload: Option<&'a str>,
    /// `--glibc-hwcaps-prepend`: levels that a processor above the baseline has, best first.
    pub levels: Option<&'a str>,
    /// The user who asks, if it is not the one who runs the test.
    pub user: Option<u32>,
    /// A program of the root that runs the loader: qemu, for the loader of another machine.
    pub runner: Option<&'a str>,
}

/// What hides from glibc all that this machine's processor can do above the baseline (SSE2 is above that of i386).
pub const BASELINE: &str = "glibc.cpu.hwcaps=-SSE3,-SSSE3,-SSE4_1,-SSE4_2,-POPCNT,-CMPXCHG16B,-AVX,-AVX2,\
                        -BMI1,-BMI2,-F16C,-FMA,-LZCNT,-MOVBE,-AVX512F,-AVX512BW,-AVX512CD,-AVX512DQ,\
                        -AVX512VL,-AVX512ER,-AVX512PF,-SSE2";

impl<'a> Loader<'a> {
    /// The loader at `path` in `root`.
    pub fn new(root: &'a Path, path: &'a str) -> Self {
        Self {
            root,
            path,
            library_path: None,
            preload: None,
            levels: None,
            user: None,
            runner: None,
        }
    }

    /// What this loader would open for a program of its root, on a baseline processor. The program is
    /// not run.
    ///
    /// The loader itself and the vDSO are left out: the first answers by its own name, the second
    /// has no file.
    ///
    /// # Panics
    /// When the loader cannot be started.
    pub fn list(self, program: &OsStr) -> Answer {
        let [answer] = self.list_all(&[program]).try_into().expect("one answer for one program");
        answer
    }

    /// The same for many programs, one after the other.
    ///
    /// # Panics
    /// When the loader cannot be started.
    pub fn list_all<P: AsRef<OsStr> + Sync>(self, programs: &[P]) -> Vec<Answer> {
        let ask = |program: &P| {
            let mut answer = answer(&output(self.command().arg(program)));
            // Under whatever name it stands.
            answer.found.retain(|_, path| path != self.path.as_bytes());
            answer
        };
        let all = || programs.iter().map(ask).collect();
        if self.root == Path::new("/") { all() } else { inside(self.root, all) }
    }

    /// What this loader has to say against a program of its root when it relocates all of it. The program
    /// is not run.
    ///
    /// # Panics
    /// When the loader cannot be started, or says what is not understood.
    pub fn faults(self, program: &OsStr) -> BTreeSet<Fault> {
        // What `ldd -r` sets besides.
        let environment = [("LD_WARN", "yes"), ("LD_BIND_NOW", "yes"), ("LD_VERBOSE", "")];
        let ask = || output(self.command().envs(environment).arg(program));
        let output = if self.root == Path::new("/") { ask() } else { inside(self.root, ask) };
        faults(&output, program)
    }

    fn command(self) -> Command {
        let mut command = Command::new(self.runner.unwrap_or(self.path));
        if self.runner.is_some() {
            command.arg(self.path);
        }
        command.env_remove("LD_LIBRARY_PATH").env_remove("LD_PRELOAD");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        // Closed input would be `/dev/null`, which such a root does not have.
        command.stdin(Stdio::inherit());
        if self.path.contains("musl") {
            command.arg("--list");
        } else {
            // `--list` stops at the first missing object (2.36); tracing goes on.
            command.env("LD_TRACE_LOADED_OBJECTS", "1");
            command.env("GLIBC_TUNABLES", BASELINE);
        }
        if let Some(list) = self.levels {
            command.args(["--glibc-hwcaps-prepend", list]);
        }
        if let Some(list) = self.library_path {
            command.args(["--library-path", list]);
        }
        if let Some(name) = self.preload {
            command.args(["--preload", name]);
        }
        command
    }
}

fn output(command: &mut Command) -> Output {
    loop {
        match command.output() {
            // Another test's child was forked while the loader was copied, and holds it open until it
            // becomes another program.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(2));
            }
            output => break output.expect("the loader starts"),
        }
    }
}

impl Answer {
    /// What the resolver says of its first program, in the loader's words.
    pub fn of(closure: &Closure) -> Self {
        if !closure.refused.is_empty() {
            return Self { fatal: true, ..Self::default() };
        }
        let loads = &closure.programs[0].loads;
        // Auditors come last, and are not listed: they are not in the program's namespace.
        let found = loads[1..]
            .iter()
            .take_while(|load| load.relation != Relation::Audit)
            .filter(|load| load.relation != Relation::Interpreter)
            .map(|load| (load.name.as_bytes().to_vec(), load.opened.as_bytes().to_vec()))
            .collect();
        // Tracing names auxiliary objects that do not exist; to start without them is no failure.
        let missing = loads
            .iter()
            .flat_map(|load| &load.dependencies)
            .filter(|asked| asked.relation == Relation::Auxiliary && asked.load.is_none())
            .map(|asked| &asked.name)
            .chain(closure.missing.iter().map(|missing| &missing.name))
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Self { found, missing, fatal: false }
    }

    /// What `other` does not say too.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let found = self.found.iter().filter(|&(name, path)| other.found.get(name) != Some(path));
        Self {
            found: found.map(|(name, path)| (name.clone(), path.clone())).collect(),
            missing: self.missing.difference(&other.missing).cloned().collect(),
            fatal: self.fatal,
        }
    }
}

fn answer(output: &Output) -> Answer {
    let mut answer = parse(&output.stdout);
    for line in output.stderr.split(|&byte| byte == b'\n') {
        // musl reports on standard error, and goes on.
        if let Some(rest) = line.strip_prefix(b"Error loading shared library ") {
            let absent = [
                &b": No such file or directory"[..],
                b": No error information",
                b": Permission denied",
                b": Symbolic link loop",
                b": Filename too long",
            ]
            .iter()
            .find_map(|text| position(rest, text));
            match absent {
                Some(end) => drop(answer.missing.insert(rest[..end].to_vec())),
                None => answer.fatal = true,
            }
        }
        answer.fatal |= position(line, b"error while loading shared libraries").is_some();
    }
    if answer.fatal {
        return Answer { fatal: true, ..Answer::default() };
    }
    answer
}

/// Reads what both loaders print about symbols and versions.
fn faults(output: &Output, program: &OsStr) -> BTreeSet<Fault> {
    let text = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8_lossy(&output.stdout);
    let program = program.to_string_lossy();
    assert!(output.status.code().is_some(), "{program}: the loader ended with {}", output.status);
    text.lines().chain(out.lines()).filter_map(|line| fault(line.trim(), &program)).collect()
}

fn fault(line: &str, program: &str) -> Option<Fault> {
    let text = str::to_owned;
    let object = |line: &str| match line.rsplit_once("\t(").or_else(|| line.rsplit_once(" (")) {
        Some((_, object)) if object != ")" => text(object.trim_end_matches(')')),
        _ => text(program),
    };
    if line.contains("Inconsistency detected by ld.so") {
        return Some(Fault::Stops);
    }
    // musl.
    if let Some(rest) = line.strip_prefix("Error relocating ") {
        let (object, rest) = rest.split_once(": ").expect("an object");
        let symbol = rest.strip_suffix(": symbol not found").expect("what musl says");
        let (symbol, version, object) = (text(symbol), String::new(), text(object));
        return Some(Fault::Undefined { symbol, version, object });
    }
    if let Some(rest) = line.strip_prefix("undefined symbol: ") {
        let (what, _) = rest.split_once("\t(").expect("an object in parentheses");
        let (symbol, version) = what.split_once(", version ").unwrap_or((what, ""));
        let (symbol, version) = (text(symbol), text(version));
        return Some(Fault::Undefined { symbol, version, object: object(line) });
    }
    if let Some((what, _)) = line.split_once(" not defined in file ") {
        let (symbol, version) = what.strip_prefix("symbol ")?.split_once(" version ")?;
        let (symbol, version) = (text(symbol), text(version));
        return Some(Fault::NotInFile { symbol, version, object: object(line) });
    }
    let (before, by) = line.split_once(" (required by ")?;
    let object = text(by.trim_end_matches(')'));
    let mut parts = before.splitn(3, ": ").skip(1);
    let (provider, what) = (text(parts.next()?), parts.next()?);
    let version = || text(what.split(['`', '\'']).nth(1).expect("a version in quotes"));
    Some(match what {
        "no version information available" => Fault::NoVersions { provider, object },
        _ if what.starts_with("weak version") => {
            Fault::WeakVersion { provider, version: version(), object }
        }
        _ => Fault::Version { provider, version: version(), object },
    })
}

/// Reads lines `\tNAME => PATH (0xADDRESS)`, `\tNAME => not found` and `\tPATH (0xADDRESS)`.
pub fn parse(text: &[u8]) -> Answer {
    let mut answer = Answer::default();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_prefix(b"\t").unwrap_or(line);
        let (name, rest) = match position(line, b" => ") {
            Some(at) => (&line[..at], &line[at + 4..]),
            None => (without_address(line), line),
        };
        if name.is_empty() || is_vdso(name) || is_loader(name) {
            continue;
        }
        if is_loader(without_address(rest)) {
            continue;
        }
        if rest == b"not found" {
            answer.missing.insert(name.to_vec());
        } else if position(rest, b" (0x").is_some() {
            answer.found.insert(name.to_vec(), without_address(rest).to_vec());
        }
    }
    answer
}

/// `linux-gate` on i386.
fn is_vdso(name: &[u8]) -> bool {
    name.starts_with(b"linux-vdso.so") || name.starts_with(b"linux-gate.so")
}

fn is_loader(name: &[u8]) -> bool {
    let base = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
    base.starts_with(b"ld-linux") || base.starts_with(b"ld-musl")
}

fn without_address(text: &[u8]) -> &[u8] {
    position(text, b" (0x").map_or(text, |at| &text[..at])
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, path) in &self.found {
            let (name, path) = (OsStr::from_bytes(name), OsStr::from_bytes(path));
            write!(f, "{}={} ", name.display(), path.display())?;
        }
        if self.fatal {
            f.write_str("stopped")?;
        }
        for name in &self.missing {
            write!(f, "{}=? ", OsStr::from_bytes(name).display())?;
        }
        Ok(())
    }
}
