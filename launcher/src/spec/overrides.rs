//! What a person asks for on top of the image's own configuration, as typed values.
//!
//! Text becomes these values in `cli/` through the `FromStr` implementations here; nothing below this line
//! sees what was typed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use common::tree::ImagePath;
use oci_spec::runtime::LinuxResources;

use crate::plan::Capability;

/// The typed form of `paddle run`'s options that shape the container.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each option of the command line")]
pub struct Overrides {
    /// Arguments after the image: replace the image's `Cmd`, follow its `Entrypoint`.
    pub args: Vec<String>,
    /// `--entrypoint`: replaces the image's, and drops its `Cmd`. An empty list removes it.
    pub entrypoint: Option<Vec<String>>,
    /// `--env-file` then `--env`, in order, already resolved to name and value; a later one wins.
    pub env: Vec<(String, String)>,
    /// `--workdir`.
    pub workdir: Option<ImagePath>,
    /// `--user`.
    pub user: Option<UserSpec>,
    /// `--hostname`; `None` takes the container's id.
    pub hostname: Option<Hostname>,
    /// `--volume`, in order.
    pub volumes: Vec<Volume>,
    /// `--tmpfs`, in order.
    pub tmpfs: Vec<Tmpfs>,
    /// `--tty`: a terminal of the container's own.
    pub tty: bool,
    /// `--net`.
    pub network: NetworkChoice,
    /// `--add-host`: further lines of `/etc/hosts`.
    pub add_hosts: Vec<HostEntry>,
    /// `--cap-drop`; applied before [`Self::cap_add`], as Docker does.
    pub cap_drop: Vec<CapabilityChoice>,
    /// `--cap-add`.
    pub cap_add: Vec<CapabilityChoice>,
    /// `--ulimit`; naming one twice is an error.
    pub ulimits: Vec<Ulimit>,
    /// `--init`: a reaping, signal-forwarding process 1 in front of the program.
    pub init: bool,
    /// `--read-only`: the root file system cannot be written.
    pub read_only: bool,
    /// `--userns`: a user namespace for root as well (other users always get one).
    pub user_namespace: bool,
    /// Limits and priorities (`--memory`, `--cpus` ...), made by `cli` from the cgroup stage's types.
    pub resources: Option<LinuxResources>,
    /// `--security-opt seccomp=unconfined`'s meaning: no filter at all.
    pub no_seccomp: bool,
}

/// `--net`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NetworkChoice {
    /// A network namespace of its own with loopback only.
    #[default]
    None,
    /// The host's network.
    Host,
}

/// Why a value of an option cannot be understood. Each variant carries the text as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// `--net`.
    #[error("`{0}` is no network: it is `none` or `host`")]
    Network(String),
    /// `--env`, or a line of an `--env-file`.
    #[error("`{0}` is no environment variable: it is NAME=VALUE, or NAME to pass on the caller's")]
    Env(String),
    /// `--user`.
    #[error("`{0}` is no user: it is USER or USER:GROUP, each a name or a number below 4294967295")]
    User(String),
    /// `--hostname`.
    #[error("`{0}` is no host name: letters, digits, `-` and `.`, at most 64 bytes")]
    Hostname(String),
    /// `--volume`.
    #[error("`{0}` is no volume: it is SOURCE:DESTINATION or SOURCE:DESTINATION:ro, both absolute")]
    Volume(String),
    /// `--tmpfs`.
    #[error(
        "`{0}` is no tmpfs: it is DESTINATION or DESTINATION:OPTION,OPTION (size=, mode=, ro, rw, exec, noexec ...)"
    )]
    Tmpfs(String),
    /// `--add-host`.
    #[error("`{0}` is no host entry: it is NAME:ADDRESS")]
    HostEntry(String),
    /// `--cap-add` and `--cap-drop`.
    #[error(
        "`{0}` is no capability: it is ALL or a name from capabilities(7), with or without CAP_"
    )]
    Capability(String),
    /// `--ulimit`.
    #[error("`{0}` is no limit: it is NAME=SOFT or NAME=SOFT:HARD, a number or `unlimited`")]
    Ulimit(String),
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

/// One `--env` or line of an `--env-file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Never empty, without `=` and NUL.
    pub name: String,
    /// `None` means: the caller's value, and nothing where the caller has none.
    pub value: Option<String>,
}

impl EnvVar {
    /// The variable with its value, `lookup` being the caller's environment.
    pub fn resolve(self, lookup: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
        let value = self.value.or_else(|| lookup(&self.name))?;
        Some((self.name, value))
    }

    /// The variables of an `--env-file`: one a line, blank lines and lines that start with `#` left out.
    /// Values are taken as they are, quotes included, as Docker does.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, ParseError> {
        text.lines()
            .map(str::trim_start)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::parse)
            .collect()
    }
}

impl FromStr for EnvVar {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || text.contains('\0') || name.contains(char::is_whitespace) {
            return Err(ParseError::Env(text.to_owned()));
        }
        Ok(Self { name: name.to_owned(), value })
    }
}

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

/// A folder or file of the host, shown inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// On the host, absolute.
    pub source: PathBuf,
    /// Inside. Made where it is missing.
    pub destination: ImagePath,
    /// Whether it, and all that is mounted below it, cannot be written.
    pub readonly: bool,
}

impl FromStr for Volume {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refused = || ParseError::Volume(text.to_owned());
        let parts: Vec<&str> = text.split(':').collect();
        let (source, destination, readonly) = match parts.as_slice() {
            [source, destination] | [source, destination, "rw"] => (source, destination, false),
            [source, destination, "ro"] => (source, destination, true),
            _ => return Err(refused()),
        };
        if !source.starts_with('/') || source.contains('\0') {
            return Err(refused());
        }
        let destination =
            ImagePath::new(destination).ok().filter(|path| *path != ImagePath::root());
        Ok(Self {
            source: PathBuf::from(source),
            destination: destination.ok_or_else(refused)?,
            readonly,
        })
    }
}

/// An empty file system in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Inside. Made where it is missing.
    pub destination: ImagePath,
    /// mount(8)'s words. `nosuid`, `nodev` and `noexec` hold unless their opposite is named.
    pub options: Vec<String>,
}

impl FromStr for Tmpfs {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (destination, options) = text.split_once(':').unwrap_or((text, ""));
        let destination =
            ImagePath::new(destination).ok().filter(|path| *path != ImagePath::root());
        Ok(Self {
            destination: destination.ok_or_else(|| ParseError::Tmpfs(text.to_owned()))?,
            options: options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect(),
        })
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
    pub kind: crate::plan::RlimitKind,
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
        let kind = crate::plan::RlimitKind::from_name(name).ok_or_else(refused)?;
        Ok(Self { kind, soft, hard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr>(right: &[&str], wrong: &[&str]) {
        for text in right {
            assert!(text.parse::<T>().is_ok(), "{text} is right");
        }
        for text in wrong {
            assert!(text.parse::<T>().is_err(), "{text} is wrong");
        }
    }

    #[test]
    fn what_is_typed_is_understood_or_refused() {
        check::<NetworkChoice>(&["none", "host"], &["", "bridge"]);
        check::<EnvVar>(&["A=1", "A=", "A", "A=b=c"], &["", "=x", "A B=1", "A=\0"]);
        check::<UserSpec>(
            &["root", "0", "0:0", "a:b", "1000:", "4294967294"],
            &["", ":0", "4294967295", "4294967296", "-1", "+1", "0:99999999999", "a:b:c"],
        );
        check::<Hostname>(&["a", "a-b.c", "A1"], &["", "-a", "a..b", "a b", &"x".repeat(65)]);
        check::<Volume>(
            &["/a:/b", "/a:/b:ro", "/a:/b:rw", "/:/host"],
            &["a:/b", "/a", "/a:b", "/a:/", "/a:/b:xx", "/a:/b/../c", "/a:/b:ro:x"],
        );
        check::<Tmpfs>(&["/t", "/t:size=1m,mode=700"], &["", "t", "/", "/a/.."]);
        check::<HostEntry>(&["db:10.0.0.1", "db:::1", "db:[::1]"], &["db", "db:x", ":1.2.3.4"]);
        check::<CapabilityChoice>(
            &["ALL", "all", "NET_ADMIN", "cap_net_admin"],
            &["", "CAP_", "X"],
        );
        check::<Ulimit>(
            &["nofile=1", "nofile=1:2", "core=unlimited", "cpu=1:unlimited", "NOFILE=5"],
            &["nofile", "nofile=2:1", "nofile=unlimited:1", "nofile=x", "files=1"],
        );
    }

    #[test]
    fn a_file_of_variables_has_comments() {
        let variables = EnvVar::parse_file("# comment\n\nA=1\n  B=\"2\"\nC\n").unwrap();
        let lookup = |name: &str| (name == "C").then(|| "3".to_owned());
        let resolved: Vec<_> =
            variables.into_iter().filter_map(|one| one.resolve(lookup)).collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(resolved, [pair("A", "1"), pair("B", "\"2\""), pair("C", "3")]);
    }
}
