//! Network and names: `--net`, `--hostname`, `--add-host`.

use std::net::IpAddr;
use std::str::FromStr;

use super::ParseError;

/// `--net`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NetworkChoice {
    /// A network namespace of its own with loopback only.
    #[default]
    None,
    /// The host's network.
    Host,
}

impl FromStr for NetworkChoice {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ => Err(ParseError::Network(text.to_owned())),
        }
    }
}

/// A host name for the container's UTS namespace (at most 64 bytes, uname(2)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostname(String);

impl Hostname {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fits = !text.is_empty() && text.len() <= 64;
        let clean = text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
        if fits && clean {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::Hostname(text.to_owned()))
        }
    }
}

/// A line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
}

impl FromStr for HostEntry {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refused = || ParseError::HostEntry(text.to_owned());
        let (name, address) = text.split_once(':').ok_or_else(refused)?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let name: Hostname = name.parse().ok().ok_or_else(refused)?;
        let address = address.parse().ok().ok_or_else(refused)?;
        Ok(Self { name: name.0, address })
    }
}
