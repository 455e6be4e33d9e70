//! Lists of modules say what the image has, not what the root has: a library that is told of a module which is
//! not there fails, or complains at every start.

use std::collections::BTreeMap;

use common::tree::ImagePath;

use super::{Entry, Generated, Node, Source};

/// Links that the kernel follows on the way to a file (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Takes from every list the parts of modules that are no entry.
pub(super) fn settle(entries: &mut BTreeMap<ImagePath, Entry>) {
    let is_list = |entry: &Entry| {
        let Node::File { source: Source::Generated { what }, .. } = &entry.node else {
            return false;
        };
        matches!(what, Generated::ModuleList { .. })
    };
    let lists: Vec<ImagePath> =
        entries.iter().filter(|(_, entry)| is_list(entry)).map(|(path, _)| path.clone()).collect();
    for path in lists {
        let Some(mut entry) = entries.remove(&path) else { continue };
        if let Node::File {
            source: Source::Generated { what: Generated::ModuleList { parts } },
            ..
        } = &mut entry.node
        {
            parts.retain(|part| part.module.as_ref().is_none_or(|module| has(entries, module)));
        }
        entries.insert(path, entry);
    }
}

/// Whether a path leads to a file of the image.
fn has(entries: &BTreeMap<ImagePath, Entry>, path: &ImagePath) -> bool {
    let mut path = path.clone();
    for _ in 0..MAX_LINKS {
        let link = path.ancestors().into_iter().chain([path.clone()]).find_map(|at| {
            let Some(Entry { node: Node::Link { target }, .. }) = entries.get(&at) else {
                return None;
            };
            Some((at, target))
        });
        let Some((at, target)) = link else {
            let node = entries.get(&path).map(|entry| &entry.node);
            return matches!(node, Some(Node::File { .. } | Node::HardLink { .. }));
        };
        let Some(next) = followed(&path, &at, target.as_bytes()) else { return false };
        path = next;
    }
    false
}

/// `path`, with the link at `at` followed.
fn followed(path: &ImagePath, at: &ImagePath, target: &[u8]) -> Option<ImagePath> {
    let rest = path.as_bytes().strip_prefix(at.as_bytes())?;
    let mut found = if target.starts_with(b"/") { ImagePath::root() } else { at.parent()? };
    for part in target.split(|byte| *byte == b'/').chain(rest.split(|byte| *byte == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => found = found.parent().unwrap_or_else(ImagePath::root),
            name => found = found.join(name).ok()?,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Name;
    use crate::resolve::ship::Part;

    #[test]
    fn a_list_keeps_what_leads_to_a_file_of_the_image() {
        let path = |text: &str| ImagePath::new(text).unwrap();
        let part = |module: &str| Part { module: Some(path(module)), text: Name::from(module) };
        let parts = [
            Part { module: None, text: Name::from("# c") },
            part("/lib/m/a.so"),
            part("/usr/lib/m/b.so"),
            part("/usr/lib/m/gone.so"),
            part("/usr/lib/m"),
            part("/loop/x.so"),
            part("/up/m/a.so"),
        ];
        let node = |node| Entry { node, why: Vec::new() };
        let file = |what| node(Node::File { mode: 0o644, source: Source::Generated { what } });
        let link = |target: &str| node(Node::Link { target: Name::from(target) });
        let mut entries = BTreeMap::from([
            (path("/lib"), link("usr/lib")),
            (path("/loop"), link("/loop")),
            (path("/up"), link("usr/./share/../lib")),
            (path("/usr/lib/m"), node(Node::Folder { mode: 0o755 })),
            (path("/usr/lib/m/a.so"), file(Generated::Empty)),
            (path("/usr/lib/m/b.so"), link("a.so")),
            (path("/list"), file(Generated::ModuleList { parts: parts.to_vec() })),
        ]);
        settle(&mut entries);
        let Node::File { source: Source::Generated { what }, .. } = &entries[&path("/list")].node
        else {
            panic!("no file");
        };
        let kept = [0, 1, 2, 6].map(|number| parts[number].clone()).to_vec();
        assert_eq!(*what, Generated::ModuleList { parts: kept });
    }
}
