//! The small values of a recipe, each a type that cannot be wrong: ports, signals, users, names of
//! variables.

use std::fmt;
use std::str::FromStr;

use common::accounts::{NameOrId, UserSpec};
use serde::{Deserialize, Serialize};

/// Why a text is no such value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}")]
pub struct ValueError {
    text: String,
    what: &'static str,
}

pub(super) fn not(text: &str, what: &'static str) -> ValueError {
    ValueError { text: text.escape_debug().to_string(), what }
}

macro_rules! text_value {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = ValueError;

            fn try_from(text: String) -> Result<Self, ValueError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

pub(super) use text_value;

/// A port that a program listens on, `8080` or `53/udp` (OCI image configuration, `ExposedPorts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Port {
    number: u16,
    protocol: Protocol,
}

/// Transport of a [`Port`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl FromStr for Port {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fail = || not(text, "a port: expected NUMBER or NUMBER/tcp, /udp or /sctp");
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(fail()),
        };
        if !number.bytes().all(|c| c.is_ascii_digit()) {
            return Err(fail());
        }
        match number.parse::<u16>() {
            Ok(number) if number > 0 => Ok(Self { number, protocol }),
            _ => Err(fail()),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        write!(f, "{}/{protocol}", self.number)
    }
}

text_value!(Port);

/// A signal by name (`SIGTERM`, `TERM`, `SIGRTMIN+3`) or number 1 to 64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StopSignal(String);

/// The names of signal(7) that Linux has on x86-64 and aarch64.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

impl StopSignal {
    /// The number; `None` of a real-time signal given by name.
    pub fn number(&self) -> Option<i32> {
        let named = |name| SIGNALS.iter().position(|known| *known == name);
        match self.0.strip_prefix("SIG").and_then(named) {
            Some(at) => i32::try_from(at + 1).ok(),
            None => self.0.parse().ok(),
        }
    }
}

impl FromStr for StopSignal {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        let real_time = |prefix: &str| {
            let rest = name.strip_prefix(prefix)?;
            let offset = rest.strip_prefix(['+', '-']);
            Some(rest.is_empty() || offset.is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n < 31)))
        };
        if SIGNALS.contains(&name)
            || real_time("RTMIN").or_else(|| real_time("RTMAX")) == Some(true)
        {
            return Ok(Self(format!("SIG{name}")));
        }
        match text.parse::<u8>() {
            Ok(number @ 1..=64) => Ok(Self(number.to_string())),
            _ => Err(not(text, "a signal: expected a name such as SIGTERM, or 1 to 64")),
        }
    }
}

impl fmt::Display for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(StopSignal);

/// The name of an environment variable: not empty, no `=`, no NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EnvName(String);

impl EnvName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnvName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.is_empty() || text.contains(['=', '\0']) {
            return Err(not(text, "a variable's name"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_value!(EnvName);

/// A user of a recipe: `NAME`, `UID`, or either with `:GROUP` or `:GID`. A name is one that
/// useradd(8) would accept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(UserSpec);

impl UserName {
    /// What it says.
    pub fn spec(&self) -> &UserSpec {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refused = || not(text, "a user: expected NAME or UID, then :GROUP or :GID");
        let spec: UserSpec = text.parse().ok().ok_or_else(refused)?;
        let good = |c: char| c.is_ascii_alphanumeric() || "_.-$".contains(c);
        let usual = |part: &NameOrId| match part {
            NameOrId::Id(_) => true,
            NameOrId::Name(name) => {
                name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && name.chars().all(good)
            }
        };
        let all = usual(&spec.user) && spec.group.as_ref().is_none_or(usual);
        (all && !text.ends_with(':')).then_some(Self(spec)).ok_or_else(refused)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_value!(UserName);

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = ValueError> + fmt::Display>(good: &[(&str, &str)], wrong: &[&str]) {
        for (text, normal) in good {
            assert_eq!(text.parse::<T>().unwrap().to_string(), *normal);
        }
        for text in wrong {
            assert!(text.parse::<T>().is_err(), "{text}");
        }
    }

    #[test]
    fn ports() {
        check::<Port>(
            &[("80", "80/tcp"), ("53/udp", "53/udp")],
            &["", "0", "65536", "+80", "80/", "80/TCP", "-1"],
        );
    }

    #[test]
    fn signals() {
        check::<StopSignal>(
            &[("TERM", "SIGTERM"), ("SIGRTMIN+3", "SIGRTMIN+3"), ("15", "15")],
            &["", "SIG", "0", "65", "sigterm", "RTMIN+99", "RTMINX"],
        );
    }

    #[test]
    fn signals_have_the_numbers_of_the_kernel() {
        for name in nix::sys::signal::Signal::iterator() {
            let signal: StopSignal = name.as_str().parse().unwrap();
            assert_eq!(signal.number(), Some(name as i32), "{signal}");
        }
        assert_eq!("64".parse::<StopSignal>().unwrap().number(), Some(64));
        assert_eq!("RTMIN+3".parse::<StopSignal>().unwrap().number(), None);
    }

    #[test]
    fn users() {
        check::<UserName>(
            &[("1000", "1000"), ("www-data:adm", "www-data:adm"), ("0:0", "0:0")],
            &["", ":", "a:", "4294967295", "4294967296", "1a", "a b", "-a", "a:b:c"],
        );
    }
}
