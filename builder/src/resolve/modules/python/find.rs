//! Names to files, as `PathFinder` and `FileFinder` look for them: in each folder a package first, then an
//! extension module, then a source; folders without `__init__` together are a namespace package (PEP 420).

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::scan;
use crate::resolve::modules::{Found, Kind, Library, Unit};

/// Packages in packages are followed so far.
const MAX_DEPTH: usize = 32;
/// So many modules are listed.
const MAX_MODULES: usize = 1 << 16;

/// What a component of a name leads to.
enum Step {
    Nothing,
    /// A module: nothing is below it.
    Module(Unit),
    /// Folders in which what is below it is looked for, and its `__init__`.
    Package(Vec<Vec<u8>>, Option<Unit>),
}

/// The files of a module, and of the packages above it. Scripts have a folder of their own before all others,
/// so what stands in one and elsewhere is found twice: each is what some script imports.
pub(super) fn find(name: &str, library: &Library<'_>) -> Found {
    let mut found = in_folders(name, &folders(&library.own), library);
    let mut usual = library.standard.clone();
    usual.extend(library.site.iter().cloned());
    if let Some(start) = name.strip_suffix('*')
        && !start.ends_with('.')
    {
        return starting(start, &usual, library);
    }
    let other = in_folders(name, &folders(&usual), library);
    found.whole |= other.whole;
    found.units.extend(other.units);
    if !found.whole
        && let Some(encoding) = name.strip_prefix("encodings.")
        && let Some(name) = alias(encoding, library)
    {
        return in_folders(&name, &folders(&usual), library);
    }
    found
}

/// Modules in the top folders that start so.
fn starting(start: &str, top: &[ImagePath], library: &Library<'_>) -> Found {
    let mut found = Found::default();
    for folder in top {
        for name in library.names(folder.as_bytes()).iter() {
            let Ok(name) = std::str::from_utf8(name) else { continue };
            if let Some((stem, "py")) = name.rsplit_once('.')
                && stem.starts_with(start)
            {
                found.units.extend(module(folder.as_bytes(), stem, stem, library));
            }
        }
    }
    found.whole = !found.units.is_empty();
    found
}

fn folders(paths: &[ImagePath]) -> Vec<Vec<u8>> {
    paths.iter().map(|path| path.as_bytes().to_vec()).collect()
}

fn in_folders(name: &str, top: &[Vec<u8>], library: &Library<'_>) -> Found {
    let mut found = Found::default();
    let mut folders = top.to_vec();
    let mut full = String::new();
    for part in name.split('.') {
        if part == "*" {
            star(&full, &folders, library, &mut found);
            return found;
        }
        if !full.is_empty() {
            full.push('.');
        }
        full.push_str(part);
        match step(part, &full, &folders, library) {
            // What a module has no file for may be an attribute of it (`os.path`).
            Step::Nothing => return found,
            Step::Module(unit) => {
                found.units.push(unit);
                found.whole = true;
                return found;
            }
            Step::Package(below, unit) => {
                found.units.extend(unit);
                folders = below;
            }
        }
    }
    found.whole = true;
    found
}

fn step(part: &str, full: &str, folders: &[Vec<u8>], library: &Library<'_>) -> Step {
    let mut portions = Vec::new();
    for folder in folders {
        let names = library.names(folder);
        let path = [folder, b"/".as_slice(), part.as_bytes()].concat();
        let is_folder = names.contains(part.as_bytes()) && library.is_folder(&path);
        if is_folder && let Some(unit) = module(&path, "__init__", full, library) {
            return Step::Package(vec![path], Some(unit));
        }
        if let Some(unit) = module(folder, part, full, library) {
            return Step::Module(unit);
        }
        if is_folder {
            portions.push(path);
        }
    }
    if portions.is_empty() { Step::Nothing } else { Step::Package(portions, None) }
}

/// The file of a module in one folder.
fn module(folder: &[u8], part: &str, full: &str, library: &Library<'_>) -> Option<Unit> {
    let names = library.names(folder);
    let start = [part.as_bytes(), b"."].concat();
    let mut files: Vec<(u8, Kind, &Vec<u8>)> = names
        .range(start.clone()..)
        .take_while(|name| name.starts_with(&start))
        .filter_map(|name| {
            let (rank, kind) = suffix(&name[start.len()..], library)?;
            Some((rank, kind, name))
        })
        .collect();
    files.sort_by_key(|(rank, _, _)| *rank);
    files.into_iter().find_map(|(_, kind, name)| {
        let path = library.file(&[folder, b"/", name].concat())?;
        Some(Unit { path, name: full.to_owned(), kind })
    })
}

/// What an ending says, and how early it is looked for (`_get_supported_file_loaders`).
fn suffix(suffix: &[u8], library: &Library<'_>) -> Option<(u8, Kind)> {
    match suffix {
        b"abi3.so" => Some((1, Kind::Object)),
        b"so" => Some((2, Kind::Object)),
        b"py" => Some((3, Kind::Source)),
        b"pyc" => Some((4, Kind::Data)),
        tagged => {
            let tag = tagged.strip_suffix(b".so")?.strip_prefix(b"cpython-")?;
            let digits = tag.split(|&byte| byte == b'-').next()?;
            let wanted = version(library);
            wanted.is_none_or(|wanted| digits == wanted.as_bytes()).then_some((0, Kind::Object))
        }
    }
}

/// `311` for a standard library in `python3.11`.
fn version(library: &Library<'_>) -> Option<String> {
    library.standard.iter().find_map(|folder| {
        let name = std::str::from_utf8(folder.file_name()?).ok()?;
        let (major, minor) = name.strip_prefix("python")?.split_once('.')?;
        Some(format!("{major}{minor}"))
    })
}

/// What `from package import *` imports: submodules that its `__all__` names.
fn star(package: &str, folders: &[Vec<u8>], library: &Library<'_>, found: &mut Found) {
    let Some(unit) = found.units.last() else { return };
    let text = library.read(&unit.path, super::super::library::MAX_SOURCE).unwrap_or_default();
    for name in scan::listed(&text) {
        match step(&name, &format!("{package}.{name}"), folders, library) {
            Step::Module(unit) | Step::Package(_, Some(unit)) => found.units.push(unit),
            Step::Nothing | Step::Package(_, None) => {}
        }
    }
    found.whole = true;
}

/// The module of an encoding by another of its names, from the library's own table.
fn alias(encoding: &str, library: &Library<'_>) -> Option<String> {
    let tables = library.standard.iter().filter_map(|folder| {
        let path = library.file(&[folder.as_bytes(), b"/encodings/aliases.py"].concat())?;
        library.read(&path, super::super::library::MAX_SOURCE)
    });
    let name = tables.into_iter().find_map(|text| scan::pairs(&text).remove(encoding))?;
    Some(format!("encodings.{name}"))
}

/// The package that relative names of a file start from.
pub(super) fn package(unit: &Unit) -> Option<String> {
    let name = unit.path.file_name().unwrap_or_default();
    if name.starts_with(b"__init__.") {
        return Some(unit.name.clone());
    }
    unit.name.rsplit_once('.').map(|(package, _)| package.to_owned())
}

/// Names of all modules below one; of the empty name, of the standard library.
pub(super) fn below(name: &str, library: &Library<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if name.is_empty() {
        for folder in &library.standard {
            list(folder.as_bytes(), "", library, 0, &mut names);
        }
        return names;
    }
    let mut folders = folders(&library.own);
    folders.extend(library.standard.iter().chain(&library.site).map(|f| f.as_bytes().to_vec()));
    let mut full = String::new();
    for part in name.split('.') {
        full = if full.is_empty() { part.to_owned() } else { format!("{full}.{part}") };
        match step(part, &full, &folders, library) {
            Step::Package(below, _) => folders = below,
            Step::Module(_) | Step::Nothing => return names,
        }
    }
    for folder in folders {
        list(&folder, name, library, 0, &mut names);
    }
    names
}

fn list(
    folder: &[u8],
    package: &str,
    library: &Library<'_>,
    depth: usize,
    names: &mut BTreeSet<String>,
) {
    if depth > MAX_DEPTH {
        return;
    }
    for name in library.names(folder).iter() {
        let mut parts = name.splitn(2, |&byte| byte == b'.');
        let (Some(stem), ending) = (parts.next(), parts.next()) else { continue };
        let Ok(stem) = std::str::from_utf8(stem) else { continue };
        if stem == "__init__" || stem == "__main__" && package.is_empty() || !is_identifier(stem) {
            continue;
        }
        let full = if package.is_empty() { stem.to_owned() } else { format!("{package}.{stem}") };
        if names.len() >= MAX_MODULES {
            return;
        }
        let path = [folder, b"/", name].concat();
        match ending {
            Some(ending) if suffix(ending, library).is_some() => {
                names.insert(full);
            }
            None if module(&path, "__init__", &full, library).is_some() => {
                names.insert(full.clone());
                list(&path, &full, library, depth + 1, names);
            }
            _ => {}
        }
    }
}

/// Names that can be imported without naming a package.
pub(super) fn known(library: &Library<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in library.own.iter().chain(&library.standard).chain(&library.site) {
        for name in library.names(folder.as_bytes()).iter() {
            let mut parts = name.splitn(2, |&byte| byte == b'.');
            let stem = parts.next().and_then(|stem| std::str::from_utf8(stem).ok());
            let ending = parts.next();
            if let Some(stem) = stem.filter(|stem| is_identifier(stem) && *stem != "__pycache__")
                && ending.is_none_or(|ending| suffix(ending, library).is_some())
            {
                names.insert(stem.to_owned());
            }
        }
    }
    names
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// Modules that a compiled module of `module`'s package names in its texts. C and Cython import by texts, and
/// nothing else says which; what is named and no module is not found.
pub(super) fn named(bytes: &[u8], module: &str, library: &Library<'_>) -> Vec<super::Import> {
    let own = module.split('.').next().unwrap_or(module);
    let mut names = BTreeSet::new();
    for text in bytes.split(|&byte| byte == 0) {
        let Ok(text) = std::str::from_utf8(text) else { continue };
        let good = (2..=100).contains(&text.len()) && text.split('.').all(is_identifier);
        // A package is named in many texts that import nothing: errors, docstrings, names of types.
        if good && text != own && text != module {
            names.insert(text);
        }
    }
    names
        .into_iter()
        .filter(|name| {
            let found = find(name, library);
            found.whole && !found.units.is_empty()
        })
        .map(super::Import::maybe)
        .collect()
}
