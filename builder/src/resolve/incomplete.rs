//! `Incomplete`: a closure in which something is missing or cannot be loaded, as an error that says
//! all of it at once.

use std::fmt;

use common::report::Diagnostic;

use super::{Closure, Missing, Refused};

/// What a closure lacks.
#[derive(Debug)]
pub struct Incomplete {
    missing: Vec<Missing>,
    refused: Vec<Refused>,
}

impl Incomplete {
    /// The error, if the closure lacks anything.
    pub fn check(closure: &Closure) -> Result<(), Self> {
        if closure.is_complete() {
            return Ok(());
        }
        Err(Self { missing: closure.missing.clone(), refused: closure.refused.clone() })
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.missing.iter().map(ToString::to_string);
        let lines: Vec<String> =
            missing.chain(self.refused.iter().map(ToString::to_string)).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Incomplete {}

impl Diagnostic for Incomplete {
    fn hint(&self) -> Option<String> {
        Some(self.missing.first().map_or_else(|| Refused::HINT.to_owned(), Missing::hint))
    }
}
