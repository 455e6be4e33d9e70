//! Suspects: what programs of the image looked for in vain, and would have found in the root that it was
//! built from.
//!
//! Pure but for looking into the root. What every run of anything looks for and nobody needs is
//! [`distil`]'s to drop; a recipe's `ignore` drops what its author knows.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;
use serde::Serialize;

use super::OURS;
use crate::resolve::Sysroot;
use crate::resolve::rules::{Rule, RuleSet};
use crate::spec::check::Pattern;
use crate::spec::glob::Glob;
use crate::trace::Record;
use crate::trace::distil::{Facts, distil};

/// Homes: what is there belongs to a person, and is not the application's.
const HOMES: [&str; 2] = ["/root", "/home"];

/// Names of locales that nobody has used since long; the C library looks for them before any message.
const NOISE: [&[u8]; 1] = [b"/usr/share/locale/locale.alias"];

/// A path that may be missing in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suspect {
    /// The path.
    pub path: ImagePath,
    /// Who looked for it.
    pub by: BTreeSet<ImagePath>,
    /// A rule that ships it and is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// The suspects of a run, sorted by path. `on` are the rules that the image was built with.
pub(super) fn suspects(
    record: &Record,
    root: &Sysroot,
    ignore: &[Pattern],
    on: &RuleSet,
) -> Vec<Suspect> {
    let homes = HOMES.iter().filter_map(|home| ImagePath::new(home).ok()).collect();
    let (profile, _) = distil(record, &Facts { homes, ..Facts::default() });
    let mut found: BTreeMap<ImagePath, BTreeSet<ImagePath>> = BTreeMap::new();
    for (program, seen) in profile.programs {
        for path in seen.missing {
            let is_ignored = |path: &ImagePath| {
                NOISE.contains(&path.as_bytes())
                    || ignore.iter().any(|pattern| pattern.covers(path.as_bytes()))
            };
            if path.as_bytes().starts_with(OURS.as_bytes())
                || is_ignored(&path)
                || root.lookup(path.as_bytes()).is_err()
            {
                continue;
            }
            // `/bin/env` and `/usr/bin/env` are one file.
            let real = root.locate(path.as_bytes(), b"").unwrap_or(path);
            if !is_ignored(&real) {
                found.entry(real).or_default().insert(program.clone());
            }
        }
    }
    let off = off(on);
    let rule = |path: &ImagePath| off.iter().find(|(_, rule)| ships(rule, path));
    found
        .into_iter()
        .map(|(path, by)| Suspect { rule: rule(&path).map(|(name, _)| name.clone()), path, by })
        .collect()
}

/// The rules that come with the program and are off.
fn off(on: &RuleSet) -> Vec<(String, Rule)> {
    let on: BTreeSet<&str> = on.iter().map(|(name, _)| name).collect();
    // They are part of the program: they can be read.
    let Ok(all) = RuleSet::load(None) else { return Vec::new() };
    let off = all.iter().filter(|(name, _)| !on.contains(name));
    off.map(|(name, rule)| (name.to_owned(), rule.clone())).collect()
}

/// Whether the rule names the path, or a folder above it. (What it names by where it fired is not known.)
fn ships(rule: &Rule, path: &ImagePath) -> bool {
    let files = rule.ship.iter().flat_map(|ship| &ship.files);
    files.filter(|pattern| !pattern.contains('{')).any(|pattern| {
        Glob::parse(pattern.as_bytes()).is_ok_and(|glob| {
            let matches = |path: &ImagePath| glob.matches(path.as_bytes()).is_some();
            matches(path) || path.ancestors().iter().any(matches)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_root_has_and_the_image_lacks_is_a_suspect() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("usr/bin", folder.path().join("bin")).unwrap();
        for path in
            ["etc", "usr/share/zoneinfo/Europe", "usr/bin", "lib", "root", "tmp", "opt/known"]
        {
            std::fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for path in [
            "etc/app.conf",
            "usr/share/zoneinfo/Europe/Berlin",
            "root/.apprc",
            "tmp/x",
            "opt/known/x",
            "etc/ld.so.cache",
            "lib/libx.so",
            "bin/env",
        ] {
            std::fs::write(folder.path().join(path), "").unwrap();
        }
        let path = |text: &str| ImagePath::new(text).unwrap();
        let mut record = Record::default();
        record.made.insert(path("/etc/made"));
        let seen = record.profile.seen(path("/bin/app"));
        seen.opened.insert(path("/usr/lib/libx.so"));
        seen.missing.extend(
            [
                "/etc/app.conf",
                "/usr/share/zoneinfo/Europe/Berlin",
                "/root/.apprc",
                "/tmp/x",
                "/opt/known/x",
                "/etc/ld.so.cache",
                "/lib/libx.so",
                "/etc/nowhere",
                "/.coracle/x",
                "/bin/env",
                "/usr/bin/env",
            ]
            .map(path),
        );
        let root = Sysroot::open(folder.path()).unwrap();
        let on = RuleSet::load(None).unwrap().switched(&BTreeMap::new()).unwrap();
        let ignore = ["/opt/known".parse().unwrap()];
        let found = suspects(&record, &root, &ignore, &on);
        let told: Vec<_> = found.iter().map(|s| (s.path.to_string(), s.rule.as_deref())).collect();
        assert_eq!(
            told,
            [
                ("/etc/app.conf".to_owned(), None),
                ("/usr/bin/env".to_owned(), None),
                ("/usr/share/zoneinfo/Europe/Berlin".to_owned(), Some("tzdata")),
            ]
        );
        assert_eq!(found[0].by, [path("/bin/app")].into());
    }
}
