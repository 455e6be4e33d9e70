//! `.note.package`: who says that an object is theirs.
//!
//! One JSON object of strings (UAPI group, "Package Metadata for Executable Files"): `type`, `name`, `version`,
//! `architecture`, `os`, `osVersion`, and what else a distribution adds. It is advice: nothing checks it.

use std::collections::BTreeMap;

use common::escape::Escaped;
use serde::Serialize;

use super::Name;

/// The fields that are strings, escaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Package(BTreeMap<String, String>);

impl Package {
    /// Understands the text of a note; `None` where it is no JSON object that names a package.
    pub fn parse(note: &Name) -> Option<Self> {
        let fields: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(note.as_bytes()).ok()?;
        let escaped = |text: &str| Escaped(text.as_bytes()).to_string();
        let fields: BTreeMap<String, String> = fields
            .iter()
            .filter_map(|(key, value)| Some((escaped(key), escaped(value.as_str()?))))
            .collect();
        fields.contains_key("name").then_some(Self(fields))
    }

    /// One field, escaped.
    pub fn field(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// `deb`, `zlib1g`, `1:1.2.13`: type, name and version, as far as they are there, escaped.
    pub fn words(&self) -> Vec<&str> {
        ["type", "name", "version"].into_iter().filter_map(|key| self.field(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_advice() {
        for (note, shown) in [
            (
                r#"{"type":"rpm","name":"zlib","version":"1.3-1.fc40","os":"fedora"}"#,
                "rpm zlib 1.3-1.fc40",
            ),
            (r#"{"name":"only"}"#, "only"),
            (r#"{"name":"n","version":3,"type":["deb"]}"#, "n"),
            ("{\"name\":\"a\\u001b[31m\\u202eb\"}", "a\\x1b[31m\\u{202e}b"),
            (r#"{"type":"deb"}"#, ""),
            (r#"["name"]"#, ""),
            (r#"{"name":"x""#, ""),
            ("", ""),
        ] {
            let package = Package::parse(&Name::from(note));
            assert_eq!(package.map(|p| p.words().join(" ")).unwrap_or_default(), shown, "{note}");
        }
    }
}
