//! `/etc/ld.so.conf`, as ldconfig reads it. Never part of a search: the loader does not know the file.
//!
//! ```text
//! # comment                       up to the end of the line, wherever it stands
//! include PATTERN...              other files, by glob(7)
//! hwcap ...                       of no effect
//! FOLDER                          its libraries go into the cache
//! FOLDER=libc6                    the same; the type is history
//! ```
//! It explains a missing library: one that lies in a folder of these is missing because the cache is
//! older than the library, or not there. Knowledge: glibc `elf/ldconfig.c` (`parse_conf`,
//! `parse_conf_include`, `add_dir_1`).

use std::collections::HashSet;
use std::io::Read as _;

use super::sysroot::{FileId, Sysroot, Target};
use crate::elf::Name;
use crate::spec::glob::{Component, Glob, Token};

/// The file.
const FILE: &[u8] = b"/etc/ld.so.conf";
/// Files are read up to this many bytes, as many of them.
const MAX_SIZE: u64 = 1 << 20;
const MAX_FILES: usize = 256;
/// More folders than anybody lists.
const MAX_FOLDERS: usize = 512;
/// Folders that are listed for all patterns.
const MAX_LISTED: usize = 1024;

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A folder of libraries, without trailing slashes.
    Folder(Name),
    /// A pattern of files to read at this place. One that is relative starts at the folder of its file.
    Include(Vec<u8>),
}

/// Reads one file. Nothing in it is an error.
pub fn parse(text: &[u8]) -> Vec<Line> {
    text.split(|&byte| byte == b'\n').flat_map(line).collect()
}

fn line(line: &[u8]) -> Vec<Line> {
    // A line is a C string, and knows no quoting.
    let end = line.iter().position(|byte| b"#\0".contains(byte)).unwrap_or(line.len());
    let start = line[..end].iter().position(|&byte| !space(byte)).unwrap_or(end);
    let line = &line[start..end];
    if let Some(patterns) = directive(line, b"include", <[u8]>::eq) {
        let patterns = patterns.split(|&byte| blank(byte)).filter(|pattern| !pattern.is_empty());
        return patterns.map(|pattern| Line::Include(pattern.to_vec())).collect();
    }
    if directive(line, b"hwcap", <[u8]>::eq_ignore_ascii_case).is_some() {
        return Vec::new();
    }
    let folder = line.split(|&byte| byte == b'=').next().unwrap_or_default();
    let end = folder.iter().rposition(|&byte| !space(byte)).map_or(0, |at| at + 1);
    // The root itself is left with nothing, and ignored.
    let end = folder[..end].iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1);
    if end == 0 { Vec::new() } else { vec![Line::Folder(folder[..end].into())] }
}

/// What follows a word and a blank.
fn directive<'a>(
    line: &'a [u8],
    word: &[u8],
    same: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(word.len())?;
    let (first, rest) = rest.split_first()?;
    (same(start, word) && blank(*first)).then_some(rest)
}

/// Every folder that the root's configuration names, those of included files at their places, each
/// once. A file that includes itself is read once.
pub fn folders(sysroot: &Sysroot) -> Vec<Name> {
    let mut reading = Reading { sysroot, files: HashSet::new(), left: MAX_LISTED };
    let mut known = HashSet::new();
    let mut folders = Vec::new();
    let mut steps = vec![Step::File(FILE.to_vec())];
    while let Some(step) = steps.pop() {
        match step {
            Step::File(path) => {
                let folder = parent(&path).to_vec();
                let lines = parse(&reading.file(&path).unwrap_or_default());
                steps.extend(lines.into_iter().rev().map(|line| Step::Line(folder.clone(), line)));
            }
            Step::Line(folder, Line::Include(pattern)) => {
                let start = if pattern.starts_with(b"/") { b"" } else { folder.as_slice() };
                let found = reading.matching(&[start, b"/", &pattern].concat());
                steps.extend(found.into_iter().rev().map(Step::File));
            }
            Step::Line(_, Line::Folder(folder)) => {
                if folders.len() < MAX_FOLDERS && known.insert(folder.clone()) {
                    folders.push(folder);
                }
            }
        }
    }
    folders
}

enum Step {
    File(Vec<u8>),
    /// The folder of its file, and the line.
    Line(Vec<u8>, Line),
}

struct Reading<'s> {
    sysroot: &'s Sysroot,
    /// Those that were read.
    files: HashSet<FileId>,
    /// Folders that may still be listed: links make their number exponential in a pattern's length.
    left: usize,
}

impl Reading<'_> {
    /// A file's contents, the first time.
    fn file(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let (walk, Target::File(id)) = self.sysroot.lookup(path).ok()? else { return None };
        if self.files.len() == MAX_FILES || !self.files.insert(id) {
            return None;
        }
        let mut text = Vec::new();
        let file = self.sysroot.open_file(&walk.real).ok()?;
        file.take(MAX_SIZE).read_to_end(&mut text).ok()?;
        Some(text)
    }

    /// Paths that a pattern may mean, in order. Whether the last component exists shows when it is
    /// opened.
    fn matching(&mut self, pattern: &[u8]) -> Vec<Vec<u8>> {
        let mut paths = vec![Vec::new()];
        for part in pattern.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
            let component = component(part);
            let mut longer = Vec::new();
            for path in paths {
                match &component {
                    Component::Literal(name) => longer.push(child(&path, name)),
                    pattern if self.left > 0 => {
                        self.left -= 1;
                        let at = if path.is_empty() { b"/" } else { path.as_slice() };
                        let names = self.sysroot.root().read_dir(at).unwrap_or_default();
                        let shown = |name: &&Vec<u8>| part[0] == b'.' || name[0] != b'.';
                        let fits = names.iter().filter(shown).filter(|name| pattern.matches(name));
                        longer.extend(fits.map(|name| child(&path, name)));
                    }
                    _ => {}
                }
            }
            longer.truncate(MAX_FILES);
            paths = longer;
        }
        paths
    }
}

/// A pattern's component, by the shell's rules: no `**`, and a `[` without its `]` stands for itself.
fn component(part: &[u8]) -> Component {
    let literal = || Component::Literal(part.to_vec());
    if part.iter().all(|&byte| byte == b'*') {
        return Component::Pattern(vec![Token::Many]);
    }
    Glob::parse(part)
        .ok()
        .and_then(|glob| glob.components().first().cloned())
        .unwrap_or_else(literal)
}

fn child(path: &[u8], name: &[u8]) -> Vec<u8> {
    [path, b"/", name].concat()
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(b"", |slash| &path[..slash])
}

/// `isblank(3)`.
fn blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `isspace(3)`: Rust's white space has no vertical tab.
fn space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_ldconfig_reads_them() {
        let folder = |name: &str| Line::Folder(name.into());
        let include = |pattern: &str| Line::Include(pattern.into());
        for (text, lines) in [
            ("", vec![]),
            ("/opt/lib", vec![folder("/opt/lib")]),
            ("/a\n\n/b\n", vec![folder("/a"), folder("/b")]),
            (" \t\x0b/a/ /b// \r\n", vec![folder("/a/ /b")]),
            ("/a # all of it\n#/b", vec![folder("/a")]),
            ("/a=libc6\n/b =x=y", vec![folder("/a"), folder("/b")]),
            ("/\n///\n=libc6", vec![]),
            ("/a\0/b\n/c", vec![folder("/a"), folder("/c")]),
            ("include /etc/a.conf \t *.conf", vec![include("/etc/a.conf"), include("*.conf")]),
            ("include", vec![folder("include")]),
            ("include\t\n", vec![]),
            ("Include /a", vec![folder("Include /a")]),
            ("hwcap 1 nosegneg\nHWCAP 2\nhwcap", vec![folder("hwcap")]),
        ] {
            assert_eq!(parse(text.as_bytes()), lines, "{text:?}");
        }
    }
}
