//! What each tool says of a file, read from what it prints.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use tests::loader;

/// An answer, in what all tools can say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) files: BTreeSet<PathBuf>,
    pub(crate) missing: BTreeSet<OsString>,
}

pub(crate) fn said(answer: loader::Answer) -> Said {
    let mut said = Said::default();
    for path in answer.found.into_values() {
        said.file(&path);
    }
    for name in answer.missing {
        said.missing.insert(OsStr::from_bytes(&name).to_owned());
    }
    said
}

impl Said {
    /// The loader itself is left out, as not every tool names it; and folders.
    fn file(&mut self, path: &[u8]) {
        let path = Path::new(OsStr::from_bytes(path));
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = real.file_name().unwrap_or_default().as_bytes();
        if !name.starts_with(b"ld-linux-") && !real.is_dir() {
            self.files.insert(real);
        }
    }
}

pub(crate) fn of_loader(output: &Output) -> Said {
    said(loader::parse(&output.stdout))
}

/// Paths, of links too; what is missing is told on standard error.
pub(crate) fn of_closure(output: &Output) -> Said {
    let mut said = Said::default();
    for line in output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        said.file(line);
    }
    for line in output.stderr.split(|&byte| byte == b'\n') {
        let rest = line.strip_prefix(b"error: `").unwrap_or_default();
        if let Some((name, _)) = split(rest, b"` is missing") {
            said.missing.insert(OsStr::from_bytes(name).to_owned());
        }
    }
    said
}

/// Lines `NAME => PATH -> TARGET (HOW)`, `NAME => missing` and `NAME (loaded already)`, behind a drawing.
pub(crate) fn of_tree(output: &Output) -> Said {
    let mut said = Said::default();
    for line in output.stdout.split(|&byte| byte == b'\n') {
        match split(without_drawing(line), b" => ") {
            Some((name, b"missing")) => {
                said.missing.insert(OsStr::from_bytes(name).to_owned());
            }
            Some((_, path)) => {
                let path = split(path, b" (").map_or(path, |(path, _)| path);
                said.file(split(path, b" -> ").map_or(path, |(path, _)| path));
            }
            None => {}
        }
    }
    said
}

/// Lines `PATH [HOW]` and `NAME not found`, behind a drawing of branches.
pub(crate) fn of_libtree(output: &Output) -> Said {
    let mut said = Said::default();
    for line in output.stdout.split(|&byte| byte == b'\n').skip(1) {
        let entry = without_drawing(line);
        // A dotted branch leads to what was tried.
        if split(line, "┊".as_bytes()).is_some() {
            continue;
        }
        if let Some(name) = entry.strip_suffix(b" not found") {
            said.missing.insert(OsStr::from_bytes(name).to_owned());
        } else if !entry.is_empty() {
            said.file(until_last(entry, b" ["));
        }
    }
    said
}

/// Lines `NAME => PATH` and `NAME => None`.
pub(crate) fn of_lddtree(output: &Output) -> Said {
    let mut said = Said::default();
    for line in output.stdout.split(|&byte| byte == b'\n').skip(1) {
        match split(line.trim_ascii(), b" => ") {
            Some((name, b"None")) => {
                said.missing.insert(OsStr::from_bytes(name).to_owned());
            }
            Some((_, path)) => said.file(path),
            None => {}
        }
    }
    said
}

/// What stands behind the branches of a tree.
fn without_drawing(line: &[u8]) -> &[u8] {
    let start = line.iter().position(u8::is_ascii_graphic).unwrap_or(line.len());
    &line[start..]
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let found = text.windows(at.len()).position(|window| window == at)?;
    Some((&text[..found], &text[found + at.len()..]))
}

fn until_last<'a>(text: &'a [u8], end: &[u8]) -> &'a [u8] {
    text.windows(end.len()).rposition(|window| window == end).map_or(text, |at| &text[..at])
}
