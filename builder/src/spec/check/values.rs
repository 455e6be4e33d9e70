//! The small values of a `[check]`, each a type that cannot be wrong: names, commands, ports, times,
//! patterns.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::spec::glob::Glob;

/// Why a text is no such value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct NotA {
    text: String,
    what: &'static str,
}

fn not_a(text: &str, what: &'static str) -> NotA {
    NotA { text: text.escape_debug().to_string(), what }
}

macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $what:literal, $good:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotA;

            fn from_str(text: &str) -> Result<Self, NotA> {
                let good: fn(&str) -> bool = $good;
                if good(text) { Ok(Self(text.to_owned())) } else { Err(not_a(text, $what)) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotA;

            fn try_from(text: String) -> Result<Self, NotA> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked!(
    /// What a server or peer is called: letters, digits, `-` and `_`, at most 32.
    Label,
    "a name: expected at most 32 letters, digits, `-` and `_`",
    |text| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !text.is_empty() && text.len() <= 32 && text.chars().all(good)
    }
);

checked!(
    /// A name for `/etc/hosts` (hosts(5); RFC 1123, section 2.1).
    HostName,
    "a host name",
    |text| {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        };
        text.len() <= 64 && text.split('.').all(label)
    }
);

checked!(
    /// A text without a NUL byte, which neither an argument nor a variable can have (execve(2)).
    Text,
    "a text without NUL bytes",
    |text| !text.contains('\0')
);

checked!(
    /// A pattern over paths of the image.
    Pattern,
    "a pattern of absolute paths: it has `*`, `?`, `[a-z]`, and `**` as a whole component",
    |text| text.starts_with('/') && Glob::parse(text.as_bytes()).is_ok()
);

impl Pattern {
    /// Whether the path, or a folder above it, matches.
    pub fn covers(&self, path: &[u8]) -> bool {
        let Ok(glob) = Glob::parse(self.0.as_bytes()) else { return false };
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.filter(|&at| at > 0)
            .chain([path.len()])
            .any(|end| path.get(..end).is_some_and(|path| glob.matches(path).is_some()))
    }
}

/// A command: a program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Text>", into = "Vec<Text>")]
pub struct Words(Vec<Text>);

impl Words {
    /// Program and arguments; never empty.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Text::as_str)
    }
}

impl TryFrom<Vec<Text>> for Words {
    type Error = NotA;

    fn try_from(words: Vec<Text>) -> Result<Self, NotA> {
        match words.first() {
            Some(program) if !program.as_str().is_empty() => Ok(Self(words)),
            _ => Err(not_a("[]", "a command: expected a program and its arguments")),
        }
    }
}

impl From<Words> for Vec<Text> {
    fn from(words: Words) -> Self {
        words.0
    }
}

/// A TCP port of 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct TcpPort(u16);

impl TcpPort {
    /// The number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl TryFrom<i64> for TcpPort {
    type Error = NotA;

    fn try_from(number: i64) -> Result<Self, NotA> {
        match u16::try_from(number) {
            Ok(number @ 1..) => Ok(Self(number)),
            _ => Err(not_a(&number.to_string(), "a TCP port: expected 1 to 65535")),
        }
    }
}

impl From<TcpPort> for i64 {
    fn from(port: TcpPort) -> Self {
        port.0.into()
    }
}

/// A time that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Seconds(u32);

/// As long as anything should take.
const LONGEST: i64 = 24 * 60 * 60;
const A_TIME: &str = "a time: expected 1 to 86400 seconds";

impl Seconds {
    /// The number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Default for Seconds {
    fn default() -> Self {
        Self(60)
    }
}

impl FromStr for Seconds {
    type Err = NotA;

    fn from_str(text: &str) -> Result<Self, NotA> {
        let number = text.parse::<i64>().ok();
        number.and_then(|number| Self::try_from(number).ok()).ok_or_else(|| not_a(text, A_TIME))
    }
}

impl TryFrom<i64> for Seconds {
    type Error = NotA;

    fn try_from(number: i64) -> Result<Self, NotA> {
        match u32::try_from(number) {
            Ok(seconds @ 1..) if number <= LONGEST => Ok(Self(seconds)),
            _ => Err(not_a(&number.to_string(), A_TIME)),
        }
    }
}

impl From<Seconds> for i64 {
    fn from(seconds: Seconds) -> Self {
        seconds.0.into()
    }
}
