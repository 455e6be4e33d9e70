//! Names of locales and of time zones, as a recipe has them. What the root knows of them is for
//! [`crate::resolve::regional`] to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::value::{ValueError, not, text_value};

/// A locale by the name that a person gives to `LANG`: `de_DE.UTF-8`, `sr_RS@latin`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LocaleName(String);

impl LocaleName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that glibc looks for when there is none as given: its character set in small letters and
    /// digits only, `iso` before one of digits (`intl/l10nflist.c`, `_nl_normalize_codeset`).
    pub fn normalised(&self) -> String {
        let (rest, modifier) = match self.0.split_once('@') {
            Some((rest, modifier)) => (rest, format!("@{modifier}")),
            None => (self.0.as_str(), String::new()),
        };
        let Some((language, codeset)) = rest.split_once('.') else { return self.0.clone() };
        let codeset: String = codeset
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let digits = codeset.bytes().all(|byte| byte.is_ascii_digit());
        let iso = if digits { "iso" } else { "" };
        format!("{language}.{iso}{codeset}{modifier}")
    }
}

impl FromStr for LocaleName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let good = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(good) {
            return Err(not(text, "a locale: expected a name such as de_DE.UTF-8"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LocaleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(LocaleName);

/// A time zone by its path below `/usr/share/zoneinfo`: `Europe/Berlin`, `UTC`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

impl ZoneName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ZoneName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let good = |c: char| c.is_ascii_alphanumeric() || "_-+".contains(c);
        let is_part = |part: &str| !part.is_empty() && part.chars().all(good);
        if !text.split('/').all(is_part) {
            return Err(not(text, "a time zone: expected a name such as Europe/Berlin"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(ZoneName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_are_normalised_as_glibc_does() {
        for (name, normal) in [
            ("de_DE.UTF-8", "de_DE.utf8"),
            ("C.UTF-8", "C.utf8"),
            ("de_DE.ISO-8859-15@euro", "de_DE.iso885915@euro"),
            ("de_DE.8859-1", "de_DE.iso88591"),
            ("sr_RS@latin", "sr_RS@latin"),
            ("de_DE", "de_DE"),
        ] {
            assert_eq!(name.parse::<LocaleName>().unwrap().normalised(), normal);
        }
        for wrong in ["", "../x", "a/b", ".", "@x", "a b", "a\0"] {
            assert!(wrong.parse::<LocaleName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn zones_are_paths_without_surprises() {
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+1"] {
            assert_eq!(good.parse::<ZoneName>().unwrap().as_str(), good);
        }
        for wrong in ["", "/Europe/Berlin", "Europe/", "../x", "a//b", "a b", "."] {
            assert!(wrong.parse::<ZoneName>().is_err(), "{wrong}");
        }
    }
}
