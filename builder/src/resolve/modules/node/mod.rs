//! node: files and packages (Node.js documentation, "Modules: `CommonJS` modules", "All together"; "Packages").
//!
//! What a source names by its place is that file, and what it names in turn. A package is taken whole, without
//! tests, documentation, types and maps, and with the packages that its `package.json` depends on: what a
//! package computes at run time is its own affair.

mod scan;

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;
use serde::Deserialize;

use super::text::import;
use super::{Dialect, Found, Import, Kind, Library, Unit, When};

/// Node.js.
#[derive(Debug)]
pub(super) struct Node;

/// Keys of a table, whatever their values.
type Names = BTreeMap<String, serde_json::Value>;

/// What stands in `package.json` and matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Package {
    dependencies: Names,
    optional_dependencies: Names,
    peer_dependencies: Names,
}

/// Ends of names of files that are run.
const SOURCES: [&str; 4] = ["", ".js", ".json", ".node"];
/// Folders of a package that are nothing for who runs it; nested packages are found by themselves.
const NOT_RUN: [&[u8]; 11] = [
    b"node_modules",
    b"test",
    b"tests",
    b"__tests__",
    b"doc",
    b"docs",
    b"example",
    b"examples",
    b"benchmark",
    b".github",
    b"man",
];
/// Ends of names of files that are neither.
const NOT_READ: [&[u8]; 7] = [b".md", b".ts", b".map", b".markdown", b".flow", b".c", b".h"];

impl Dialect for Node {
    fn is_source(&self, name: &[u8], head: &[u8]) -> bool {
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        [&b".js"[..], b".mjs", b".cjs"].iter().any(|end| name.ends_with(end))
            || line.starts_with(b"#!") && line.windows(4).any(|word| word == b"node")
    }

    fn of_command(&self, words: &[String]) -> Vec<Import> {
        let is_node = words
            .first()
            .and_then(|word| word.rsplit('/').next())
            .is_some_and(|name| name.starts_with("node"));
        let mut found = Vec::new();
        for pair in words.windows(2).filter(|_| is_node) {
            let [option, value] = pair else { continue };
            match option.as_str() {
                "-r" | "--require" | "--import" => found.extend(bare(value).map(str::to_owned)),
                "-e" | "--eval" | "-p" | "--print" => {
                    let names = scan::specifiers(value.as_bytes());
                    found.extend(names.iter().filter_map(|name| bare(name)).map(str::to_owned));
                }
                _ => {}
            }
        }
        found.into_iter().map(|name| import(name, When::Maybe)).collect()
    }

    fn run(&self, name: &str) -> Vec<Import> {
        vec![import(name, When::Maybe)]
    }

    fn prepare(&self, library: &mut Library<'_>, _interpreters: &[&ImagePath]) -> Vec<ImagePath> {
        let mut near = Vec::new();
        for own in &library.own {
            near.extend(above(own).filter(|folder| library.is_folder(folder.as_bytes())));
        }
        near.append(&mut library.standard);
        library.standard = near;
        Vec::new()
    }

    fn find(&self, name: &str, library: &Library<'_>) -> Found {
        let unit = |path, kind| Unit { path, name: name.to_owned(), kind };
        if !name.starts_with('/') {
            let folder = library.standard.iter().find_map(|folder| {
                let folder = folder.join(name.as_bytes()).ok()?;
                library.is_folder(folder.as_bytes()).then_some(folder)
            });
            return folder.map_or_else(Found::default, |folder| package(name, &folder, library));
        }
        if let Some(path) =
            SOURCES.iter().find_map(|end| library.file(format!("{name}{end}").as_bytes()))
        {
            return Found { units: vec![unit(path.clone(), kind(&path))], whole: true };
        }
        let Ok(folder) = ImagePath::new(name) else { return Found::default() };
        if library.is_folder(name.as_bytes()) {
            package(name, &folder, library)
        } else {
            Found::default()
        }
    }

    fn imports(&self, unit: &Unit, bytes: &[u8], library: &Library<'_>) -> Vec<Import> {
        if unit.kind != Kind::Source {
            return Vec::new();
        }
        let Some(folder) = unit.path.parent() else { return Vec::new() };
        let mut names = BTreeSet::new();
        if unit.path.file_name() == Some(b"package.json") {
            let package: Package = serde_json::from_slice(bytes).unwrap_or_default();
            let all =
                [package.dependencies, package.optional_dependencies, package.peer_dependencies];
            for name in all.iter().flat_map(Names::keys) {
                names.extend(bare(name).and_then(|name| resolved(name, &folder, library)));
            }
        } else if !unit.path.as_bytes().ends_with(b".json") {
            names.extend(own_package(&folder, library));
            for specifier in scan::specifiers(bytes) {
                if specifier.starts_with('.') || specifier.starts_with('/') {
                    names.extend(beside(&folder, &specifier));
                } else if let Some(name) = bare(&specifier) {
                    names.extend(resolved(name, &folder, library));
                }
            }
        }
        names.into_iter().map(|name| import(name, When::Maybe)).collect()
    }

    fn below(&self, name: &str, library: &Library<'_>) -> BTreeSet<String> {
        if name.is_empty() { self.known(library) } else { BTreeSet::new() }
    }

    fn known(&self, library: &Library<'_>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for folder in &library.standard {
            for name in library.names(folder.as_bytes()).iter() {
                let Ok(name) = std::str::from_utf8(name) else { continue };
                if !name.starts_with('@') {
                    found.insert(name.to_owned());
                    continue;
                }
                let scope = [folder.as_bytes(), b"/", name.as_bytes()].concat();
                let inside = library.names(&scope);
                let inside = inside.iter().filter_map(|inside| std::str::from_utf8(inside).ok());
                found.extend(inside.map(|inside| format!("{name}/{inside}")));
            }
        }
        found
    }

    fn beside(&self, _unit: &Unit, _library: &Library<'_>) -> Vec<ImagePath> {
        Vec::new()
    }
}

/// What says how the sources in a folder are meant and what they depend on: the package that they are part of
/// where that is an installed one, else the nearest `package.json`.
fn own_package(folder: &ImagePath, library: &Library<'_>) -> Option<String> {
    let manifest =
        |folder: &ImagePath| library.file(&[folder.as_bytes(), b"/package.json"].concat());
    let mut above = std::iter::successors(Some(folder.clone()), ImagePath::parent);
    let (folder, manifest) = above.find_map(|folder| Some((folder.clone(), manifest(&folder)?)))?;
    let parts: Vec<&[u8]> = folder.as_bytes().rsplit(|&byte| byte == b'/').collect();
    let is_installed = parts.iter().skip(1).take(2).any(|part| *part == b"node_modules");
    let name = if is_installed { folder } else { manifest };
    String::from_utf8(name.as_bytes().to_vec()).ok()
}

/// All of a package that is run or read. Its `package.json` says what it depends on.
fn package(name: &str, folder: &ImagePath, library: &Library<'_>) -> Found {
    let real = library.real(folder);
    let is_wanted = |path: &ImagePath| {
        let inside = path.as_bytes().get(real.as_bytes().len()..).unwrap_or_default();
        let mut folders: Vec<&[u8]> = inside.split(|&byte| byte == b'/').collect();
        let file = folders.pop().unwrap_or_default();
        !folders.iter().any(|folder| NOT_RUN.contains(folder))
            && !NOT_READ.iter().any(|end| file.ends_with(end))
    };
    let files = library.files_below(&real).into_iter().filter(is_wanted);
    let unit = |path: ImagePath| {
        let is_manifest = path.as_bytes() == [real.as_bytes(), b"/package.json"].concat();
        // Of sources, what they name beside them is here already.
        let kind = match kind(&path) {
            Kind::Source if !is_manifest => Kind::Data,
            kind => kind,
        };
        Unit { path, name: name.to_owned(), kind }
    };
    let mut units: Vec<Unit> = files.map(unit).collect();
    if folder != &real {
        units.push(Unit { path: folder.clone(), name: name.to_owned(), kind: Kind::Data });
    }
    Found { whole: !units.is_empty(), units }
}

fn kind(path: &ImagePath) -> Kind {
    match path.as_bytes() {
        path if path.ends_with(b".node") => Kind::Object,
        _ => Kind::Source,
    }
}

/// The package of a specifier that is no path: `@a/b/c.js` is in `@a/b`. Node's own modules are in no package.
fn bare(specifier: &str) -> Option<&str> {
    if specifier.starts_with(['.', '/', '#', '\\']) || specifier.contains(':') {
        return None;
    }
    let scoped = usize::from(specifier.starts_with('@'));
    let end = specifier.match_indices('/').nth(scoped).map(|(at, _)| at);
    let name = &specifier[..end.unwrap_or(specifier.len())];
    let good = !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    good.then_some(name)
}

/// Folders in which packages are looked for from a folder on upwards.
fn above(folder: &ImagePath) -> impl Iterator<Item = ImagePath> {
    std::iter::successors(Some(folder.clone()), ImagePath::parent)
        .filter(|folder| folder.file_name() != Some(b"node_modules"))
        .filter_map(|folder| folder.join(b"node_modules").ok())
}

/// The folder of a package that is named from inside `folder`, as a name for [`Dialect::find`].
fn resolved(name: &str, folder: &ImagePath, library: &Library<'_>) -> Option<String> {
    // A bare name in the folders of the root itself is found by that name, whoever asks.
    let near = above(folder).find_map(|folder| {
        let folder = folder.join(name.as_bytes()).ok()?;
        library.is_folder(folder.as_bytes()).then_some(folder)
    });
    match near {
        Some(folder) => String::from_utf8(folder.as_bytes().to_vec()).ok(),
        None => Some(name.to_owned()),
    }
}

/// The path that a specifier with dots means.
fn beside(folder: &ImagePath, specifier: &str) -> Option<String> {
    let mut path = if specifier.starts_with('/') { ImagePath::root() } else { folder.clone() };
    for part in specifier.split('/') {
        path = match part {
            "" | "." => path,
            ".." => path.parent()?,
            part => path.join(part.as_bytes()).ok()?,
        };
    }
    String::from_utf8(path.as_bytes().to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specifier_names_a_package_a_path_or_something_built_in() {
        for (specifier, wanted) in [
            ("express", Some("express")),
            ("express/lib/x.js", Some("express")),
            ("@a/b", Some("@a/b")),
            ("@a/b/c", Some("@a/b")),
            ("./x", None),
            ("/x", None),
            ("node:fs", None),
            ("#inner", None),
            ("https://x", None),
            ("", None),
            ("a/../b", Some("a")),
            ("..", None),
            ("@a/..", None),
        ] {
            assert_eq!(bare(specifier), wanted, "{specifier}");
        }
    }
}
