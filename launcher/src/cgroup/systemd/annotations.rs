//! `org.systemd.property.NAME` annotations: properties of the scope that a caller wants, their values in the text form
//! of a variant (`gvariant-text-formats`), as far as systemd's properties need it:
//!
//! ```text
//! true  'text'  5  int32 5  uint32 5  int64 5  uint64 5  ['a', 'b']  @as []
//! ```

use std::collections::HashMap;

use super::value::{Property, Value};
use crate::cgroup::CgroupError;

const PREFIX: &str = "org.systemd.property.";

/// The properties that annotations ask for, by name.
pub(super) fn properties(
    annotations: Option<&HashMap<String, String>>,
) -> Result<Vec<Property>, CgroupError> {
    let mut found: Vec<_> = annotations
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)))
        .collect();
    found.sort_unstable();
    found
        .into_iter()
        .map(|(name, value)| {
            one(name, value).ok_or_else(|| CgroupError::Annotation {
                annotation: format!("{PREFIX}{name}={value}").escape_debug().to_string(),
            })
        })
        .collect()
}

fn one(name: &str, value: &str) -> Option<Property> {
    if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let value = parse(value.trim())?;
    // People write seconds (`TimeoutStopSec`), D-Bus has microseconds.
    match name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase())) {
        Some(stem) => {
            let micros = Value::U64(seconds(&value)?.checked_mul(1_000_000)?);
            Some(Property::new(&format!("{stem}USec"), micros))
        }
        None => Some(Property::new(name, value)),
    }
}

fn seconds(value: &Value) -> Option<u64> {
    match *value {
        Value::I32(n) => u64::try_from(n).ok(),
        Value::I64(n) => u64::try_from(n).ok(),
        Value::U32(n) => Some(n.into()),
        Value::U64(n) => Some(n),
        _ => None,
    }
}

fn parse(text: &str) -> Option<Value> {
    if let Some((kind, rest)) = text.split_once(' ') {
        let rest = rest.trim();
        match kind {
            "int32" => return rest.parse().ok().map(Value::I32),
            "uint32" => return rest.parse().ok().map(Value::U32),
            "int64" => return rest.parse().ok().map(Value::I64),
            "uint64" => return rest.parse().ok().map(Value::U64),
            "@as" => return texts(rest),
            _ => {}
        }
    }
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if text.starts_with(['\'', '"']) => match quoted(text)? {
            (value, "") => Some(Value::Text(value)),
            _ => None,
        },
        _ if text.starts_with('[') => texts(text),
        _ => text.parse().ok().map(Value::I32),
    }
}

fn texts(text: &str) -> Option<Value> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (value, behind) = quoted(rest)?;
        all.push(value);
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if behind.is_empty() => behind,
            None => return None,
        };
    }
    Some(Value::Texts(all))
}

/// A quoted text and what follows it. A backslash takes the next character as it is.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            c if c == quote => return Some((value, &text[at + 1..])),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_text_form_writes_them() {
        let texts = |all: &[&str]| Value::Texts(all.iter().map(|&text| text.to_owned()).collect());
        for (name, text, property) in [
            ("CPUAccounting", "true", Some(("CPUAccounting", Value::Bool(true)))),
            ("Description", "'it''s'", None),
            ("Description", "'a \\'b\\''", Some(("Description", Value::Text("a 'b'".to_owned())))),
            ("CollectMode", "\"x\"", Some(("CollectMode", Value::Text("x".to_owned())))),
            ("TasksMax", "uint64 5", Some(("TasksMax", Value::U64(5)))),
            ("Nice", "-5", Some(("Nice", Value::I32(-5)))),
            (
                "After",
                "['a.service', 'b.service']",
                Some(("After", texts(&["a.service", "b.service"]))),
            ),
            ("After", "@as []", Some(("After", texts(&[])))),
            ("After", "['a' 'b']", None),
            ("TimeoutStopSec", "uint64 3", Some(("TimeoutStopUSec", Value::U64(3_000_000)))),
            ("TimeoutStopUSec", "uint64 3", Some(("TimeoutStopUSec", Value::U64(3)))),
            ("TimeoutStopSec", "'3'", None),
            ("X", "1", None),
            ("Bad-Name", "1", None),
            ("Nice", "uint32 -5", None),
            ("Nice", "1 2", None),
        ] {
            let expected = property.map(|(name, value)| Property::new(name, value));
            assert_eq!(one(name, text), expected, "{name}={text}");
        }
    }
}
