//! `Incomplete`: a closure in which something is missing or cannot be loaded, as an error that says
//! all of it at once.

use std::fmt::{self, Write as _};

use common::report::Diagnostic;

use super::{Attempt, Closure, Missing, Refused};

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
        let mut lines = Vec::new();
        for missing in &self.missing {
            let mut text = format!("`{}` is missing", missing.name);
            if let Some(by) = &missing.needed_by {
                let _ = write!(text, ", {} by `{by}`", missing.relation);
            }
            let mut shown: Vec<String> = Vec::new();
            for Attempt { path, how, reason } in &missing.tried {
                let line = format!("\n  tried `{path}` ({how}): {reason}");
                if !shown.contains(&line) {
                    shown.push(line);
                }
            }
            text.extend(shown);
            lines.push(text);
        }
        for refused in &self.refused {
            let mut text = format!("`{}` cannot be loaded: {}", refused.path, refused.why);
            if let Some(by) = &refused.needed_by {
                let _ = write!(text, "; needed by `{by}`");
            }
            lines.push(text);
        }
        // The same library missing in the scope of several programs is said once.
        lines.sort();
        lines.dedup();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Incomplete {}

impl Diagnostic for Incomplete {
    fn hint(&self) -> Option<String> {
        let name = self.missing.first().map(|missing| missing.name.to_string());
        Some(match name {
            Some(name) => format!(
                "install the package that ships {name}, or name its folder with --library-path"
            ),
            None => "install the damaged file again, or one for the program's architecture".into(),
        })
    }
}
