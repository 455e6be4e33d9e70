//! What an image gets of one interpreter's modules, and what a person is told of it.

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::walk::Walk;
use super::{Dialect, Import, Kind, Library, Unit, dialect};
use crate::resolve::rules::LanguageRule;
use crate::resolve::rules::fire::Firing;
use crate::resolve::ship::{Added, ShipError, Shipping, because};
use crate::resolve::{Because, Origin};
use crate::spec::modules::Wanted;

/// Scripts above this are not read for imports.
const MAX_SCRIPT: u64 = super::library::MAX_SOURCE;
/// So many names are told to whoever has mistyped one.
const MAX_SIMILAR: usize = 5;

/// Adds the modules that one interpreter needs.
pub(in crate::resolve) fn serve(
    shipping: &mut Shipping<'_>,
    firing: &Firing<'_>,
    rule: &LanguageRule,
) -> Result<(), ShipError> {
    let dialect = dialect(rule.language);
    let mut library = Library::new(shipping.sysroot, shipping.memory);
    library.standard = folders(shipping, firing, &rule.standard)?;
    library.site = folders(shipping, firing, &rule.site)?;
    let (interpreters, scripts) = started(shipping, firing);
    library.own = scripts.iter().filter_map(ImagePath::parent).collect();
    library.own.dedup();
    let read = dialect.prepare(&mut library, &interpreters);
    let because = because(firing, None);
    let names = &shipping.brought.names;
    let mut walk = Walk::new(dialect, &library, rule, shipping.memory, names);
    for name in &rule.start {
        walk.start_with(name, because.saying("it starts with it"));
    }
    asked(shipping, &mut walk, &because)?;
    let sources = sources(shipping, &mut walk, &scripts, &because);
    let is_bare = sources == 0 && shipping.asked.of(rule.language).is_none();
    let (shipped, missing) = (walk.shipped, walk.missing);
    for (path, module) in missing {
        shipping.found.warnings.insert(format!(
            "{}: `{path}` imports `{}`, which is in none of the folders that the interpreter searches",
            firing.name,
            module.escape_debug(),
        ));
    }
    if is_bare && !library.standard.is_empty() {
        let language = rule.language;
        shipping.found.warnings.insert(format!(
            "{}: no script is packed, so there are only the modules that the interpreter starts with; \
             add others with --{language}-modules NAME,... (`*`: the whole standard library)",
            firing.name,
        ));
    }
    for path in read {
        let why = "the interpreter looks there for modules".to_owned();
        shipping.add(path, Added::Copy, &because.saying(why));
    }
    for (path, shipped) in shipped {
        for data in dialect.beside(&shipped.unit, &library) {
            let why = format!("comes with the module `{}`", shipped.unit.name);
            let because = Because { trigger: path.clone(), ..because.saying(why) };
            shipping.add(data, Added::Copy, &because);
        }
        match shipped.unit.kind {
            Kind::Object => shipping.module(firing, path, &shipped.because),
            Kind::Source | Kind::Data => shipping.add(path, Added::Copy, &shipped.because),
        }
    }
    Ok(())
}

/// The folders of the root that templates mean, in their order, each once.
fn folders(
    shipping: &Shipping<'_>,
    firing: &Firing<'_>,
    templates: &[String],
) -> Result<Vec<ImagePath>, ShipError> {
    let mut folders = Vec::new();
    for template in templates {
        for path in shipping.paths(firing, template)? {
            if shipping.sysroot.is_folder(path.as_bytes()) && !folders.contains(&path) {
                folders.push(path);
            }
        }
    }
    Ok(folders)
}

/// Paths by which the interpreter is started, and scripts that it runs.
fn started<'c>(
    shipping: &Shipping<'c>,
    firing: &Firing<'_>,
) -> (Vec<&'c ImagePath>, Vec<ImagePath>) {
    let (mut interpreters, mut scripts) = (Vec::new(), BTreeSet::new());
    let closure = shipping.closure;
    for program in firing.programs.iter().filter_map(|&index| closure.programs.get(index)) {
        interpreters.push(&program.path);
        if let Origin::Shebang { script } | Origin::Env { script } = &program.origin
            && let Ok(walk) = shipping.sysroot.walk(script.as_bytes())
        {
            scripts.insert(walk.real);
        }
    }
    interpreters.sort();
    interpreters.dedup();
    (interpreters, scripts.into_iter().collect())
}

/// What a person asked for. It must be there.
fn asked(shipping: &Shipping<'_>, walk: &mut Walk<'_>, because: &Because) -> Result<(), ShipError> {
    let language = walk.rule.language;
    for wanted in shipping.asked.of(language).into_iter().flatten() {
        let why = match wanted {
            Wanted::All => "the whole standard library was asked for".to_owned(),
            Wanted::Below(name) => format!("asked for with all below `{name}`"),
            Wanted::Module(name) => format!("asked for as `{name}`"),
        };
        let because = because.saying(why);
        let all = match wanted {
            Wanted::Module(_) => BTreeSet::new(),
            Wanted::Below(name) => walk.dialect.below(name, walk.library),
            Wanted::All => {
                let all = walk.dialect.below("", walk.library);
                all.into_iter().filter(|name| !walk.rule.excepts(name)).collect()
            }
        };
        if let Wanted::Below(name) | Wanted::Module(name) = wanted
            && !walk.want_to_run(name, &because)
            && all.is_empty()
            && let Some(folder) = walk.library.standard.first()
        {
            return Err(ShipError::NoModule {
                language,
                module: name.clone(),
                folder: folder.as_bytes().to_vec(),
                similar: similar(name, walk.dialect.known(walk.library)),
            });
        }
        for name in all {
            walk.want(Import::maybe(&name), because.clone());
        }
    }
    Ok(())
}

/// What sources of the image import; how many there are.
fn sources(
    shipping: &Shipping<'_>,
    walk: &mut Walk<'_>,
    scripts: &[ImagePath],
    because: &Because,
) -> usize {
    let (dialect, library) = (walk.dialect, walk.library);
    let unit =
        |path: &ImagePath| Unit { path: path.clone(), name: String::new(), kind: Kind::Source };
    let mut count = 0;
    for path in scripts {
        let Some(text) = library.read(path, MAX_SCRIPT) else { continue };
        walk.source(path, dialect.imports(&unit(path), &text, library), because);
        count += 1;
    }
    let brought = &shipping.brought;
    for file in brought.files.iter().filter(|file| file.language == walk.rule.language) {
        walk.source(&file.path, dialect.imports(&unit(&file.path), &file.text, library), because);
        count += 1;
    }
    let command = of_command(dialect, &brought.command);
    count += command.len();
    let why = "the image's command imports it".to_owned();
    for import in command {
        walk.want(import, because.saying(why.as_str()));
    }
    count
}

fn of_command(dialect: &dyn Dialect, words: &[String]) -> Vec<Import> {
    if words.is_empty() { Vec::new() } else { dialect.of_command(words) }
}

/// Names that somebody may have meant, the nearest first.
fn similar(name: &str, known: BTreeSet<String>) -> Vec<String> {
    let limit = 1 + name.chars().count() / 4;
    let mut near: Vec<(usize, String)> = known
        .into_iter()
        .map(|known| (distance(name, &known), known))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    near.sort();
    near.into_iter().map(|(_, name)| name).take(MAX_SIMILAR).collect()
}

/// Letters to change, add or take away (Levenshtein's distance), whatever their case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.to_lowercase().chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        row[0] = left;
        for (column, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            left = changed.min(diagonal + 1).min(left + 1);
            row[column + 1] = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_told() {
        let known = ["json", "xml", "sqlite3", "ssl", "select", "string"].map(str::to_owned);
        for (name, wanted) in [
            ("jsom", vec!["json"]),
            ("SSL", vec!["ssl"]),
            ("sqlite", vec!["sqlite3"]),
            ("nothing-like-it", vec![]),
        ] {
            assert_eq!(similar(name, known.clone().into()), wanted, "{name}");
        }
    }
}
