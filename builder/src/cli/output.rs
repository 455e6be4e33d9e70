//! What verbs have in common when they print: JSON, sizes, a standard output that fails.

use std::io::{self, Write};

use common::oci::json;
use common::report::Diagnostic;
use serde::Serialize;

use super::Failure;

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

/// A size for people: `4.2 MB`, units of a thousand.
pub(super) fn size(bytes: u64) -> String {
    let mut rest = bytes;
    let mut tenths = 0;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if rest < 1000 || unit == "TB" {
            return if unit == "B" {
                format!("{rest} B")
            } else {
                format!("{rest}.{tenths} {unit}")
            };
        }
        tenths = rest % 1000 / 100;
        rest /= 1000;
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1999, "1.9 kB"), (4_250_000, "4.2 MB")]
        {
            assert_eq!(super::size(bytes), text);
        }
    }
}
