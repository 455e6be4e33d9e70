//! The real loader as the oracle: what it would open for a program, as a value.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use builder::resolve::{Closure, Relation};

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
}

impl Loader<'_> {
    /// What this loader would open for a program of its root. The program is not run.
    ///
    /// The loader itself and the vDSO are left out: the first answers by its own name, the second
    /// has no file.
    ///
    /// # Panics
    /// When the loader cannot be started.
    pub fn list(self, program: &OsStr) -> Answer {
        let output = self.inside(self.command().arg(program));
        answer(&output)
    }

    /// Runs a program of the root in it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn inside(self, command: &mut Command) -> Output {
        // Closed input would be `/dev/null`, which such a root does not have.
        command.stdin(Stdio::inherit());
        std::thread::scope(|scope| {
            // A thread of its own, so that the rest of the test keeps its root. (`chroot` as a program
            // would be traced itself.)
            let thread = scope.spawn(|| {
                if self.root != Path::new("/") {
                    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS)
                        .expect("a root of its own");
                    nix::unistd::chroot(self.root).expect("the root");
                    nix::unistd::chdir("/").expect("the root");
                }
                command.output().expect("the program starts")
            });
            thread.join().expect("the thread of the other root")
        })
    }

    fn command(self) -> Command {
        let mut command = Command::new(self.path);
        command.env_remove("LD_LIBRARY_PATH").env_remove("LD_PRELOAD");
        if self.path.contains("musl") {
            command.arg("--list");
        } else {
            // `--list` stops at the first missing object (2.36); tracing goes on.
            command.env("LD_TRACE_LOADED_OBJECTS", "1");
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

impl Answer {
    /// What the resolver says of its first request, in the loader's words.
    pub fn of(closure: &Closure) -> Self {
        if !closure.refused.is_empty() {
            return Self { fatal: true, ..Self::default() };
        }
        let loads = &closure.programs[0].loads;
        let found = loads[1..].iter().filter(|load| load.relation != Relation::Interpreter);
        // Tracing names auxiliary objects that do not exist; to start without them is no failure.
        let auxiliary = loads
            .iter()
            .flat_map(|load| &load.dependencies)
            .filter(|asked| asked.relation == Relation::Auxiliary && asked.load.is_none());
        Self {
            found: found
                .map(|load| (load.name.as_bytes().to_vec(), load.opened.as_bytes().to_vec()))
                .collect(),
            missing: auxiliary
                .map(|asked| &asked.name)
                .chain(closure.missing.iter().map(|missing| &missing.name))
                .map(|name| name.as_bytes().to_vec())
                .collect(),
            fatal: false,
        }
    }
}

fn answer(output: &Output) -> Answer {
    let mut answer = parse(&output.stdout);
    for line in output.stderr.split(|&byte| byte == b'\n') {
        // musl reports on standard error, and goes on.
        if let Some(rest) = line.strip_prefix(b"Error loading shared library ") {
            let absent = [&b": No such file or directory"[..], b": No error information"]
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

/// Reads lines `\tNAME => PATH (0xADDRESS)`, `\tNAME => not found` and `\tPATH (0xADDRESS)`.
pub fn parse(text: &[u8]) -> Answer {
    let mut answer = Answer::default();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_prefix(b"\t").unwrap_or(line);
        let (name, rest) = match position(line, b" => ") {
            Some(at) => (&line[..at], &line[at + 4..]),
            None => (without_address(line), line),
        };
        if name.is_empty() || name.starts_with(b"linux-vdso") || is_loader(name) {
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
