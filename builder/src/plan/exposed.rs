//! Files that not everybody may read in the root. In an image all files are readable: who packs a key or a
//! list of passwords should know.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;

use super::survey::{Fact, MatchFact, Survey};
use super::{Entry, Node, Source};

/// As many are named.
const NAMED: usize = 5;

/// What a person should know of files of the root that others than their owners may not read there.
pub(super) fn warning(entries: &BTreeMap<ImagePath, Entry>, survey: &Survey) -> Option<String> {
    let private = private(survey);
    let exposed: Vec<&ImagePath> = entries
        .iter()
        .filter(|(_, entry)| match &entry.node {
            Node::File { mode, source: Source::Root { path, .. } } => {
                mode & 0o004 != 0 && private.contains(path)
            }
            _ => false,
        })
        .map(|(path, _)| path)
        .collect();
    let named: Vec<String> = exposed.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
    let more = match exposed.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    (!named.is_empty()).then(|| {
        format!(
            "not everybody may read {}{more} here, but in the image everybody may: keep secrets \
             out of images",
            named.join(", ")
        )
    })
}

/// Real paths of such files. (Those of the recipe's own folder are as private as its owner's umask
/// makes them.)
fn private(survey: &Survey) -> BTreeSet<ImagePath> {
    let is_private = |fact: &Fact| matches!(fact, Fact::File { private: true, .. });
    let by_path = survey.paths.values().filter(|found| is_private(&found.fact));
    let matched = survey.matches.iter().flatten().flat_map(|found| &found.below);
    let matched = matched.filter(|(_, fact)| matches!(fact, MatchFact::Fact(f) if is_private(f)));
    by_path
        .map(|found| found.real.clone())
        .chain(matched.filter_map(|(path, _)| ImagePath::new(path).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::survey::{Match, Surveyed};
    use super::*;

    #[test]
    fn what_only_some_could_read_is_named() {
        let path = |text: &str| ImagePath::new(text).unwrap();
        let fact = |private| Fact::File {
            size: 1,
            executable: false,
            special: 0,
            private,
            identity: None,
        };
        let mut survey = Survey::default();
        for (asked, real, private) in [("/key", "/real", true), ("/open", "/open", false)] {
            let surveyed =
                Surveyed { links: BTreeMap::new(), real: path(real), fact: fact(private) };
            survey.paths.insert(path(asked), surveyed);
        }
        let matched = (b"/matched".to_vec(), MatchFact::Fact(fact(true)));
        survey.matches.push(vec![Match { top: b"/matched".to_vec(), below: vec![matched] }]);
        let file = |mode, from: &str| Entry {
            node: Node::File { mode, source: Source::Root { path: path(from), size: 1 } },
            why: Vec::new(),
        };
        let told = |entries: &[(&str, u32, &str)]| {
            let entries = entries.iter().map(|(at, mode, from)| (path(at), file(*mode, from)));
            warning(&entries.collect(), &survey)
        };
        assert_eq!(told(&[("/a", 0o644, "/open")]), None);
        // A mode that a recipe keeps closed is no news.
        assert_eq!(told(&[("/a", 0o600, "/real")]), None);
        let both = told(&[("/a", 0o644, "/real"), ("/b", 0o755, "/matched")]).unwrap();
        assert!(both.starts_with("not everybody may read `/a`, `/b` here"), "{both}");
    }
}
