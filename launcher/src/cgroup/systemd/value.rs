//! A property's value, as far as systemd's resource properties need types of D-Bus.

use serde::{Deserialize, Serialize};

use super::wire::Writer;

/// A name and what it is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// As `systemd.resource-control(5)` and its kin have it.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl Property {
    pub(super) fn new(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), value }
    }
}

/// A value and its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the type of that name; signature() has D-Bus's")]
pub enum Value {
    Bool(bool),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Text(String),
    Bytes(Vec<u8>),
    Texts(Vec<String>),
    Numbers(Vec<u32>),
    TextPairs(Vec<(String, String)>),
    Amounts(Vec<(String, u64)>),
}

impl Value {
    /// "No limit", in systemd's properties as in its files.
    pub const INFINITY: Self = Self::U64(u64::MAX);

    /// D-Bus's name of the type.
    pub(super) fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::I32(_) => "i",
            Self::U32(_) => "u",
            Self::I64(_) => "x",
            Self::U64(_) => "t",
            Self::Text(_) => "s",
            Self::Bytes(_) => "ay",
            Self::Texts(_) => "as",
            Self::Numbers(_) => "au",
            Self::TextPairs(_) => "a(ss)",
            Self::Amounts(_) => "a(st)",
        }
    }

    /// The value as a variant: its type, then itself.
    pub(super) fn write(&self, to: &mut Writer) {
        to.signature(self.signature());
        match self {
            Self::Bool(value) => to.u32(u32::from(*value)),
            Self::I32(value) => to.u32(value.cast_unsigned()),
            Self::U32(value) => to.u32(*value),
            Self::I64(value) => to.u64(value.cast_unsigned()),
            Self::U64(value) => to.u64(*value),
            Self::Text(value) => to.text(value),
            Self::Bytes(value) => to.array(1, |to| value.iter().for_each(|byte| to.u8(*byte))),
            Self::Texts(value) => to.array(4, |to| value.iter().for_each(|text| to.text(text))),
            Self::Numbers(value) => to.array(4, |to| value.iter().for_each(|n| to.u32(*n))),
            Self::TextPairs(value) => to.array(8, |to| {
                for (first, second) in value {
                    to.align(8);
                    to.text(first);
                    to.text(second);
                }
            }),
            Self::Amounts(value) => to.array(8, |to| {
                for (first, second) in value {
                    to.align(8);
                    to.text(first);
                    to.u64(*second);
                }
            }),
        }
    }
}
