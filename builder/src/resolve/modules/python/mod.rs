//! Python: packages, modules and extension modules, as its import system finds them (The Python Language
//! Reference, "The import system"; `Lib/importlib/_bootstrap_external.py`, `Lib/site.py`).
//!
//! Nothing is run: a module that is found by a name that a program computes is not found here.

mod blocks;
mod find;
mod scan;
mod site;
mod tokens;

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::{Dialect, Found, Import, Library, Unit, When};

/// Python 3.
#[derive(Debug)]
pub(super) struct Python;

impl Dialect for Python {
    fn is_source(&self, name: &[u8], head: &[u8]) -> bool {
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        name.ends_with(b".py")
            || line.starts_with(b"#!") && line.windows(6).any(|word| word == b"python")
    }

    fn of_command(&self, words: &[String]) -> Vec<Import> {
        let mut words = words.iter();
        let is_python =
            |word: &String| word.rsplit('/').next().is_some_and(|name| name.starts_with("python"));
        if !words.next().is_some_and(is_python) {
            return Vec::new();
        }
        while let Some(word) = words.next() {
            match word.as_str() {
                "-m" => {
                    let name = words.next().map(String::as_str).unwrap_or_default();
                    return self.run(name);
                }
                "-c" => {
                    let code = words.next().map(String::as_bytes).unwrap_or_default();
                    return scan::imports(code, None);
                }
                "-W" | "-X" | "--check-hash-based-pycs" => drop(words.next()),
                option if option.starts_with('-') => {}
                _ => return Vec::new(),
            }
        }
        Vec::new()
    }

    fn run(&self, name: &str) -> Vec<Import> {
        // `runpy` runs the module, and of a package its `__main__`.
        let main = Import::maybe(&format!("{name}.__main__"));
        vec![Import::new(name, When::Always), main]
    }

    fn prepare(&self, library: &mut Library<'_>, interpreters: &[&ImagePath]) -> Vec<ImagePath> {
        site::prepare(library, interpreters)
    }

    fn find(&self, name: &str, library: &Library<'_>) -> Found {
        find::find(name, library)
    }

    fn imports(&self, unit: &Unit, bytes: &[u8], library: &Library<'_>) -> Vec<Import> {
        match unit.kind {
            super::Kind::Source => scan::imports(bytes, find::package(unit).as_deref()),
            super::Kind::Object if !library.is_standard(&unit.path) => {
                find::named(bytes, &unit.name, library)
            }
            super::Kind::Object | super::Kind::Data => Vec::new(),
        }
    }

    fn below(&self, name: &str, library: &Library<'_>) -> BTreeSet<String> {
        find::below(name, library)
    }

    fn known(&self, library: &Library<'_>) -> BTreeSet<String> {
        find::known(library)
    }

    fn beside(&self, unit: &Unit, library: &Library<'_>) -> Vec<ImagePath> {
        site::beside(unit, library)
    }
}
