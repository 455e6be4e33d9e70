//! The real loader as the oracle: what `ld.so --list` says, as a value.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

/// Names asked for and the paths that were opened for them; names that no place had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Name to path, both as the loader prints them.
    pub found: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it calls `not found`.
    pub missing: BTreeSet<Vec<u8>>,
}

/// Runs the loader (or a command that ends in one, such as `chroot ROOT /lib/ld.so`) on a program.
///
/// The loader itself and the vDSO are left out: the first answers by its own name, the second has
/// no file.
///
/// # Panics
/// When the loader cannot be started.
pub fn list(mut loader: Command, program: &OsStr) -> Answer {
    let output = loader
        .arg("--list")
        .arg(program)
        .env_remove("LD_LIBRARY_PATH")
        .env_remove("LD_PRELOAD")
        .output()
        .expect("the loader starts");
    parse(&output.stdout)
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
        for name in &self.missing {
            write!(f, "{}=? ", OsStr::from_bytes(name).display())?;
        }
        Ok(())
    }
}
