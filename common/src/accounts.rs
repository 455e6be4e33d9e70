//! Users and groups of a root, from the bytes of its own passwd(5) and group(5) files. Never NSS,
//! never the host's.
//!
//! Decides what `USER[:GROUP]` means and which entry a name or number has. Refuses to know where the
//! files are, and what becomes of a number that has no entry.

use std::fmt;
use std::str::FromStr;

use crate::escape::Escaped;

/// More groups than this cannot be set (`NGROUPS_MAX`, credentials(7)).
const MOST_GROUPS: usize = 65_536;

/// `USER` or `USER:GROUP`, as a person writes it or an image's configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    /// Who.
    pub user: NameOrId,
    /// The primary group; the user's own where there is none.
    pub group: Option<NameOrId>,
}

/// A user or group by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameOrId {
    /// To be looked up.
    Name(String),
    /// Taken as it is. Never `u32::MAX`, which means "no change" to the kernel (setreuid(2)).
    Id(u32),
}

/// A text that is no user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no user: it is USER or USER:GROUP, each a name or a number below 4294967295",
        Escaped(.0.as_bytes()))]
pub struct NoUser(String);

impl FromStr for UserSpec {
    type Err = NoUser;

    fn from_str(text: &str) -> Result<Self, NoUser> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        // `1000:` means what `1000` means to Docker.
        let group = group.filter(|group| !group.is_empty());
        let parse = |part| NameOrId::parse(part).ok_or_else(|| NoUser(text.to_owned()));
        Ok(Self { user: parse(user)?, group: group.map(parse).transpose()? })
    }
}

impl NameOrId {
    /// Digits are a number and must fit one: a runtime that let them wrap made 4294967296 root
    /// (CVE-2025-3528). Anything else is a name, except `+5` and `-1`, which are neither.
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.contains([':', '\n', '\0']) || text.starts_with(['+', '-']) {
            return None;
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Name(text.to_owned()));
        }
        number(text.as_bytes()).map(Self::Id)
    }
}

impl fmt::Display for NameOrId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)?;
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}

/// The result of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// User.
    pub uid: u32,
    /// Primary group; 0 for a number without an entry.
    pub gid: u32,
    /// Further groups, sorted; none where the primary group was chosen.
    pub groups: Vec<u32>,
    /// Home, `/` where there is no other.
    pub home: String,
}

/// Why there is no such account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// No user of this name.
    #[error("there is no user `{}` in `/etc/passwd`", Escaped(.0.as_bytes()))]
    UnknownUser(String),
    /// No group of this name.
    #[error("there is no group `{}` in `/etc/group`", Escaped(.0.as_bytes()))]
    UnknownGroup(String),
    /// An entry whose number is none, or none that the kernel has.
    #[error("`{file}` gives `{}` a number that is no id", Escaped(.name.as_bytes()))]
    Number {
        /// Which file.
        file: &'static str,
        /// Whose entry.
        name: String,
    },
}

/// The account that `user` means. A name must be known; a number need not be.
pub fn look_up(user: &UserSpec, passwd: &[u8], group: &[u8]) -> Result<Account, AccountError> {
    let known = entry(passwd, PASSWD_FIELDS, &user.user).map(|fields| {
        let overflow = || AccountError::Number {
            file: "/etc/passwd",
            name: String::from_utf8_lossy(fields[0]).into_owned(),
        };
        let (uid, gid) =
            (number(fields[2]).ok_or_else(overflow)?, number(fields[3]).ok_or_else(overflow)?);
        Ok((fields[0], uid, gid, String::from_utf8_lossy(fields[5]).into_owned()))
    });
    let (name, uid, gid, home) = match (known.transpose()?, &user.user) {
        (Some((name, uid, gid, home)), _) => (Some(name), uid, gid, home),
        (None, NameOrId::Id(uid)) => (None, *uid, 0, String::new()),
        (None, NameOrId::Name(name)) => return Err(AccountError::UnknownUser(name.clone())),
    };
    // A user without an entry, or with an empty home, gets `/`, as Docker has it.
    let home = if home.is_empty() { "/".to_owned() } else { home };
    let (gid, groups) = match (&user.group, name) {
        (Some(wanted), _) => (group_id(wanted, group)?, Vec::new()),
        (None, Some(name)) => (gid, memberships(name, group)),
        (None, None) => (gid, Vec::new()),
    };
    Ok(Account { uid, gid, groups, home })
}

/// Where the user of this number is at home; `None` without an entry, or with an empty home.
pub fn home(uid: u32, passwd: &[u8]) -> Option<String> {
    let entry = entry(passwd, PASSWD_FIELDS, &NameOrId::Id(uid))?;
    Some(String::from_utf8_lossy(entry[5]).into_owned()).filter(|home| !home.is_empty())
}

/// The number of a group. A name must be known.
pub fn group_id(wanted: &NameOrId, group: &[u8]) -> Result<u32, AccountError> {
    match wanted {
        NameOrId::Id(gid) => Ok(*gid),
        NameOrId::Name(name) => entry(group, GROUP_FIELDS, wanted)
            .ok_or_else(|| AccountError::UnknownGroup(name.clone()))
            .and_then(|fields| {
                let file = "/etc/group";
                number(fields[2]).ok_or_else(|| AccountError::Number { file, name: name.clone() })
            }),
    }
}

/// The groups that name the user as a member.
fn memberships(name: &[u8], group: &[u8]) -> Vec<u32> {
    let mut all: Vec<u32> = entries(group, GROUP_FIELDS)
        .filter(|fields| fields[3].split(|&b| b == b',').any(|member| member == name))
        .filter_map(|fields| number(fields[2]))
        .take(MOST_GROUPS)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Fields of a line of passwd(5) and of group(5). Name and number are 0 and 2 of both.
const PASSWD_FIELDS: usize = 7;
const GROUP_FIELDS: usize = 4;

/// The first entry with this name or number.
fn entry<'a>(file: &'a [u8], fields: usize, wanted: &NameOrId) -> Option<Vec<&'a [u8]>> {
    entries(file, fields).find(|entry| match wanted {
        NameOrId::Name(name) => entry[0] == name.as_bytes(),
        NameOrId::Id(id) => number(entry[2]) == Some(*id),
    })
}

/// Well-formed lines, split at colons into exactly `fields` fields.
fn entries(file: &[u8], fields: usize) -> impl Iterator<Item = Vec<&[u8]>> {
    file.split(|&b| b == b'\n')
        .map(|line| line.split(|&b| b == b':').collect::<Vec<_>>())
        .filter(move |entry| entry.len() == fields && !entry[0].is_empty())
}

/// Digits only, and below `u32::MAX`. What does not fit is refused and never wraps.
fn number(field: &[u8]) -> Option<u32> {
    if field.is_empty() || !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok().filter(|&id| id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0::/root:/bin/sh\nweb:x:33:33:w:/srv:/bin/sh\n\
        big:x:4294967296:1::/:/bin/sh\nnone:x:4294967295:1::/:/\nshort:x:5\nneg:x:-1:0::/:/\n";
    const GROUP: &[u8] = b"root:x:0:\nweb:x:33:\nlog:x:4:web,root\naudio:x:29:web\n";

    #[test]
    fn a_home_is_that_of_the_first_entry() {
        let check = |uid, expected: Option<&str>| {
            assert_eq!(home(uid, PASSWD).as_deref(), expected, "{uid}");
        };
        check(0, Some("/root"));
        check(33, Some("/srv"));
        check(5, None);
        assert_eq!(home(7, b"a:x:7:7:::/bin/sh\nb:x:7:7::/b:\n"), None);
    }

    #[test]
    fn users_are_those_of_the_image() {
        let check = |text: &str, expected: Option<(u32, u32, &[u32], &str)>| {
            let account =
                text.parse().ok().and_then(|user: UserSpec| look_up(&user, PASSWD, GROUP).ok());
            let account = account.map(|a| (a.uid, a.gid, a.groups, a.home));
            let expected = expected.map(|(u, g, s, h)| (u, g, s.to_vec(), h.to_owned()));
            assert_eq!(account, expected, "{text}");
        };
        check("0", Some((0, 0, &[4], "/root")));
        check("web", Some((33, 33, &[4, 29], "/srv")));
        check("33", Some((33, 33, &[4, 29], "/srv")));
        check("web:log", Some((33, 4, &[], "/srv")));
        check("1000", Some((1000, 0, &[], "/")));
        check("1000:1000", Some((1000, 1000, &[], "/")));
        check("1000:", Some((1000, 0, &[], "/")));
        check("nobody", None);
        check("web:nogroup", None);
        // CVE-2025-3528: numbers that wrap would be root.
        check("4294967296", None);
        check("4294967295", None);
        check("18446744073709551616", None);
        check("-1", None);
        check("big", None);
        check("none", None);
        check("neg", None);
        check("short", None);
    }
}
