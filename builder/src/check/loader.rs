//! What a loader says that it would open, as a value; and when it may be asked without a jail.
//!
//! Decides how the loader is asked and how its answer is read. glibc's is traced
//! (`LD_TRACE_LOADED_OBJECTS`, `ld.so(8)`): `--list` would stop at the first missing object (2.36).
//! musl's has `--list` only. Neither runs the program; but the loader itself runs, so that one of a
//! foreign root is asked in a [jail](super::jail) or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::tree::ImagePath;
use rustix::fs::FileType;

use crate::elf::Name;
use crate::resolve::hwcaps::BASELINE;
use crate::resolve::{Closure, Libc, Options, Program, Relation, Sysroot, system_dirs};

/// Loaders answer in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is said of a loader that does not answer in time; the time follows.
pub(super) const NO_ANSWER: &str = "it gave no answer in";
/// Bytes of an answer that are read: some ten thousand libraries.
const MOST: u64 = 4 << 20;

/// A question to a loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Whose loader it is.
    pub libc: Libc,
    /// The loader, by its path in the root.
    pub loader: Name,
    /// The program, by its real path in the root: 2.36 takes `$ORIGIN` from a link here.
    pub program: ImagePath,
    /// `--library-path`.
    pub library_path: Option<Name>,
    /// `--preload`.
    pub preload: Vec<Name>,
}

/// What a loader said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Names and the paths that were opened for them; the loader itself and the vDSO are left out.
    pub found: BTreeMap<Name, Name>,
    /// Names that no place had.
    pub missing: BTreeSet<Name>,
    /// Why it gave up.
    pub fatal: Option<Name>,
}

impl Question {
    /// The question about a program on a baseline processor, if it has a loader. Modules are opened by
    /// programs: no loader can be asked for them without running those.
    pub fn about(closure: &Closure, program: &Program, options: &Options) -> Option<Self> {
        let interpreter =
            program.loads.iter().find(|load| load.relation == Relation::Interpreter)?;
        let real = closure.objects.get(program.loads.first()?.object)?;
        let asks = program.context.is_none() && program.libc != Libc::Static;
        (asks && program.processor.is_baseline()).then(|| Self {
            libc: program.libc,
            loader: interpreter.opened.clone(),
            program: real.path.clone(),
            library_path: options.library_path.clone(),
            preload: options.preload.clone(),
        })
    }

    /// The command that asks, in whatever root it is started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(OsStr::from_bytes(self.loader.as_bytes()));
        command.env_clear();
        if self.libc == Libc::Musl {
            command.arg("--list");
        } else {
            command.env("LD_TRACE_LOADED_OBJECTS", "1").env("GLIBC_TUNABLES", BASELINE);
        }
        if let Some(list) = &self.library_path {
            command.arg("--library-path").arg(OsStr::from_bytes(list.as_bytes()));
        }
        if !self.preload.is_empty() {
            let names: Vec<&[u8]> = self.preload.iter().map(Name::as_bytes).collect();
            command.arg("--preload").arg(OsStr::from_bytes(&names.join(&b':')));
        }
        command.arg(self.program.as_path());
        command
    }
}

/// Whether the loader may be asked as it is: `sysroot` is the host's own root, the loader stands where
/// the host's loader does, it belongs to root, and nobody else may change it. That is what every start
/// of a program trusts.
pub fn is_trusted(closure: &Closure, program: &Program, sysroot: &Sysroot) -> Result<(), String> {
    let identity = |path: &[u8]| sysroot.root().metadata(path).map(|s| (s.st_dev, s.st_ino));
    let host = rustix::fs::stat("/").map(|status| (status.st_dev, status.st_ino));
    if identity(b"/").ok() != host.ok() {
        return Err("it is of a foreign root, and runs only when asked for".to_owned());
    }
    let loader = program.loads.iter().find(|load| load.relation == Relation::Interpreter);
    let Some(loader) = loader else { return Err("there is none".to_owned()) };
    let Some(found) = closure.objects.get(loader.object) else {
        return Err("there is none".to_owned());
    };
    let usual = system_dirs::usual_loaders(program.libc, &found.object);
    if !usual.iter().any(|path| path == loader.opened.as_bytes()) {
        return Err(format!("`{}` is no usual loader of this system", loader.opened));
    }
    let status = sysroot.root().metadata(found.path.as_bytes()).map_err(|e| e.to_string())?;
    let file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    if !file || status.st_uid != 0 || status.st_mode & 0o022 != 0 {
        return Err(format!("others than root can change `{}`", found.path));
    }
    Ok(())
}

/// Asks the loader as it is.
///
/// # Errors
/// Why it could not be asked.
pub fn ask(question: &Question) -> Result<Answer, String> {
    let mut child = start(&mut question.command())?;
    let said = listen(&mut child);
    // It has said all, or is not listened to any longer.
    let _killed = child.kill();
    let _status = child.wait();
    let (stdout, stderr) = said?;
    Ok(answer(&stdout, &stderr, question.libc))
}

/// In words that help; `ENOEXEC` says nothing to most.
pub(super) fn cannot_start(error: &io::Error) -> String {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::NOEXEC) => {
            "this machine cannot run it: it is of another architecture".to_owned()
        }
        _ => format!("it cannot be started: {error}"),
    }
}

/// Starts a command that asks.
pub(super) fn start(command: &mut Command) -> Result<Child, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|error| cannot_start(&error))
}

/// What it says on standard output and error, within the limits.
pub(super) fn listen(child: &mut Child) -> Result<(Vec<u8>, Vec<u8>), String> {
    let end = Instant::now() + PATIENCE;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let wait = |pipe: Option<Receiver<Option<Vec<u8>>>>| {
        let left = end.saturating_duration_since(Instant::now());
        match pipe.map(|pipe| pipe.recv_timeout(left)) {
            Some(Ok(Some(bytes))) => Ok(bytes),
            Some(Ok(None)) => Err(format!("it says more than {MOST} bytes")),
            Some(Err(_)) | None => Err(format!("{NO_ANSWER} {} s", PATIENCE.as_secs())),
        }
    };
    Ok((wait(stdout)?, wait(stderr)?))
}

/// Reads to the end in a thread of its own, which ends with the child at the latest.
fn collect(pipe: impl Read + Send + 'static) -> Receiver<Option<Vec<u8>>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(MOST + 1).read_to_end(&mut bytes);
        let whole = read.is_ok() && bytes.len() as u64 <= MOST;
        // Nobody listens any longer after the time is over.
        let _sent = sender.send(whole.then_some(bytes));
    });
    receiver
}

/// Reads lines `\tNAME => PATH (0xADDRESS)`, `\tNAME => not found` and `\tPATH (0xADDRESS)`; and what
/// loaders say on standard error.
pub fn answer(stdout: &[u8], stderr: &[u8], libc: Libc) -> Answer {
    let mut answer = Answer::default();
    for line in stdout.split(|&byte| byte == b'\n') {
        let line = line.strip_prefix(b"\t").unwrap_or(line);
        let (name, path) = match position(line, b" => ") {
            Some(at) => (&line[..at], &line[at + 4..]),
            None => (without_address(line).unwrap_or_default(), line),
        };
        if name.is_empty() || name.starts_with(b"linux-vdso") || name.starts_with(b"linux-gate") {
            continue;
        }
        if path == b"not found" {
            answer.missing.insert(name.into());
        } else if let Some(path) = without_address(path) {
            answer.found.insert(name.into(), path.into());
        }
    }
    for line in stderr.split(|&byte| byte == b'\n') {
        let absent = [&b": No such file or directory"[..], b": No error information"];
        if position(line, b"error while loading shared libraries").is_some() {
            answer.fatal = Some(line.into());
        } else if libc == Libc::Musl
            && let Some(rest) = line.strip_prefix(b"Error loading shared library ")
        {
            // musl goes on after it.
            match absent.iter().find_map(|text| position(rest, text)) {
                Some(end) => drop(answer.missing.insert(rest[..end].into())),
                None => answer.fatal = Some(line.into()),
            }
        }
    }
    answer
}

fn without_address(text: &[u8]) -> Option<&[u8]> {
    position(text, b" (0x").map(|at| &text[..at])
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let text = b"\tlinux-vdso.so.1 (0x1)\n\tlibz.so.1 => /lib/libz.so.1 (0x2)\n\
                     \tlibx y.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        let read = answer(text, b"", Libc::Glibc);
        let pair = |name: &str, path: &str| (Name::from(name), Name::from(path));
        let loader = "/lib64/ld-linux-x86-64.so.2";
        let found = [pair(loader, loader), pair("libz.so.1", "/lib/libz.so.1")];
        assert_eq!(read.found, BTreeMap::from(found));
        assert_eq!(read.missing, BTreeSet::from([Name::from("libx y.so")]));
        assert_eq!(read.fatal, None);
        let gone =
            b"Error loading shared library liba.so: No such file or directory (needed by /x)";
        assert_eq!(answer(b"", gone, Libc::Musl).missing, BTreeSet::from([Name::from("liba.so")]));
        let wrong = b"x: error while loading shared libraries: y: file too short";
        assert_eq!(answer(b"", wrong, Libc::Glibc).fatal, Some(Name::from(&wrong[..])));
    }
}
