//! What is left out of an image: patterns of paths, debug sections, whatever no run used.

use std::fmt;

use clap::ValueEnum;
use common::tree::ImagePath;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::glob::Glob;
use super::used::Used;

/// What is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Least {
    /// Paths that are left out.
    pub exclude: Vec<Exclude>,
    /// Sections that are left out of ELF files.
    pub strip: Strip,
    /// Whether whatever no run used is left out.
    pub min: bool,
    /// What runs used, once that is known; `None` leaves out nothing.
    pub used: Option<Used>,
}

/// A pattern of image paths that are left out, with everything below them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Exclude {
    text: String,
    glob: Glob,
}

impl Exclude {
    /// Whether it leaves this path out: it matches the path, or a folder above.
    pub fn covers(&self, path: &ImagePath) -> bool {
        let matches = |path: &ImagePath| self.glob.matches(path.as_bytes()).is_some();
        matches(path) || path.ancestors().iter().any(matches)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for Exclude {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("`{}` is not a pattern of paths: {why}", text.escape_debug());
        if !text.starts_with('/') && !text.starts_with("**") {
            return Err(wrong("it starts with neither `/` nor `**`"));
        }
        let glob = Glob::parse(text.as_bytes()).map_err(wrong)?;
        if glob.components().is_empty() {
            return Err(wrong("it is the whole image"));
        }
        Ok(Self { text: text.to_owned(), glob })
    }
}

impl TryFrom<String> for Exclude {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Which sections are left out of ELF files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Strip {
    /// None: files are copied as they are
    #[default]
    None,
    /// What only a debugger reads
    Debug,
    /// The table of symbols as well, which backtraces read
    All,
}

impl<'de> Deserialize<'de> for Strip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Strip;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, \"debug\" or \"all\"")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Strip, E> {
                Ok(if on { Strip::Debug } else { Strip::None })
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Strip, E> {
                match word {
                    "debug" => Ok(Strip::Debug),
                    "all" => Ok(Strip::All),
                    other => Err(E::invalid_value(Unexpected::Str(other), &self)),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_is_below() {
        for (pattern, path, covered) in [
            ("/usr/share/doc", "/usr/share/doc", true),
            ("/usr/share/doc", "/usr/share/doc/a/b", true),
            ("/usr/share/doc", "/usr/share/docs", false),
            ("/usr/share/doc/**", "/usr/share/doc/a/b", true),
            ("/usr/share/doc/*", "/usr/share/doc", false),
            ("**/*.a", "/usr/lib/x.a", true),
            ("**/test", "/usr/lib/python3/test/x.py", true),
        ] {
            let exclude: Exclude = pattern.parse().unwrap();
            assert_eq!(exclude.covers(&ImagePath::new(path).unwrap()), covered, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, why) in [
            ("", "starts with neither"),
            ("usr/share", "starts with neither"),
            ("/", "the whole image"),
            ("/a/../b", "`..`"),
            ("/a[", "`[` without `]`"),
        ] {
            let error = text.parse::<Exclude>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
