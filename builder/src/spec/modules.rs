//! `Modules`: which modules of an interpreter's language an image shall have besides those that its scripts
//! import.
//!
//! Refuses to know how a language finds modules, and whether there is one of that name: that is
//! `resolve/modules`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A language whose modules are found one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Node.js: packages.
    Node,
    /// Perl 5.
    Perl,
    /// PHP: extensions.
    Php,
    /// Python 3.
    Python,
    /// Ruby: features.
    Ruby,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Perl => "perl",
            Self::Php => "php",
            Self::Python => "python",
            Self::Ruby => "ruby",
        })
    }
}

/// What is wanted of each language. A language without modules is one of which nothing else is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Modules {
    languages: BTreeMap<Language, BTreeSet<Wanted>>,
}

impl Modules {
    /// Wants more of a language.
    pub fn add(&mut self, language: Language, wanted: impl IntoIterator<Item = Wanted>) {
        self.languages.entry(language).or_default().extend(wanted);
    }

    /// What is wanted of a language; `None` where a person has said nothing of it.
    pub fn of(&self, language: Language) -> Option<&BTreeSet<Wanted>> {
        self.languages.get(&language)
    }
}

/// A module, or several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// `*`: the whole standard library.
    All,
    /// `json.*`: this module, and everything below it.
    Below(String),
    /// `json`: this module alone, with what it imports.
    Module(String),
}

/// A text that can be no module's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a module's name", .0.escape_debug())]
pub struct NotAModule(String);

impl FromStr for Wanted {
    type Err = NotAModule;

    fn from_str(text: &str) -> Result<Self, NotAModule> {
        if text == "*" {
            return Ok(Self::All);
        }
        let below = [".*", "::*", "/*"].iter().find_map(|end| text.strip_suffix(end));
        let name = below.unwrap_or(text);
        let bad = |c: char| c.is_whitespace() || c.is_control() || "*?[]\\".contains(c);
        if name.is_empty() || name.contains(bad) {
            return Err(NotAModule(text.to_owned()));
        }
        let name = name.to_owned();
        Ok(if below.is_some() { Self::Below(name) } else { Self::Module(name) })
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_module_or_several() {
        for (text, wanted) in [
            ("*", Some(Wanted::All)),
            ("json", Some(Wanted::Module("json".to_owned()))),
            ("xml.etree", Some(Wanted::Module("xml.etree".to_owned()))),
            ("xml.*", Some(Wanted::Below("xml".to_owned()))),
            ("File::*", Some(Wanted::Below("File".to_owned()))),
            ("net/*", Some(Wanted::Below("net".to_owned()))),
            ("", None),
            (".*", None),
            ("xml*", None),
            ("a b", None),
            ("a\0", None),
        ] {
            assert_eq!(text.parse().ok(), wanted, "{text:?}");
        }
    }
}
