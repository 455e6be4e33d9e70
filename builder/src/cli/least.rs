//! What runs used, for an image that is to have little else: of profiles, and of a recipe's check, which is
//! run in the whole image first.

use std::io::{self, Write as _};
use std::path::Path;

use super::check_run::{RunError, prove_built};
use crate::Surroundings;
use crate::proof::Paddle;
use crate::report::proof as words;
use crate::spec::ImageSpec;
use crate::spec::check::Check;
use crate::spec::used::Used;

/// Finds out what was used, if the recipe is to have the least; the check has then passed once. `paddle` is
/// what was named as the launcher.
pub(super) fn learn(
    spec: &mut ImageSpec,
    check: Option<&Check>,
    around: &Surroundings<'_>,
    paddle: Option<&Path>,
) -> Result<(), RunError> {
    if !spec.least.min {
        return Ok(());
    }
    let mut used = Used::outside(&spec.profile);
    match check {
        Some(check) => {
            let proof = prove_built(spec, check, around, &Paddle::find(paddle)?, true)?;
            if !proof.holds() {
                io::stderr().write_all(words::text(&proof).as_bytes()).ok();
                return Err(RunError::Whole(spec.name.clone()));
            }
            if let Some(why) = proof.outcome.unwatched {
                return Err(RunError::Unwatched(why));
            }
            used.add_inside(&proof.record.profile);
        }
        None if spec.profile.programs.is_empty() => return Err(RunError::NothingUsed),
        None => {}
    }
    spec.least.used = Some(used);
    Ok(())
}
