//! perl: modules, files and extensions in the folders of `@INC` (perlfunc, `require`; `XSLoader(3)`, `AutoLoader(3)`).
//!
//! `A::B` is `A/B.pm` in the first folder that has it, and its extension `auto/A/B/B.so`. Tables of Unicode
//! are inside perl from 5.32 on; only `Unicode::UCD` and names of characters still read files.

mod scan;

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::text::import;
use super::{Dialect, Found, Import, Kind, Library, Unit, When};

/// perl 5.
#[derive(Debug)]
pub(super) struct Perl;

/// Modules that read files of their own, and the folder that has them.
const DATA: [(&str, &str); 2] =
    [("Unicode::UCD", "unicore"), ("Unicode::Collate", "Unicode/Collate")];
/// Folders beside a script, or beside its folder, that scripts add to `@INC`.
const LIB: &str = "lib";

impl Dialect for Perl {
    fn is_source(&self, name: &[u8], head: &[u8]) -> bool {
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        [&b".pl"[..], b".pm", b".psgi", b".cgi"].iter().any(|end| name.ends_with(end))
            || line.starts_with(b"#!") && line.windows(4).any(|word| word == b"perl")
    }

    fn of_command(&self, words: &[String]) -> Vec<Import> {
        let mut words = words.iter();
        let is_perl =
            |word: &String| word.rsplit('/').next().is_some_and(|name| name.starts_with("perl"));
        if !words.next().is_some_and(is_perl) {
            return Vec::new();
        }
        let mut found = Vec::new();
        while let Some(option) = words.next().and_then(|word| word.strip_prefix('-')) {
            if let Some(module) = option.strip_prefix(['M', 'm']) {
                let name =
                    module.trim_start_matches('-').split(['=', ' ']).next().unwrap_or_default();
                found.push(import(name.to_owned(), When::Always));
            } else if option.ends_with(['e', 'E']) && !option.starts_with(['I', 'C', 'D', 'x']) {
                let code = words.next().map(String::as_bytes).unwrap_or_default();
                found.extend(scan::imports(code));
            }
        }
        found
    }

    fn run(&self, name: &str) -> Vec<Import> {
        vec![import(name, When::Maybe)]
    }

    fn prepare(&self, library: &mut Library<'_>, _interpreters: &[&ImagePath]) -> Vec<ImagePath> {
        for own in library.own.clone() {
            for folder in [Some(own.clone()), own.parent()].into_iter().flatten() {
                if let Ok(folder) = folder.join(LIB.as_bytes())
                    && library.is_folder(folder.as_bytes())
                {
                    library.site.push(folder);
                }
            }
        }
        Vec::new()
    }

    fn find(&self, name: &str, library: &Library<'_>) -> Found {
        let unit = |path, kind| Unit { path, name: name.to_owned(), kind };
        if name.contains('/') || name.contains('.') {
            let file = file(name, library).map(|path| unit(path, Kind::Source));
            return Found { whole: file.is_some(), units: file.into_iter().collect() };
        }
        let path = name.replace("::", "/");
        let source = first(&format!("{path}.pm"), library);
        let last = path.rsplit('/').next().unwrap_or(&path);
        let object = first(&format!("auto/{path}/{last}.so"), library);
        let whole = source.is_some();
        let mut units: Vec<Unit> =
            source.map(|path| unit(path, Kind::Source)).into_iter().collect();
        units.extend(object.map(|path| unit(path, Kind::Object)));
        Found { units, whole }
    }

    fn imports(&self, unit: &Unit, bytes: &[u8], library: &Library<'_>) -> Vec<Import> {
        if unit.kind != Kind::Source {
            return Vec::new();
        }
        let mut found = scan::imports(bytes);
        // Encode's own tables name all of them.
        if !library.is_standard(&unit.path) {
            found.extend(scan::encodings(bytes));
        }
        found
    }

    fn below(&self, name: &str, library: &Library<'_>) -> BTreeSet<String> {
        let inside = name.replace("::", "/");
        let folders: Vec<&ImagePath> = if name.is_empty() {
            library.standard.iter().collect()
        } else {
            searched(library).collect()
        };
        let mut found = BTreeSet::new();
        for folder in folders {
            let folder = library.real(folder);
            let top = format!("{inside}/");
            let Ok(below) = ImagePath::new([folder.as_bytes(), b"/", top.as_bytes()].concat())
            else {
                continue;
            };
            for path in library.files_below(&below) {
                let rest = path.as_bytes().get(folder.as_bytes().len() + 1..).unwrap_or_default();
                let module =
                    std::str::from_utf8(rest).ok().and_then(|rest| rest.strip_suffix(".pm"));
                found.extend(module.map(|module| module.replace('/', "::")));
            }
        }
        found
    }

    fn known(&self, library: &Library<'_>) -> BTreeSet<String> {
        self.below("", library)
    }

    fn beside(&self, unit: &Unit, library: &Library<'_>) -> Vec<ImagePath> {
        if unit.kind != Kind::Source || unit.name.contains(['/', '.']) {
            return Vec::new();
        }
        let mut found = Vec::new();
        // AutoLoader's parts of a module, and File::ShareDir's data.
        let (path, dashed) = (unit.name.replace("::", "/"), unit.name.replace("::", "-"));
        for folder in searched(library) {
            let below = |inside: String| {
                let path = [folder.as_bytes(), b"/", inside.as_bytes()].concat();
                library.is_folder(&path).then(|| ImagePath::new(path).ok()).flatten()
            };
            if let Some(parts) = below(format!("auto/{path}")) {
                let part = |path: &ImagePath| {
                    [&b".al"[..], b".ix"].iter().any(|end| path.as_bytes().ends_with(end))
                };
                found.extend(library.files_below(&parts).into_iter().filter(part));
            }
            for kind in ["dist", "module"] {
                let data = below(format!("auto/share/{kind}/{dashed}"));
                found.extend(data.into_iter().flat_map(|data| library.files_below(&data)));
            }
        }
        for (_, data) in DATA.iter().filter(|(name, _)| *name == unit.name) {
            for folder in &library.standard {
                let folder = folder.join(data.as_bytes()).unwrap_or_else(|_| folder.clone());
                let is_data = |path: &ImagePath| {
                    ![&b".pm"[..], b".so"].iter().any(|end| path.as_bytes().ends_with(end))
                };
                let below = library.files_below(&library.real(&folder));
                found.extend(below.into_iter().filter(is_data));
            }
        }
        found
    }
}

/// The folders of `@INC`, in their order.
fn searched<'l>(library: &'l Library<'_>) -> impl Iterator<Item = &'l ImagePath> {
    library.site.iter().chain(&library.standard)
}

fn first(inside: &str, library: &Library<'_>) -> Option<ImagePath> {
    searched(library)
        .find_map(|folder| library.file(&[folder.as_bytes(), b"/", inside.as_bytes()].concat()))
}

/// A file that is named: absolute, in `@INC`, or where it says beside a script.
fn file(name: &str, library: &Library<'_>) -> Option<ImagePath> {
    if name.starts_with('/') {
        return library.file(name.as_bytes());
    }
    let beside = || {
        let inside = name.trim_start_matches("./");
        library
            .own
            .iter()
            .find_map(|folder| library.file(&[folder.as_bytes(), b"/", inside.as_bytes()].concat()))
    };
    if name.starts_with('.') { beside() } else { first(name, library).or_else(beside) }
}
