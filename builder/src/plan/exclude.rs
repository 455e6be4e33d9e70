//! What a person leaves out of the image by pattern.
//!
//! Files that rules and recipes bring go; what the programs need stays, and leaving it out is an error
//! that says who needs it. What every image has is not subject to patterns.

use super::conflict::{Draft, Rank};
use super::error::PlanError;
use super::{Entry, LeftOut, Why};
use crate::spec::least::Exclude;

/// Removes what the patterns cover.
pub(super) fn exclude(
    draft: &mut Draft,
    patterns: &[Exclude],
    left_out: &mut Vec<LeftOut>,
) -> Result<(), PlanError> {
    if patterns.is_empty() {
        return Ok(());
    }
    let mut gone = Vec::new();
    let mut needed = Vec::new();
    for (path, (rank, entry)) in &draft.entries {
        let Some(pattern) = patterns.iter().find(|pattern| pattern.covers(path)) else { continue };
        if draft.needed.contains(path) {
            let because = entry.why.iter().find_map(words);
            needed.push((because.is_none(), path, pattern, because));
        } else if matches!(rank, Rank::Rule | Rank::Recipe) && !is_configured(entry) {
            gone.push((path.clone(), pattern.as_str().to_owned()));
        }
    }
    // Of a link and the library behind it, the library says who needs it.
    if let Some((_, path, pattern, because)) = needed.into_iter().min_by_key(|found| found.0) {
        return Err(PlanError::Excluded {
            path: path.clone(),
            pattern: pattern.as_str().to_owned(),
            because: because.unwrap_or_else(|| "it is on the way to what is needed".to_owned()),
        });
    }
    for (path, pattern) in gone {
        draft.entries.remove(&path);
        left_out.push(LeftOut { path, pattern: Some(pattern) });
    }
    Ok(())
}

/// Whether a volume or the working directory is here.
pub(super) fn is_configured(entry: &Entry) -> bool {
    entry.why.iter().any(|why| matches!(why, Why::Configured { .. }))
}

/// Patterns that left nothing out.
pub(super) fn idle<'p>(
    patterns: &'p [Exclude],
    left_out: &[LeftOut],
) -> impl Iterator<Item = &'p Exclude> {
    patterns.iter().filter(|pattern| !left_out.iter().any(|left| pattern.covers(&left.path)))
}

/// What says who needs something.
fn words(why: &Why) -> Option<String> {
    Some(match why {
        Why::Asked => "it was asked for by name".to_owned(),
        Why::Loaded { by, name, .. } => format!("`{by}` needs it as `{name}`"),
        Why::Opened { by, feature, .. } => format!("`{by}` opens it for its feature `{feature}`"),
        Why::Script { by } => format!("the script `{by}` is started by it"),
        Why::Rule { rule, trigger, .. } => format!("rule {rule} needs it for `{trigger}`"),
        Why::LoaderConfiguration => "the loader reads it".to_owned(),
        _ => return None,
    })
}
