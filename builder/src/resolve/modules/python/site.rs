//! Where packages are installed: folders of `.pth` files, virtual environments, and what comes with a package
//! besides its modules.
//!
//! (`Lib/site.py`; PEP 405 for `pyvenv.cfg`; PEP 376 and the packaging user guide, "Recording installed
//! projects", for `*.dist-info`.)

use common::tree::ImagePath;

use crate::resolve::modules::{Kind, Library, Unit};

/// `.pth` files, and what is known of a distribution, are small.
const MAX_TEXT: u64 = 1 << 18;
/// Endings of files that are there for who develops a package.
const FOR_DEVELOPERS: [&str; 18] = [
    "py", "pyc", "pyo", "pyi", "pyx", "pxd", "pxi", "c", "cc", "cpp", "h", "hpp", "f", "f90", "a",
    "o", "src", "typed",
];
/// Folders that are there for who develops a package.
const FOLDERS_FOR_DEVELOPERS: [&[u8]; 4] = [b"__pycache__", b"tests", b"test", b"include"];
/// What `importlib.metadata` reads of a distribution.
const METADATA: [&str; 4] = ["METADATA", "PKG-INFO", "entry_points.txt", "top_level.txt"];

/// Adds folders that virtual environments and `.pth` files name. Returns the files that name them, and the
/// folders: those that are not there when it starts are not searched later either.
pub(super) fn prepare(library: &mut Library<'_>, interpreters: &[&ImagePath]) -> Vec<ImagePath> {
    let mut read = Vec::new();
    for interpreter in interpreters {
        if let Some(file) = environment(library, interpreter) {
            read.push(file);
        }
    }
    for folder in library.site.clone() {
        for name in library.names(folder.as_bytes()).iter().filter(|name| name.ends_with(b".pth")) {
            let Some(path) = library.file(&[folder.as_bytes(), b"/", name].concat()) else {
                continue;
            };
            if path_file(library, &folder, &path) {
                read.push(path);
            }
        }
    }
    read.extend(library.site.iter().cloned());
    read
}

/// The folder of a virtual environment, whose packages come before those of the system, or instead of them.
fn environment(library: &mut Library<'_>, interpreter: &ImagePath) -> Option<ImagePath> {
    let bin = interpreter.parent()?;
    let prefix = bin.parent()?;
    let file = [&bin, &prefix]
        .into_iter()
        .find_map(|folder| library.file(folder.join("pyvenv.cfg").ok()?.as_bytes()))?;
    let text = String::from_utf8_lossy(&library.read(&file, MAX_TEXT)?).into_owned();
    let version = library.standard.iter().find_map(|folder| {
        let name = folder.file_name()?;
        name.starts_with(b"python").then(|| name.to_vec())
    })?;
    let folder = prefix.join([b"lib/", version.as_slice(), b"/site-packages"].concat()).ok()?;
    if !library.is_folder(folder.as_bytes()) {
        return Some(file);
    }
    let with_system = text.lines().filter_map(|line| line.split_once('=')).any(|(key, value)| {
        key.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true")
    });
    if !with_system {
        library.site.clear();
    }
    library.site.insert(0, folder);
    Some(file)
}

/// Adds the folders that a `.pth` file names; whether it names one. Lines that are code are not followed.
fn path_file(library: &mut Library<'_>, folder: &ImagePath, file: &ImagePath) -> bool {
    let text = library.read(file, MAX_TEXT).unwrap_or_default();
    let mut adds = false;
    for line in String::from_utf8_lossy(&text).lines() {
        let line = line.trim_end();
        let is_code = line.starts_with("import ") || line.starts_with("import\t");
        if line.is_empty() || line.starts_with('#') || is_code {
            continue;
        }
        let path = if line.starts_with('/') { ImagePath::new(line) } else { folder.join(line) };
        let Ok(path) = path else { continue };
        if library.is_folder(path.as_bytes()) && !library.site.contains(&path) {
            library.site.push(path);
            adds = true;
        }
    }
    adds
}

/// Files that come with a module's file.
pub(super) fn beside(unit: &Unit, library: &Library<'_>) -> Vec<ImagePath> {
    if library.is_standard(&unit.path) || unit.kind == Kind::Data {
        return Vec::new();
    }
    let mut files = Vec::new();
    let is_package = unit.path.file_name().is_some_and(|name| name.starts_with(b"__init__."));
    if let (true, Some(folder)) = (is_package, unit.path.parent()) {
        data(&folder, library, &mut files);
    }
    if !unit.name.contains('.') && !unit.name.is_empty() {
        metadata(unit, library, &mut files);
    }
    files
}

/// What a package reads beside its modules: files in its folder, and in folders below that are no packages.
fn data(folder: &ImagePath, library: &Library<'_>, files: &mut Vec<ImagePath>) {
    for name in library.names(folder.as_bytes()).iter() {
        let Ok(path) = folder.join(name) else { continue };
        if library.is_folder(path.as_bytes()) {
            let is_package = library.names(path.as_bytes()).contains(b"__init__.py".as_slice());
            if !is_package && !FOLDERS_FOR_DEVELOPERS.contains(&name.as_slice()) {
                let below = library.files_below(&path);
                files.extend(below.into_iter().filter(|path| is_data(path, library)));
            }
        } else if is_data(&path, library) {
            files.push(path);
        }
    }
}

fn is_data(path: &ImagePath, library: &Library<'_>) -> bool {
    let developers = path.components().any(|name| FOLDERS_FOR_DEVELOPERS.contains(&name));
    let name = path.file_name().unwrap_or_default();
    let ending = name.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    // Extension modules are imported, or not wanted; libraries that are opened by path have other names.
    let is_module = ending == b"so" && !name.starts_with(b"lib");
    let named = FOR_DEVELOPERS.iter().any(|known| known.as_bytes() == ending);
    !developers && !is_module && !named && library.file(path.as_bytes()).is_some()
}

/// What is known of the distribution that brings a module: in a folder beside it, or a single file.
fn metadata(unit: &Unit, library: &Library<'_>, files: &mut Vec<ImagePath>) {
    let is_package = unit.path.file_name().is_some_and(|name| name.starts_with(b"__init__."));
    let above = if is_package { unit.path.parent() } else { Some(unit.path.clone()) };
    let Some(site) = above.and_then(|path| path.parent()) else { return };
    for name in library.names(site.as_bytes()).iter() {
        let Ok(path) = site.join(name) else { continue };
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let Some((stem, _)) =
            name.rsplit_once('.').filter(|(_, end)| matches!(*end, "dist-info" | "egg-info"))
        else {
            continue;
        };
        let distribution = stem.split('-').next().unwrap_or(stem);
        let top = path.join("top_level.txt").ok().and_then(|path| library.read(&path, MAX_TEXT));
        let top = String::from_utf8_lossy(&top.unwrap_or_default()).into_owned();
        let brings = top.lines().any(|line| line.trim() == unit.name);
        if !brings && !same(distribution, &unit.name) {
            continue;
        }
        files.extend(library.file(path.as_bytes()));
        for name in METADATA {
            files.extend(path.join(name).ok().and_then(|path| library.file(path.as_bytes())));
        }
    }
}

/// Whether a distribution is called as its module (PEP 503, "Normalized Names").
fn same(distribution: &str, module: &str) -> bool {
    let normal = |name: &str| name.to_lowercase().replace(['-', '.'], "_");
    normal(distribution) == normal(module)
}
