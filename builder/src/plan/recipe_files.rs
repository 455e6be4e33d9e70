//! What a recipe's `files` tables put where.

use common::tree::ImagePath;

use super::conflict::{Draft, Rank, mode};
use super::error::PlanError;
use super::survey::{Fact, Match, MatchFact, Survey};
use super::{Node, Source, Why};
use crate::elf::Name;
use crate::spec::{Destination, ExtraFile, ImageSpec, Source as Wanted};

pub(super) fn add(draft: &mut Draft, spec: &ImageSpec, survey: &Survey) -> Result<(), PlanError> {
    for (file, matches) in spec.files.iter().zip(&survey.matches) {
        if matches.is_empty() {
            return Err(PlanError::NoMatch(file.text.clone()));
        }
        if let (Destination::Path(destination), 2..) = (&file.destination, matches.len()) {
            return Err(PlanError::ManyMatches {
                source_text: file.text.clone(),
                count: matches.len(),
                destination: destination.clone(),
            });
        }
        for found in matches {
            add_match(draft, file, found)?;
        }
    }
    Ok(())
}

fn add_match(draft: &mut Draft, file: &ExtraFile, found: &Match) -> Result<(), PlanError> {
    let placed = |path: Result<ImagePath, common::tree::PathError>| {
        path.map_err(|source| PlanError::Path { of: ImagePath::root(), source })
    };
    let name = found.top.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let top = match &file.destination {
        Destination::Same => placed(ImagePath::new(&found.top))?,
        Destination::Path(path) => path.clone(),
        Destination::Into(folder) => placed(folder.join(name))?,
    };
    let why = [Why::Recipe { source: file.text.clone() }];
    let (Wanted::Root(glob) | Wanted::Context(glob)) = &file.source;
    if glob.literal().is_some() && found.below.len() == 1 {
        draft.named.insert(top.clone());
    }
    for (path, fact) in &found.below {
        let to = placed(top.join(&path[found.top.len()..]))?;
        let node = match fact {
            MatchFact::Link(target) => Node::Link { target: target.clone() },
            MatchFact::Fact(Fact::Folder) => Node::Folder { mode: 0o755 },
            MatchFact::Fact(Fact::Nothing) => continue,
            MatchFact::Fact(Fact::File { size, executable, special, identity, .. }) => {
                let kept = if file.keep_setuid { *special } else { 0 };
                if let (Some(identity), Wanted::Root(_), 0) = (identity, &file.source, kept) {
                    draft.identify(to.clone(), *identity);
                }
                let source = match &file.source {
                    Wanted::Root(_) => {
                        Source::Root { path: placed(ImagePath::new(path))?, size: *size }
                    }
                    Wanted::Context(_) => {
                        let relative = path.strip_prefix(b"/").unwrap_or(path);
                        Source::Context { path: Name::from(relative), size: *size }
                    }
                };
                Node::File { mode: mode(*executable) | kept, source }
            }
        };
        draft.put(to, node, Rank::Recipe, &why)?;
    }
    Ok(())
}
