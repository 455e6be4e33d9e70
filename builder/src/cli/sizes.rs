//! What takes the room in an image, printed: of a plan, and of an image that is there.

use std::io::Write;

use super::{Failure, output};
use crate::image::ImageError;
use crate::image::provenance::{Provenance, provenance};
use crate::plan::Plan;
use crate::report::sizes::{Sizes, sizes, text};

/// Prints the sizes of a provenance.
pub(super) fn print(
    out: &mut impl Write,
    provenance: &Provenance,
    json: bool,
) -> Result<(), Failure> {
    let sizes = sizes(provenance);
    if json {
        return output::json(out, &sizes);
    }
    write!(out, "{}", text(&sizes)).map_err(Failure::Print)
}

/// Prints the sizes of a plan.
pub(super) fn print_plan(out: &mut impl Write, plan: &Plan, json: bool) -> Result<(), Failure> {
    let failed = |source| ImageError::Json { what: "provenance", source };
    print(out, &provenance(plan).map_err(failed)?, json)
}

/// The sizes of a plan.
pub(super) fn of_plan(plan: &Plan) -> Result<Sizes, Failure> {
    let failed = |source| ImageError::Json { what: "provenance", source };
    Ok(sizes(&provenance(plan).map_err(failed)?))
}
