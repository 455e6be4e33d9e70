//! `Reference`: the name of an image in a store, `NAME[:TAG]`.
//!
//! The grammar is the distribution specification's: a name is lower-case path components of letters
//! and digits separated by `/`, within a component by `.`, `_`, `__` or dashes; a tag is up to 128
//! characters of `[A-Za-z0-9_.-]`, not starting with `.` or `-`. A registry host with a port may
//! stand first (`localhost:5000/curl:8`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name and a tag; prints as `name:tag`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    name: String,
    tag: String,
}

/// Why a string is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an image name: {why}")]
pub struct ReferenceError {
    text: String,
    why: &'static str,
}

impl Reference {
    /// The tag that a name without one means.
    pub const DEFAULT_TAG: &'static str = "latest";

    /// The part before the tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The part after the last colon.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// A valid reference, as near as possible to the file name of a program: `X11.sh` becomes
    /// `x11.sh:latest`, `g++` becomes `g-:latest`... anything left empty becomes `app`.
    pub fn from_program_name(name: &[u8]) -> Self {
        let mut clean = String::new();
        for byte in name {
            match byte.to_ascii_lowercase() {
                c @ (b'a'..=b'z' | b'0'..=b'9') => clean.push(char::from(c)),
                c @ (b'.' | b'_') if ends_alphanumeric(&clean) => clean.push(char::from(c)),
                _ if clean.is_empty() => {}
                _ if clean.ends_with(['.', '_']) => {}
                _ => clean.push('-'),
            }
        }
        let name = clean.trim_end_matches(['.', '_', '-']);
        let name = if name.is_empty() { "app" } else { name };
        Self { name: name.to_owned(), tag: Self::DEFAULT_TAG.to_owned() }
    }
}

fn ends_alphanumeric(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let fail = |why| ReferenceError { text: text.escape_debug().to_string(), why };
        // A colon before the last slash belongs to a registry's port.
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (text, Self::DEFAULT_TAG),
        };
        if name.is_empty() || name.len() > 255 {
            return Err(fail("the name must have 1 to 255 characters"));
        }
        let mut components = name.split('/').peekable();
        let first = components.peek().copied().unwrap_or_default();
        if name.contains('/') && is_registry(first) {
            components.next();
        }
        if !components.all(is_component) {
            return Err(fail("it may have lower-case letters and digits, separated by . _ - or /"));
        }
        let mut characters = tag.bytes();
        let starts = characters.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_');
        if !starts
            || tag.len() > 128
            || !characters.all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c))
        {
            return Err(fail("a tag has 1 to 128 letters, digits, `_`, `.` or `-`"));
        }
        Ok(Self { name: name.to_owned(), tag: tag.to_owned() })
    }
}

/// A first component that is a host: it has a dot or a port, or is `localhost`.
fn is_registry(component: &str) -> bool {
    let (host, port) = component.split_once(':').unwrap_or((component, "0"));
    (host == "localhost" || host.contains('.') || component.contains(':'))
        && !port.is_empty()
        && port.bytes().all(|c| c.is_ascii_digit())
        && host.split('.').all(|label| {
            ends_alphanumeric(label)
                && label.starts_with(|c: char| c.is_ascii_alphanumeric())
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
        })
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(alphanumeric)
        && component.ends_with(alphanumeric)
        && component.split(alphanumeric).all(|separator| {
            matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|c| c == b'-')
        })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tag)
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_as_the_distribution_specification_says() {
        for (text, name, tag) in [
            ("curl", "curl", "latest"),
            ("curl:8.5", "curl", "8.5"),
            ("a/b__c/d--e:_x", "a/b__c/d--e", "_x"),
            ("localhost:5000/curl", "localhost:5000/curl", "latest"),
            ("quay.io/org/app:V1-rc.2", "quay.io/org/app", "V1-rc.2"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.name(), reference.tag()), (name, tag));
        }
        for wrong in [
            "", ":x", "Curl", "a//b", "/a", "a/", "a..b", "a___b", "-a", "a:", "a:.x", "a\n",
            "a:5/B", "../a",
        ] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_program_name_becomes_a_valid_reference() {
        for (program, name) in [
            (&b"bash"[..], "bash"),
            (b"X11.sh", "x11.sh"),
            (b"g++", "g"),
            (b"[", "app"),
            (b"a b", "a-b"),
            (b"a._b", "a.b"),
            (b"a_-b", "a_b"),
            (b"\xff\xfe", "app"),
            (b"python3.11", "python3.11"),
        ] {
            let reference = Reference::from_program_name(program);
            assert_eq!(reference.name(), name);
            assert_eq!(reference.to_string().parse(), Ok(reference));
        }
    }
}
