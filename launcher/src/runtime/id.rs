//! `ContainerId`: the one name that a container has.
//!
//! `--name` chooses it, otherwise twelve hexadecimal digits are drawn. It names the state folder, the
//! cgroup and the writable layer, so it is a safe file name by construction (rule R11 of
//! docs/security.md: `[A-Za-z0-9_+-][A-Za-z0-9_+.-]*`).

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A valid container id, 1 to 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

/// Why a string is no container id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a container name")]
pub struct IdError(String);

impl ContainerId {
    /// Longer names would leave no room for what is added to them in a cgroup's file name.
    pub const MAX_LENGTH: usize = 128;

    /// Twelve random hexadecimal digits, as people know them from other runtimes.
    pub fn random() -> std::io::Result<Self> {
        let mut bytes = [0; 6];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
        }
        let number = bytes.into_iter().fold(0, |number, byte| number << 8 | u64::from(byte));
        Ok(Self(format!("{number:012x}")))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
        let mut bytes = text.bytes();
        let valid = bytes.next().is_some_and(plain)
            && bytes.all(|byte| plain(byte) || byte == b'.')
            && text.len() <= Self::MAX_LENGTH;
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError(text.escape_debug().to_string()))
        }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl AsRef<Path> for ContainerId {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r11_ids_are_safe_file_names() {
        let longest = "x".repeat(ContainerId::MAX_LENGTH);
        for good in ["a", "web-1", "_x", "+x", "-", "1.2.3", "A_b+c.d-e", &longest] {
            assert_eq!(good.parse::<ContainerId>().unwrap().as_str(), good);
        }
        let too_long = "x".repeat(ContainerId::MAX_LENGTH + 1);
        for bad in ["", ".", "..", ".x", "a/b", "a b", "a\n", "ä", "a\0", &too_long] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn random_ids_are_valid_and_differ() {
        let (one, other) = (ContainerId::random().unwrap(), ContainerId::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 12);
        assert_eq!(one.as_str().parse(), Ok(one));
    }
}
