//! ruby: features in the folders of `$LOAD_PATH` and in gems (ruby `load.c`, `rb_feature_p`; rubygems
//! `core_ext/kernel_require.rb`).
//!
//! `a/b` is `a/b.rb` in the first folder that has it, else `a/b.so`. A gem's files come with what its
//! specification says. What rubygems loads only to install gems is left out.

mod scan;

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::text::import;
use super::{Dialect, Found, Import, Kind, Library, Unit, When};

/// The C implementation of ruby.
#[derive(Debug)]
pub(super) struct Ruby;

/// Files of a gem beside its code that are nothing for who runs it.
const NOT_DATA: [&[u8]; 12] = [
    b".rb", b".so", b".c", b".h", b".o", b".md", b".java", b".jar", b".rdoc", b".txt", b".ri",
    b".rl",
];

impl Dialect for Ruby {
    fn is_source(&self, name: &[u8], head: &[u8]) -> bool {
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        name.ends_with(b".rb")
            || name.ends_with(b".ru")
            || line.starts_with(b"#!") && line.windows(4).any(|word| word == b"ruby")
    }

    fn of_command(&self, words: &[String]) -> Vec<Import> {
        let mut words = words.iter();
        let is_ruby =
            |word: &String| word.rsplit('/').next().is_some_and(|name| name.starts_with("ruby"));
        if !words.next().is_some_and(is_ruby) {
            return Vec::new();
        }
        let mut found = Vec::new();
        while let Some(option) = words.next().and_then(|word| word.strip_prefix('-')) {
            if let Some(feature) = option.strip_prefix('r') {
                let next = || words.clone().next().cloned().unwrap_or_default();
                let name = if feature.is_empty() { next() } else { feature.to_owned() };
                if feature.is_empty() {
                    let _name = words.next();
                }
                found.push(import(name, When::Always));
            } else if option.ends_with('e') && !option.starts_with(['I', 'C', 'E', '-']) {
                let code = words.next().map(String::as_bytes).unwrap_or_default();
                found.extend(scan::imports(code, &ImagePath::root()));
            }
        }
        found
    }

    fn run(&self, name: &str) -> Vec<Import> {
        vec![import(name, When::Maybe)]
    }

    fn prepare(&self, library: &mut Library<'_>, _interpreters: &[&ImagePath]) -> Vec<ImagePath> {
        // Of a gem's versions the newest is taken.
        let (mut gems, others): (Vec<_>, Vec<_>) =
            library.site.drain(..).partition(|folder| gem(folder).is_some());
        gems.sort_by_key(|folder| std::cmp::Reverse(by_version(folder)));
        library.site = others;
        library.site.append(&mut gems);
        for own in library.own.clone() {
            for folder in [Some(own.clone()), own.parent()].into_iter().flatten() {
                if let Ok(folder) = folder.join(b"lib")
                    && library.is_folder(folder.as_bytes())
                {
                    library.site.push(folder);
                }
            }
        }
        Vec::new()
    }

    fn find(&self, name: &str, library: &Library<'_>) -> Found {
        let path = match name.strip_prefix(scan::BIN) {
            Some(program) => program_of_gem(program, library),
            None => path(name, library),
        };
        let unit = path.map(|path| {
            let is_object = path.as_bytes().ends_with(b".so");
            let kind = if is_object { Kind::Object } else { Kind::Source };
            let stem = name.strip_suffix(".so").filter(|_| is_object);
            let end = if is_object { ".so" } else { "" };
            let name = stem.unwrap_or(name);
            Unit { path, name: format!("{name}{end}"), kind }
        });
        Found { whole: unit.is_some(), units: unit.into_iter().collect() }
    }

    fn imports(&self, unit: &Unit, bytes: &[u8], _library: &Library<'_>) -> Vec<Import> {
        if unit.kind != Kind::Source {
            return Vec::new();
        }
        let mut found = scan::imports(bytes, &unit.path);
        // rubygems is there whenever ruby is; what it loads later installs gems.
        let path = unit.path.as_bytes();
        if [&b"/rubygems.rb"[..], b"/rubygems/"].iter().any(|part| contains(path, part)) {
            found.retain(|import| import.when != When::Later);
        }
        found
    }

    fn below(&self, name: &str, library: &Library<'_>) -> BTreeSet<String> {
        let folders: Vec<&ImagePath> = if name.is_empty() {
            library.standard.iter().collect()
        } else {
            library.site.iter().chain(&library.standard).collect()
        };
        let mut found = BTreeSet::new();
        for folder in folders {
            let folder = library.real(folder);
            let Ok(below) = ImagePath::new([folder.as_bytes(), b"/", name.as_bytes()].concat())
            else {
                continue;
            };
            for path in library.files_below(&below) {
                let inside = path.as_bytes().get(folder.as_bytes().len() + 1..).unwrap_or_default();
                let Ok(inside) = std::str::from_utf8(inside) else { continue };
                // A compiled one may have a source of the same name.
                let source = inside.strip_suffix(".rb").map(str::to_owned);
                let object = inside.strip_suffix(".so").map(|_| inside.to_owned());
                found.extend(source.or(object));
            }
        }
        found
    }

    fn known(&self, library: &Library<'_>) -> BTreeSet<String> {
        let names = self.below("", library).into_iter();
        names.map(|name| name.trim_end_matches(".so").to_owned()).collect()
    }

    fn beside(&self, unit: &Unit, library: &Library<'_>) -> Vec<ImagePath> {
        let Some((root, name)) = gem(&unit.path) else { return Vec::new() };
        let specification = [root, b"/specifications/", name, b".gemspec"].concat();
        let mut found: Vec<ImagePath> = library.file(&specification).into_iter().collect();
        if let Ok(folder) = ImagePath::new([root, b"/gems/", name, b"/lib"].concat()) {
            let is_data =
                |path: &ImagePath| !NOT_DATA.iter().any(|end| path.as_bytes().ends_with(end));
            found.extend(library.files_below(&folder).into_iter().filter(is_data));
        }
        found
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The program `GEM/NAME`: of a gem that has its own folder, or of the standard library.
fn program_of_gem(program: &str, library: &Library<'_>) -> Option<ImagePath> {
    let (gem, program) = program.split_once('/')?;
    let start = [gem.as_bytes(), b"-"].concat();
    let is_it = |name: &&Vec<u8>| {
        name.strip_prefix(&*start).is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
    };
    for folder in library.site.iter().filter(|folder| folder.file_name() == Some(b"gems")) {
        for name in library.names(folder.as_bytes()).iter().rev().filter(is_it) {
            for inside in ["exe", "bin", "libexec"] {
                let path = [
                    folder.as_bytes(),
                    b"/",
                    name,
                    b"/",
                    inside.as_bytes(),
                    b"/",
                    program.as_bytes(),
                ];
                if let Some(path) = library.file(&path.concat()) {
                    return Some(path);
                }
            }
        }
    }
    None
}

/// Of a path in a gem: the folder that gems and specifications are in, and the gem's name with its version.
fn gem(path: &ImagePath) -> Option<(&[u8], &[u8])> {
    let path = path.as_bytes();
    let at = path.windows(6).rposition(|part| part == b"/gems/")?;
    let name = path[at + 6..].split(|&byte| byte == b'/').next()?;
    let inside = path.get(at + 6 + name.len()..)?;
    let versioned = name.contains(&b'-') && inside.starts_with(b"/");
    versioned.then_some((&path[..at], name))
}

/// Text and numbers of a path in turn: `rack-10` is newer than `rack-9`.
fn by_version(path: &ImagePath) -> Vec<(Vec<u8>, u64)> {
    let mut parts = Vec::new();
    let mut rest = path.as_bytes();
    while !rest.is_empty() {
        let text = rest.iter().position(u8::is_ascii_digit).unwrap_or(rest.len());
        let digits = rest[text..].iter().position(|byte| !byte.is_ascii_digit());
        let end = digits.map_or(rest.len(), |digits| text + digits);
        let number = std::str::from_utf8(&rest[text..end]).ok().and_then(|text| text.parse().ok());
        parts.push((rest[..text].to_vec(), number.unwrap_or(0)));
        rest = &rest[end..];
    }
    parts
}

/// What a feature leads to. Without an extension, sources of all folders come before objects.
fn path(name: &str, library: &Library<'_>) -> Option<ImagePath> {
    let exact = [".rb", ".so"].iter().any(|end| name.ends_with(end));
    let ends: &[&str] = if exact { &[""] } else { &[".rb", ".so"] };
    if name.starts_with('/') {
        return ends.iter().find_map(|end| library.file(format!("{name}{end}").as_bytes()));
    }
    let folders = || library.site.iter().chain(&library.standard).chain(&library.own);
    ends.iter().find_map(|end| {
        folders().find_map(|folder| {
            library.file(&[folder.as_bytes(), b"/", name.as_bytes(), end.as_bytes()].concat())
        })
    })
}
