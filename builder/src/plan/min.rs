//! What no run used, of the files that rules and recipes bring.
//!
//! A file stays if a run named it, or a link that leads to it; a link if a run went through it; a folder
//! if anything below it was named, or nothing was ever in it. What a recipe names itself stays: of folders
//! and patterns only what was used. What the programs need stays, used or not.

use std::collections::BTreeSet;

use common::tree::ImagePath;

use super::conflict::{Draft, Rank};
use super::exclude::is_configured;
use super::{Entry, LeftOut, Node, Source};
use crate::spec::used::Used;

/// Removes what was not used.
pub(super) fn leave_out(draft: &mut Draft, used: &Used, left_out: &mut Vec<LeftOut>) {
    let reached = reached(draft, used);
    let gone: Vec<ImagePath> = draft
        .entries
        .iter()
        .filter(|(path, (rank, entry))| {
            let stands = [&draft.needed, &draft.named, &reached];
            matches!(rank, Rank::Rule | Rank::Recipe)
                && !stands.iter().any(|paths| paths.contains(*path))
                && !stays(draft, path, entry)
                && !was_seen_elsewhere(entry, used)
        })
        .map(|(path, _)| path.clone())
        .collect();
    for path in gone {
        draft.entries.remove(&path);
        left_out.push(LeftOut { path, pattern: None });
    }
}

/// What costs nothing, or is made for this image.
fn stays(draft: &Draft, path: &ImagePath, entry: &Entry) -> bool {
    match &entry.node {
        Node::Volume { .. } => true,
        Node::Folder { .. } if is_configured(entry) => true,
        Node::Folder { .. } => {
            let mut behind = draft.entries.range(path.clone()..).skip(1);
            !behind.next().is_some_and(|(next, _)| next.starts_with(path))
        }
        Node::File { source, .. } => matches!(source, Source::Generated { .. }),
        Node::Link { .. } | Node::HardLink { .. } => false,
    }
}

/// Whether a run named the file that it is copied from, or would have seen it elsewhere.
fn was_seen_elsewhere(entry: &Entry, used: &Used) -> bool {
    let Node::File { source, .. } = &entry.node else { return false };
    match source {
        Source::Root { path, .. } => used.has(path),
        // A run outside of the image finds the recipe's own files in some home, of which no profile tells.
        Source::Context { .. } => !used.is_of_image(),
        _ => false,
    }
}

/// Every entry that a used path leads to or through, with the folders above.
fn reached(draft: &Draft, used: &Used) -> BTreeSet<ImagePath> {
    let mut reached = BTreeSet::new();
    for path in used.iter() {
        let mut rest: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
        let mut at = ImagePath::root();
        // As many links as the kernel follows (path_resolution(7)).
        let mut links = 40;
        while let Some(name) = rest.pop() {
            if name == b".." {
                at = at.parent().unwrap_or(at);
                continue;
            }
            let Ok(next) = at.join(&name) else { break };
            let target = match draft.entries.get(&next).map(|(_, entry)| &entry.node) {
                Some(Node::Link { target }) => target.as_bytes().to_vec(),
                Some(_) => {
                    reached.insert(next.clone());
                    at = next;
                    continue;
                }
                None => {
                    at = next;
                    continue;
                }
            };
            reached.insert(next);
            links -= 1;
            if links == 0 {
                break;
            }
            if target.starts_with(b"/") {
                at = ImagePath::root();
            }
            let parts = target.split(|&byte| byte == b'/').rev();
            rest.extend(parts.filter(|part| !matches!(*part, b"" | b".")).map(<[u8]>::to_vec));
        }
    }
    reached
}
