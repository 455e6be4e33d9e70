//! What the program may: `--cap-add`, `--cap-drop`, `--ulimit`.

use std::str::FromStr;

use super::ParseError;
use crate::spec::{Capability, RlimitKind};

/// A value of `--cap-add` or `--cap-drop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapabilityChoice {
    /// Every capability.
    All,
    /// One.
    One(Capability),
}

impl FromStr for CapabilityChoice {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        Capability::from_name(text)
            .map(Self::One)
            .ok_or_else(|| ParseError::Capability(text.to_owned()))
    }
}

/// A resource limit of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// Which.
    pub kind: RlimitKind,
    /// Soft; `None` is unlimited.
    pub soft: Option<u64>,
    /// Hard; `None` is unlimited. Never below soft.
    pub hard: Option<u64>,
}

impl FromStr for Ulimit {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refused = || ParseError::Ulimit(text.to_owned());
        let amount = |text: &str| match text {
            "unlimited" | "-1" => Ok(None),
            number => number.parse::<u64>().ok().map(Some).ok_or_else(refused),
        };
        let (name, value) = text.split_once('=').ok_or_else(refused)?;
        let (soft, hard) = value.split_once(':').unwrap_or((value, value));
        let (soft, hard) = (amount(soft)?, amount(hard)?);
        if soft.unwrap_or(u64::MAX) > hard.unwrap_or(u64::MAX) {
            return Err(refused());
        }
        let kind = RlimitKind::from_name(name).ok_or_else(refused)?;
        Ok(Self { kind, soft, hard })
    }
}
