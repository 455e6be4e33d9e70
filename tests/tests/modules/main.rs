//! Modules of interpreters: what is found without running anything, against what the interpreter really
//! loads.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod packages;
mod python;

use std::collections::BTreeSet;
use std::path::Path;

use builder::resolve::gather::{GatherError, Gathered, gather};
use builder::resolve::rules::RuleSet;
use builder::resolve::{Options, Sysroot};
use builder::spec::ImageSpec;
use builder::spec::recipe::Recipe;

/// What belongs to a recipe in a root, with a language's rule alone.
fn gathered(language: &str, recipe: &str, sysroot: &Sysroot) -> Result<Gathered, GatherError> {
    gathered_in(language, recipe, None, sysroot)
}

/// The same of a recipe in a folder.
fn gathered_in(
    language: &str,
    recipe: &str,
    folder: Option<&Path>,
    sysroot: &Sysroot,
) -> Result<Gathered, GatherError> {
    let recipe = Recipe::parse(recipe).expect("a recipe");
    let spec = ImageSpec::new(&recipe, folder, false).expect("something to pack");
    // What the libraries of extension modules need besides is the business of other tests.
    let rules = RuleSet::load(None).expect("rules");
    let others: Vec<String> = rules.iter().map(|(name, _)| name.to_owned()).collect();
    let others = others.into_iter().filter(|name| name != language).map(|name| (name, false));
    let rules = rules.switched(&others.collect()).expect("rules that exist");
    gather(&spec, sysroot, &Options::default(), b"/usr/bin:/bin", &rules, |_| {})
}

/// Every path that rules add or the resolver found, with all links resolved.
fn paths(gathered: &Gathered, sysroot: &Sysroot) -> BTreeSet<String> {
    let added = gathered.additions.iter().map(|addition| &addition.path);
    let found = gathered.closure.objects.iter().map(|found| &found.path);
    added
        .chain(found)
        .filter_map(|path| sysroot.walk(path.as_bytes()).ok())
        .map(|walk| walk.real.to_string())
        .collect()
}
