//! Who the program runs as: `--user`.

use std::str::FromStr;

use super::ParseError;

/// `USER` or `USER:GROUP`; looked up in the image's own passwd and group, never in the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    /// Who.
    pub user: NameOrId,
    /// The primary group; the user's own where absent.
    pub group: Option<NameOrId>,
}

/// A user or group by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameOrId {
    /// To be looked up.
    Name(String),
    /// Taken as it is. Never `u32::MAX`, which means "no change" to the kernel.
    Id(u32),
}

impl FromStr for UserSpec {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refused = || ParseError::User(text.to_owned());
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        // `1000:` means what `1000` means to Docker.
        let group = group.filter(|group| !group.is_empty());
        Ok(Self {
            user: NameOrId::parse(user).ok_or_else(refused)?,
            group: group.map(|group| NameOrId::parse(group).ok_or_else(refused)).transpose()?,
        })
    }
}

impl NameOrId {
    /// Digits are a number and must fit one: a runtime that let them wrap made 4294967296 root
    /// (CVE-2025-3528). Anything else is a name.
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.contains([':', '\n', '\0']) {
            return None;
        }
        // `+5` and `-1` are neither numbers that a passwd file could hold nor names.
        if text.starts_with(['+', '-']) {
            return None;
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Name(text.to_owned()));
        }
        text.parse().ok().filter(|&id| id != u32::MAX).map(Self::Id)
    }
}
