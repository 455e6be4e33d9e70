//! What the locales and time zones that were asked for put where. A recipe's file wins over them.

use super::conflict::{Draft, Rank};
use super::error::PlanError;
use super::place::Placement;
use super::survey::Survey;
use super::{Node, Source, Why};
use crate::resolve::gather::Gathered;
use crate::resolve::regional::{Brought, Wanted, same_parts};

pub(super) fn add(
    draft: &mut Draft,
    gathered: &Gathered,
    survey: &Survey,
    placement: &Placement,
) -> Result<(), PlanError> {
    // Most locales of a language have categories in common; in the archive, and in folders by hard links,
    // each is there once.
    let same = same_parts(&gathered.regional);
    for regional in &gathered.regional {
        let Wanted { kind, name } = &regional.wanted;
        let whys = [Why::Wanted { kind: (*kind).to_owned(), name: name.clone() }];
        let node = match (&regional.what, same.get(&regional.path)) {
            (Brought::Copy, _) => {
                draft.root_path(survey, &regional.path, placement, Rank::Rule, &whys)?;
                continue;
            }
            (Brought::Part { .. }, Some(first)) => Node::HardLink { target: (*first).clone() },
            (Brought::Part { file, offset, size }, None) => {
                let source = Source::Part { path: file.clone(), offset: *offset, size: *size };
                Node::File { mode: 0o644, source }
            }
            (Brought::Link(target), _) => Node::Link { target: target.clone() },
        };
        draft.put(regional.path.clone(), node, Rank::Rule, &whys)?;
    }
    Ok(())
}
