//! What rules ask of an object's contents: symbols that it imports, strings in its read-only data.
//!
//! Decides what counts as a string. Each object is read once for each kind of question, and only when a
//! rule asks; an object that cannot be read has neither, which is for the closure to tell.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;
use memchr::memmem;
use serde::Deserialize;

use super::RuleSet;
use crate::elf::{self, Name};
use crate::resolve::{Closure, Sysroot};
use crate::spec::glob::Glob;

/// Longer strings than any path are no names.
const MAX_STRING: usize = 4096;
/// Strings of one object that are kept: those that some rule asks for.
const MAX_STRINGS: usize = 1024;

/// A string, or a pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Text {
    /// Whether it begins with a slash, which a [`Glob`] does not know.
    absolute: bool,
    glob: Glob,
}

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let glob = Glob::parse(text.as_bytes())
            .map_err(|why| format!("`{text}` is not a pattern: {why}"))?;
        Ok(Self { absolute: text.starts_with('/'), glob })
    }
}

impl Text {
    /// What each `*` stood for, if the whole string matches.
    pub fn matches(&self, string: &[u8]) -> Option<Vec<Vec<u8>>> {
        (string.starts_with(b"/") == self.absolute).then(|| self.glob.matches(string)).flatten()
    }
}

/// Contents of objects, by real path, read when they are asked for.
#[derive(Debug, Default)]
pub struct Contents {
    symbols: BTreeMap<ImagePath, BTreeSet<Name>>,
    strings: BTreeMap<ImagePath, BTreeSet<Vec<u8>>>,
    held: BTreeMap<ImagePath, BTreeSet<String>>,
    /// All that any rule asks for.
    wanted: Vec<Text>,
    /// The same of bytes.
    wanted_bytes: BTreeSet<String>,
}

impl Contents {
    /// Nothing is read yet.
    pub fn new(rules: &RuleSet) -> Self {
        let triggers = || rules.iter().flat_map(|(_, rule)| &rule.when);
        Self {
            wanted: triggers().flat_map(|when| &when.string).cloned().collect(),
            wanted_bytes: triggers().flat_map(|when| &when.holds).cloned().collect(),
            ..Self::default()
        }
    }

    /// Whether the object imports one of `symbols`.
    pub(super) fn imports(
        &mut self,
        path: &ImagePath,
        symbols: &[String],
        closure: &Closure,
        sysroot: &Sysroot,
    ) -> bool {
        if !counts(path, closure) {
            return false;
        }
        let known = self.symbols.entry(path.clone()).or_insert_with(|| {
            let file = sysroot.open_file(path).ok();
            file.and_then(|file| elf::undefined_symbols(&file).ok()).unwrap_or_default()
        });
        symbols.iter().any(|symbol| known.contains(symbol.as_bytes()))
    }

    /// Whether the object's read-only data has one of `texts` anywhere: compilers of Go and Rust put no NUL
    /// behind a string.
    pub(super) fn holds(
        &mut self,
        path: &ImagePath,
        texts: &[String],
        closure: &Closure,
        sysroot: &Sysroot,
    ) -> bool {
        if !counts(path, closure) {
            return false;
        }
        let Self { held, wanted_bytes, .. } = self;
        let held = held.entry(path.clone()).or_insert_with(|| {
            let data = read_only(path, sysroot);
            let has = |text: &&String| {
                let finder = memmem::Finder::new(text.as_bytes());
                data.iter().any(|segment| finder.find(segment).is_some())
            };
            wanted_bytes.iter().filter(has).cloned().collect()
        });
        texts.iter().any(|text| held.contains(text))
    }

    /// The object's strings that match one of `texts`, sorted, with what each `*` stood for.
    pub(super) fn strings(
        &mut self,
        path: &ImagePath,
        texts: &[Text],
        closure: &Closure,
        sysroot: &Sysroot,
    ) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
        if !counts(path, closure) {
            return Vec::new();
        }
        let Self { strings, wanted, .. } = self;
        let known =
            strings.entry(path.clone()).or_insert_with(|| read_strings(path, wanted, sysroot));
        let matched = |string: &Vec<u8>| {
            let captures = texts.iter().find_map(|text| text.matches(string))?;
            Some((string.clone(), captures))
        };
        known.iter().filter_map(matched).collect()
    }
}

/// The loader and the C library do not count: they import from each other what programs ask of them, and
/// have the strings of every function that they offer. Scripts have neither.
fn counts(path: &ImagePath, closure: &Closure) -> bool {
    let is_libc = closure.objects.iter().any(|found| {
        &found.path == path
            && found.object.soname.as_ref().is_some_and(|name| {
                let name = name.as_bytes();
                name.starts_with(b"libc.so") || name.starts_with(b"ld-")
            })
    });
    !is_libc && !closure.scripts.contains(path)
}

fn read_strings(path: &ImagePath, wanted: &[Text], sysroot: &Sysroot) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    for string in read_only(path, sysroot).iter().flat_map(|data| strings(data)) {
        if found.len() < MAX_STRINGS && wanted.iter().any(|text| text.matches(string).is_some()) {
            found.insert(string.to_vec());
        }
    }
    found
}

/// The read-only data of an object; nothing where it cannot be read.
fn read_only(path: &ImagePath, sysroot: &Sysroot) -> Vec<Vec<u8>> {
    let Ok(file) = sysroot.open_file(path) else { return Vec::new() };
    // Older linkers put constants into the segment that is executed.
    [false, true]
        .into_iter()
        .map(|executable| elf::read_only_data(&file, executable).unwrap_or_default())
        .find(|segments| !segments.is_empty())
        .unwrap_or_default()
}

/// Printable bytes with a NUL behind them and nothing printable before: a string that is the end of another
/// one (linkers merge them) is not told from it.
fn strings(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let printable = |byte: &u8| byte.is_ascii_graphic() || b" \t".contains(byte) || *byte > 0x7f;
    data.split(|byte| *byte == 0).filter_map(move |run| {
        let start = run.iter().rposition(|byte| !printable(byte)).map_or(0, |at| at + 1);
        let string = &run[start..];
        (!string.is_empty() && string.len() < MAX_STRING).then_some(string)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn strings_are_printable_and_end_with_a_nul() {
        let data = b"\x01\x02/bin/sh\0a b\0\0x/bin/ls\0\xff\x01-c\0cut";
        let found: Vec<&[u8]> = strings(data).collect();
        assert_eq!(found, [&b"/bin/sh"[..], b"a b", b"x/bin/ls", b"-c", b"cut"]);
    }

    #[test]
    fn a_text_is_the_whole_string() {
        for (pattern, string, captures) in [
            ("/bin/sh", "/bin/sh", Some(vec![])),
            ("/bin/sh", "bin/sh", None),
            ("bin/sh", "/bin/sh", None),
            ("/bin/sh", "/bin/sh -c", None),
            ("/usr/bin/*", "/usr/bin/less", Some(vec![b"less".to_vec()])),
            ("-c", "-c", Some(vec![])),
        ] {
            assert_eq!(text(pattern).matches(string.as_bytes()), captures, "{pattern} {string}");
        }
    }
}
