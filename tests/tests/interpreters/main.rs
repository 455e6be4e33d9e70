//! Modules of perl and ruby: what is found without running anything, against what the interpreter loads.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod perl;
mod ruby;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use builder::resolve::gather::gather;
use builder::resolve::rules::RuleSet;
use builder::resolve::{Options, Sysroot};
use builder::spec::ImageSpec;
use builder::spec::recipe::Recipe;

/// The rule of one language alone.
fn rule(language: &str) -> RuleSet {
    let rules = RuleSet::load(None).expect("rules");
    let on: BTreeMap<String, bool> =
        rules.iter().map(|(name, _)| (name.to_owned(), name == language)).collect();
    rules.switched(&on).expect("rules")
}

/// Every path that an image of `language`'s interpreter with these modules has, all links resolved.
fn files(language: &str, modules: &str, rules: &RuleSet, sysroot: &Sysroot) -> BTreeSet<String> {
    let recipe = format!("executables = [\"{language}\"]\n[modules]\n{language} = [{modules:?}]");
    let recipe = Recipe::parse(&recipe).expect("a recipe");
    let spec = ImageSpec::new(&recipe, None, false).expect("something to pack");
    let gathered = gather(&spec, sysroot, &Options::default(), b"/usr/bin:/bin", rules, |_| {});
    let gathered = gathered.expect("modules");
    let added = gathered.additions.iter().map(|addition| &addition.path);
    let found = gathered.closure.objects.iter().map(|found| &found.path);
    added
        .chain(found)
        .filter_map(|path| sysroot.walk(path.as_bytes()).ok())
        .map(|walk| walk.real.to_string())
        .collect()
}

/// Asks `oracle`, which reads names and prints a line for each that it could load: the name and paths,
/// with tabs between. Fails where an image with that module lacks one of them, or fewer than `least` could be
/// loaded at all.
fn nothing_is_lacking(
    language: &str,
    oracle: &mut Command,
    names: &BTreeSet<String>,
    least: usize,
) {
    let sysroot = Sysroot::open("/".as_ref()).expect("the root");
    let rules = rule(language);
    let input: String = names.iter().map(|name| format!("{name}\n")).collect();
    let told = tests::outcome::run_with_input(oracle, input.as_bytes()).ok();
    let (mut lacking, mut checked) = (Vec::new(), 0);
    for line in told.text().lines() {
        let mut loaded = line.split('\t');
        let name = loaded.next().expect("a name");
        let found = files(language, name, &rules, &sysroot);
        let real = |file: &str| std::fs::canonicalize(file).expect(file).display().to_string();
        let lacks: Vec<String> = loaded.map(real).filter(|file| !found.contains(file)).collect();
        if !lacks.is_empty() {
            lacking.push(format!("{name}: {}", lacks.join(" ")));
        }
        checked += 1;
    }
    assert!(lacking.is_empty(), "{} of {checked}:\n{}", lacking.len(), lacking.join("\n"));
    assert!(checked >= least, "{checked}");
}
