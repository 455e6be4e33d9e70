//! `Draft`: a plan in the making. Every entry passes through [`Draft::put`], which decides between
//! two things for one path; `settle` puts entries behind links where they really are, and
//! [`Draft::finish`] adds parents and keeps files with several names one file.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;

use super::error::PlanError;
use super::place::Placement;
use super::survey::{Fact, Identity, Survey};
use super::{Entry, Node, Source, Why};

/// Who wants an entry; a later one wins over an earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A folder or link that only leads somewhere.
    Way,
    /// Every image has it.
    Always,
    /// A rule.
    Rule,
    /// The closure of the programs.
    Closure,
    /// A person, by a recipe.
    Recipe,
}

/// Entries by path, with who wants them.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) entries: BTreeMap<ImagePath, (Rank, Entry)>,
    /// What the closure has, whoever else wants it too.
    pub(super) needed: BTreeSet<ImagePath>,
    /// What a recipe names itself, not by a pattern and not with a folder: files, locales, time zones.
    pub(super) named: BTreeSet<ImagePath>,
    /// Files of the root by what they are on disk.
    pub(super) identities: BTreeMap<ImagePath, Identity>,
}

impl Draft {
    /// Wants `node` at `path`.
    pub(super) fn put(
        &mut self,
        path: ImagePath,
        node: Node,
        rank: Rank,
        whys: &[Why],
    ) -> Result<(), PlanError> {
        let new = Entry { node, why: whys.to_vec() };
        if rank == Rank::Closure {
            self.needed.insert(path.clone());
        }
        if whys.iter().any(|why| matches!(why, Why::Wanted { .. })) {
            self.named.insert(path.clone());
        }
        let Some((old_rank, old)) = self.entries.get_mut(&path) else {
            self.entries.insert(path, (rank, new));
            return Ok(());
        };
        if old.node == new.node || is_folder(&old.node) && is_folder(&new.node) {
            // Of two folders, /tmp keeps its mode against a plain parent, and a volume its owner.
            let kept = *old_rank == Rank::Always || is_volume(&old.node);
            if !kept && (rank > *old_rank || is_volume(&new.node)) {
                old.node = new.node;
            }
            *old_rank = rank.max(*old_rank);
            old.why.extend_from_slice(whys);
            return Ok(());
        }
        let generated =
            |node: &Node| matches!(node, Node::File { source: Source::Generated { .. }, .. });
        let winner = match rank.cmp(old_rank) {
            std::cmp::Ordering::Equal if generated(&old.node) && !generated(&new.node) => true,
            std::cmp::Ordering::Equal if generated(&new.node) && !generated(&old.node) => false,
            // A file in the place of /proc, or a volume in that of /etc/passwd, would help nobody.
            _ if is_folder(&old.node) && is_file(&new.node)
                || is_file(&old.node) && is_folder(&new.node)
                || rank == Rank::Recipe && *old_rank == Rank::Closure
                || rank == *old_rank =>
            {
                return Err(PlanError::Conflict {
                    path,
                    one: describe(&old.node),
                    other: describe(&new.node),
                });
            }
            order => order.is_gt(),
        };
        if winner {
            (*old_rank, *old) = (rank, new);
        }
        Ok(())
    }

    /// Wants what stands at `path` in the root, with every link on the way to it, and what it leads
    /// to.
    pub(super) fn root_path(
        &mut self,
        survey: &Survey,
        path: &ImagePath,
        placement: &Placement,
        rank: Rank,
        whys: &[Why],
    ) -> Result<(), PlanError> {
        let Some(surveyed) = survey.get(path) else { return Ok(()) };
        if let Some(to) = placement.moved(path) {
            return self.fact(to.clone(), &surveyed.real, &surveyed.fact, rank, whys);
        }
        for (link, target) in &surveyed.links {
            // The link that was itself asked for has the reasons; others are on the way.
            let reasons =
                if path.file_name() == link.file_name() { whys } else { &[Why::OnTheWay] };
            self.put(link.clone(), Node::Link { target: target.clone() }, rank, reasons)?;
        }
        let to = placement.destination(&surveyed.real);
        self.fact(to, &surveyed.real, &surveyed.fact, rank, whys)
    }

    fn fact(
        &mut self,
        to: ImagePath,
        real: &ImagePath,
        fact: &Fact,
        rank: Rank,
        whys: &[Why],
    ) -> Result<(), PlanError> {
        match fact {
            Fact::Folder => self.put(to, Node::Folder { mode: 0o755 }, rank, whys),
            Fact::File { size, executable, identity, .. } => {
                if let Some(identity) = identity {
                    self.identities.insert(to.clone(), *identity);
                }
                let source = Source::Root { path: real.clone(), size: *size };
                self.put(to, Node::File { mode: mode(*executable), source }, rank, whys)
            }
            Fact::Nothing => Ok(()),
        }
    }

    /// Remembers that a destination has the bytes of a file with several names.
    pub(super) fn identify(&mut self, to: ImagePath, identity: Identity) {
        self.identities.insert(to, identity);
    }

    /// The finished entries.
    pub(super) fn finish(mut self) -> Result<BTreeMap<ImagePath, Entry>, PlanError> {
        self.add_parents()?;
        self.join_names();
        let mut entries = BTreeMap::new();
        for (path, (_, mut entry)) in self.entries {
            entry.why.sort();
            entry.why.dedup();
            // "On the way" says nothing where there is a better reason.
            if entry.why.len() > 1 {
                entry.why.retain(|why| *why != Why::OnTheWay);
            }
            entries.insert(path, entry);
        }
        Ok(entries)
    }

    fn add_parents(&mut self) -> Result<(), PlanError> {
        let paths: Vec<ImagePath> = self.entries.keys().cloned().collect();
        for path in paths {
            for ancestor in path.ancestors() {
                match self.entries.get(&ancestor) {
                    None => {
                        let folder = Node::Folder { mode: 0o755 };
                        self.put(ancestor, folder, Rank::Way, &[Why::OnTheWay])?;
                    }
                    Some((_, entry)) if is_folder(&entry.node) => {}
                    Some(_) => return Err(PlanError::NotFolder { path, file: ancestor }),
                }
            }
        }
        Ok(())
    }

    /// Files that are one on disk stay one: the first name has the bytes, the others are hard
    /// links.
    fn join_names(&mut self) {
        let mut first: BTreeMap<Identity, ImagePath> = BTreeMap::new();
        for (path, identity) in &self.identities {
            let Some((_, entry)) = self.entries.get_mut(path) else { continue };
            if !matches!(&entry.node, Node::File { source: Source::Root { .. }, .. }) {
                continue;
            }
            match first.get(identity) {
                Some(target) => entry.node = Node::HardLink { target: target.clone() },
                None => drop(first.insert(*identity, path.clone())),
            }
        }
    }
}

/// 0755 or 0644: what a file may be read and executed by does not depend on who built it.
pub(super) fn mode(executable: bool) -> u32 {
    if executable { 0o755 } else { 0o644 }
}

fn is_folder(node: &Node) -> bool {
    matches!(node, Node::Folder { .. } | Node::Volume { .. })
}

fn is_volume(node: &Node) -> bool {
    matches!(node, Node::Volume { .. })
}

fn is_file(node: &Node) -> bool {
    matches!(node, Node::File { .. } | Node::HardLink { .. })
}

fn describe(node: &Node) -> String {
    match node {
        Node::Folder { .. } => "a folder".to_owned(),
        Node::Volume { .. } => "a volume".to_owned(),
        Node::File { source: Source::Root { path, .. }, .. } => format!("the file `{path}`"),
        Node::File { source: Source::Part { path, .. }, .. } => format!("a part of `{path}`"),
        Node::File { source: Source::Context { path, .. }, .. } => {
            format!("the recipe's file `{path}`")
        }
        Node::File { source: Source::Generated { .. }, .. } => "a generated file".to_owned(),
        Node::File { source: Source::Stripped { .. }, .. } => "a stripped file".to_owned(),
        Node::Link { target } => format!("a link to `{target}`"),
        Node::HardLink { target } => format!("another name of `{target}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Name;
    use crate::plan::Generated;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).unwrap()
    }

    fn file(from: &str) -> Node {
        Node::File { mode: 0o644, source: Source::Root { path: path(from), size: 1 } }
    }

    fn made() -> Node {
        Node::File { mode: 0o644, source: Source::Generated { what: Generated::Empty } }
    }

    fn link(target: &str) -> Node {
        Node::Link { target: Name::from(target) }
    }

    /// One line for each entry: path and what is there.
    fn check(wanted: &[(&str, Node, Rank)], expected: &Result<&[&str], &str>) {
        let mut draft = Draft::default();
        let put = wanted
            .iter()
            .try_for_each(|(at, node, rank)| draft.put(path(at), node.clone(), *rank, &[]));
        let settled = put.and_then(|()| draft.settle(&Survey::default()));
        let entries = settled.and_then(|()| draft.finish());
        let lines = entries.map(|entries| {
            entries
                .iter()
                .map(|(path, entry)| format!("{path}: {}", describe(&entry.node)))
                .collect::<Vec<_>>()
        });
        match (lines, expected) {
            (Ok(lines), Ok(expected)) => assert_eq!(lines, *expected),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), *expected),
            (lines, expected) => panic!("{lines:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn the_higher_rank_wins_and_equals_must_agree() {
        let merged = Ok(&["/: a folder", "/x: the file `/a`"][..]);
        check(&[("/x", file("/a"), Rank::Closure), ("/x", file("/a"), Rank::Rule)], &merged);
        check(&[("/x", made(), Rank::Always), ("/x", file("/a"), Rank::Rule)], &merged);
        check(&[("/x", file("/a"), Rank::Recipe), ("/x", file("/b"), Rank::Rule)], &merged);
        check(&[("/x", file("/a"), Rank::Rule), ("/x", made(), Rank::Rule)], &merged);
        let conflict = "two different things would stand at `/x`: the file `/a`, and the file `/b`";
        check(
            &[("/x", file("/a"), Rank::Closure), ("/x", file("/b"), Rank::Recipe)],
            &Err(conflict),
        );
        check(&[("/x", file("/a"), Rank::Rule), ("/x", file("/b"), Rank::Rule)], &Err(conflict));
        let folder = || Node::Folder { mode: 0o755 };
        let conflict = "two different things would stand at `/x`: a folder, and the file `/a`";
        let recipe = [("/x", folder(), Rank::Always), ("/x", file("/a"), Rank::Recipe)];
        check(&recipe, &Err(conflict));
        let conflict = "two different things would stand at `/x`: a generated file, and a folder";
        check(&[("/x", made(), Rank::Always), ("/x", folder(), Rank::Rule)], &Err(conflict));
    }

    #[test]
    fn what_is_placed_below_a_link_goes_to_where_the_link_leads() {
        check(
            &[
                ("/lib", link("usr/lib"), Rank::Closure),
                ("/lib/a/x", file("/s"), Rank::Recipe),
                ("/up", link("../../usr/./lib/.."), Rank::Closure),
                ("/up/y", file("/t"), Rank::Recipe),
            ],
            &Ok(&[
                "/: a folder",
                "/lib: a link to `usr/lib`",
                "/up: a link to `../../usr/./lib/..`",
                "/usr: a folder",
                "/usr/lib: a folder",
                "/usr/lib/a: a folder",
                "/usr/lib/a/x: the file `/s`",
                "/usr/y: the file `/t`",
            ]),
        );
        check(
            &[("/f", file("/s"), Rank::Recipe), ("/f/x", file("/s"), Rank::Recipe)],
            &Err("`/f/x` cannot be below `/f`, which is not a folder"),
        );
    }

    #[test]
    fn a_volume_keeps_its_owner_against_every_folder() {
        let volume = || Node::Volume { mode: 0o1777, uid: 33, gid: 34 };
        let folder = || Node::Folder { mode: 0o755 };
        for rank in [Rank::Way, Rank::Rule, Rank::Closure, Rank::Recipe] {
            for wanted in [
                [(volume(), Rank::Rule), (folder(), rank)],
                [(folder(), rank), (volume(), Rank::Rule)],
            ] {
                let mut draft = Draft::default();
                for (node, rank) in wanted {
                    draft.put(path("/v"), node, rank, &[]).unwrap();
                }
                draft.settle(&Survey::default()).unwrap();
                assert_eq!(draft.finish().unwrap()[&path("/v")].node, volume());
            }
        }
        // What every image has is for all its users: /tmp stays 1777.
        check(
            &[("/tmp", folder(), Rank::Always), ("/tmp", volume(), Rank::Rule)],
            &Ok(&["/: a folder", "/tmp: a folder"]),
        );
    }

    #[test]
    fn one_inode_stays_one_file() {
        let mut draft = Draft::default();
        for name in ["/b", "/a", "/c"] {
            draft.put(path(name), file(name), Rank::Closure, &[]).unwrap();
            draft.identify(path(name), if name == "/c" { (1, 2) } else { (1, 1) });
        }
        let entries = draft.finish().unwrap();
        assert_eq!(entries[&path("/a")].node, file("/a"));
        assert_eq!(entries[&path("/b")].node, Node::HardLink { target: path("/a") });
        assert_eq!(entries[&path("/c")].node, file("/c"));
    }
}
