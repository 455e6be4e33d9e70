//! Interpreters that are asked what they load.

use std::collections::BTreeSet;
use std::process::Command;

use builder::resolve::Sysroot;

use super::{gathered, paths};

/// Every path that an image of `language`'s interpreter with these modules has, all links resolved.
pub(crate) fn files(language: &str, modules: &str, sysroot: &Sysroot) -> BTreeSet<String> {
    let recipe = format!("executables = [\"{language}\"]\n[modules]\n{language} = [{modules:?}]");
    paths(&gathered(language, &recipe, sysroot).expect("modules"), sysroot)
}

/// Asks `oracle`, which reads names and prints a line for each that it could load: the name and paths,
/// with tabs between. Fails where an image with that module lacks one of them, or fewer than `least` could be
/// loaded at all.
pub(crate) fn nothing_is_lacking(
    language: &str,
    oracle: &mut Command,
    names: &BTreeSet<String>,
    least: usize,
) {
    let sysroot = Sysroot::open("/".as_ref()).expect("the root");
    let input = names.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let told = tests::outcome::run_with_input(oracle, input.as_bytes()).ok();
    let (mut lacking, mut checked) = (Vec::new(), 0);
    for line in told.text().lines() {
        let mut loaded = line.split('\t');
        let name = loaded.next().expect("a name");
        let found = files(language, name, &sysroot);
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
