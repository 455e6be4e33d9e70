//! php: its modules are extensions, shared objects that a file of its configuration loads.
//!
//! The extension `mbstring` is `mbstring.so` in the folder that is compiled in, and a file `20-mbstring.ini` or
//! `docker-php-ext-mbstring.ini` in the folder that php scans. What has no such file on the root is not loaded
//! there either, and is not known here. Sources that sources include are files of the recipe.

mod scan;

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::text::import;
use super::{Dialect, Found, Import, Kind, Library, Unit, When};

/// PHP's command line.
#[derive(Debug)]
pub(super) struct Php;

impl Dialect for Php {
    fn is_source(&self, name: &[u8], head: &[u8]) -> bool {
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        name == b"composer.json"
            || [&b".php"[..], b".phtml", b".inc"].iter().any(|end| name.ends_with(end))
            || line.starts_with(b"#!") && line.windows(3).any(|word| word == b"php")
    }

    fn of_command(&self, words: &[String]) -> Vec<Import> {
        let is_php = words
            .first()
            .and_then(|word| word.rsplit('/').next())
            .is_some_and(|name| name.starts_with("php"));
        let code = words.iter().skip_while(|word| *word != "-r").nth(1).filter(|_| is_php);
        code.map(|code| scan::imports(code.as_bytes())).unwrap_or_default()
    }

    fn run(&self, name: &str) -> Vec<Import> {
        vec![import(name, When::Maybe)]
    }

    fn prepare(&self, library: &mut Library<'_>, interpreters: &[&ImagePath]) -> Vec<ImagePath> {
        // Of the folders of several versions, the one that the program names.
        let programs: Vec<Vec<u8>> = interpreters
            .iter()
            .filter_map(|path| library.read(path, super::library::MAX_SOURCE))
            .collect();
        let named = |folder: &ImagePath| {
            let name = folder.as_bytes();
            programs.iter().any(|bytes| bytes.windows(name.len()).any(|window| window == name))
        };
        if library.standard.iter().any(named) {
            library.standard.retain(named);
        }
        Vec::new()
    }

    fn find(&self, name: &str, library: &Library<'_>) -> Found {
        let unit = |path, kind| Unit { path, name: name.to_owned(), kind };
        let object = library.standard.iter().find_map(|folder| {
            library.file(&[folder.as_bytes(), b"/", name.as_bytes(), b".so"].concat())
        });
        let settings = library.site.iter().find_map(|folder| {
            let names = library.names(folder.as_bytes());
            let file = names.iter().find(|file| extension(file) == Some(name))?;
            library.file(&[folder.as_bytes(), b"/", file].concat())
        });
        let (Some(object), Some(settings)) = (object, settings) else { return Found::default() };
        Found { units: vec![unit(object, Kind::Object), unit(settings, Kind::Data)], whole: true }
    }

    fn imports(&self, unit: &Unit, bytes: &[u8], _library: &Library<'_>) -> Vec<Import> {
        if unit.kind == Kind::Source { scan::imports(bytes) } else { Vec::new() }
    }

    fn below(&self, name: &str, library: &Library<'_>) -> BTreeSet<String> {
        if name.is_empty() { self.known(library) } else { BTreeSet::new() }
    }

    fn known(&self, library: &Library<'_>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for folder in &library.site {
            let names = library.names(folder.as_bytes());
            found.extend(names.iter().filter_map(|file| extension(file)).map(str::to_owned));
        }
        found
    }

    fn beside(&self, _unit: &Unit, _library: &Library<'_>) -> Vec<ImagePath> {
        Vec::new()
    }
}

/// The extension that a file of the configuration is named after.
fn extension(file: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(file).ok()?.strip_suffix(".ini")?;
    let (number, rest) = name.split_once('-').unwrap_or(("", name));
    let name = if number.bytes().all(|byte| byte.is_ascii_digit()) { rest } else { name };
    Some(name.strip_prefix("docker-php-ext-").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_configuration_are_named_after_extensions() {
        for (file, wanted) in [
            ("20-mbstring.ini", Some("mbstring")),
            ("mbstring.ini", Some("mbstring")),
            ("docker-php-ext-sodium.ini", Some("sodium")),
            ("20-pdo_sqlite.ini", Some("pdo_sqlite")),
            ("README", None),
        ] {
            assert_eq!(extension(file.as_bytes()), wanted, "{file}");
        }
    }
}
