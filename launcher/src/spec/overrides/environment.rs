//! Variables: `--env`, `--env-file`.

use std::str::FromStr;

use super::ParseError;

/// One `--env` or line of an `--env-file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Never empty, without `=` and NUL.
    pub name: String,
    /// `None` means: the caller's value, and nothing where the caller has none.
    pub value: Option<String>,
}

impl EnvVar {
    /// The variable with its value, `lookup` being the caller's environment.
    pub fn resolve(self, lookup: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
        let value = self.value.or_else(|| lookup(&self.name))?;
        Some((self.name, value))
    }

    /// The variables of an `--env-file`: one a line, blank lines and lines that start with `#` left out.
    /// Values are taken as they are, quotes included, as Docker does.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, ParseError> {
        text.lines()
            .map(str::trim_start)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::parse)
            .collect()
    }
}

impl FromStr for EnvVar {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || text.contains('\0') || name.contains(char::is_whitespace) {
            return Err(ParseError::Env(text.to_owned()));
        }
        Ok(Self { name: name.to_owned(), value })
    }
}
