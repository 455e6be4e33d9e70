//! What verbs have in common when they print: JSON, sizes, a standard output that fails.

use std::io::{self, Write};

use common::oci::json;
use common::report::Diagnostic;
use serde::Serialize;

use super::Failure;

pub(super) use crate::report::size::size;

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct PrintError {
    pub(super) source: io::Error,
}

impl Diagnostic for PrintError {}

/// One line of text.
pub(super) fn line(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    writeln!(out, "{text}").map_err(Failure::Print)
}

/// One value as canonical JSON on a line.
pub(super) fn json(out: &mut impl Write, value: &impl Serialize) -> Result<(), Failure> {
    let bytes = json::canonical(value).map_err(|error| Failure::Print(error.into()))?;
    out.write_all(&bytes).and_then(|()| out.write_all(b"\n")).map_err(Failure::Print)
}
