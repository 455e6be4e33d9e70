//! Who the program runs as: users and groups of the image, from the image's own files. Never NSS, never the host's.

use std::io::Read as _;

use common::root::Root;

use super::{NameOrId, SpecError, UserSpec};

/// A passwd or group file larger than this is an attack (R11).
const LIMIT: u64 = 4 << 20;
/// More groups than this cannot be set (`NGROUPS_MAX`, credentials(7)).
const MOST_GROUPS: usize = 65_536;

/// The result of a look-up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// The image's `User`: empty means root.
pub(super) fn of_image(text: &str, root: &Root) -> Result<Account, SpecError> {
    let text = if text.is_empty() { "0" } else { text };
    let user: UserSpec = text.parse().ok().ok_or_else(|| SpecError::User(text.to_owned()))?;
    look_up(&user, root)
}

/// The account that `user` means in this image. A name must be known; a number need not be.
pub(super) fn look_up(user: &UserSpec, root: &Root) -> Result<Account, SpecError> {
    let passwd = read(root, "/etc/passwd")?;
    let group = read(root, "/etc/group")?;
    resolve(user, &passwd, &group)
}

fn resolve(user: &UserSpec, passwd: &[u8], group: &[u8]) -> Result<Account, SpecError> {
    let known = find(passwd, 7, &user.user).map(|fields| {
        let overflow = || SpecError::Number {
            file: "/etc/passwd",
            name: String::from_utf8_lossy(fields[0]).into_owned(),
        };
        let (uid, gid) =
            (number(fields[2]).ok_or_else(overflow)?, number(fields[3]).ok_or_else(overflow)?);
        Ok::<_, SpecError>((fields[0], uid, gid, String::from_utf8_lossy(fields[5]).into_owned()))
    });
    let (name, uid, gid, home) = match (known.transpose()?, &user.user) {
        (Some((name, uid, gid, home)), _) => (Some(name), uid, gid, home),
        (None, NameOrId::Id(uid)) => (None, *uid, 0, String::new()),
        (None, NameOrId::Name(name)) => return Err(SpecError::UnknownUser(name.clone())),
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

fn group_id(wanted: &NameOrId, group: &[u8]) -> Result<u32, SpecError> {
    match wanted {
        NameOrId::Id(gid) => Ok(*gid),
        NameOrId::Name(name) => find(group, 4, wanted)
            .ok_or_else(|| SpecError::UnknownGroup(name.clone()))
            .and_then(|fields| {
                let file = "/etc/group";
                number(fields[2]).ok_or_else(|| SpecError::Number { file, name: name.clone() })
            }),
    }
}

/// The groups that name the user as a member.
fn memberships(name: &[u8], group: &[u8]) -> Vec<u32> {
    let mut all: Vec<u32> = entries(group, 4)
        .filter(|fields| fields[3].split(|&b| b == b',').any(|member| member == name))
        .filter_map(|fields| number(fields[2]))
        .take(MOST_GROUPS)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The first entry with this name or number. Name and number are the fields 0 and 2 of both files (passwd(5), group(5)).
fn find<'a>(file: &'a [u8], fields: usize, wanted: &NameOrId) -> Option<Vec<&'a [u8]>> {
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

/// Digits only, and below `u32::MAX`, which means "no change" to the kernel. What does not fit is refused and never wraps
/// (CVE-2025-3528).
fn number(field: &[u8]) -> Option<u32> {
    if field.is_empty() || !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok().filter(|&id| id != u32::MAX)
}

/// A file of the image, empty where it is missing.
fn read(root: &Root, file: &'static str) -> Result<Vec<u8>, SpecError> {
    let opened = match root.open_file(file.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|source| SpecError::Read { file, source })?,
    };
    let mut bytes = Vec::new();
    opened
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| SpecError::Read { file, source })?;
    if bytes.len() as u64 > LIMIT {
        return Err(SpecError::TooLarge { file, limit: LIMIT });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0::/root:/bin/sh\nweb:x:33:33:w:/srv:/bin/sh\n\
        big:x:4294967296:1::/:/bin/sh\nnone:x:4294967295:1::/:/\nshort:x:5\nneg:x:-1:0::/:/\n";
    const GROUP: &[u8] = b"root:x:0:\nweb:x:33:\nlog:x:4:web,root\naudio:x:29:web\n";

    #[test]
    fn users_are_those_of_the_image() {
        let check = |text: &str, expected: Option<(u32, u32, &[u32], &str)>| {
            let account = text.parse().ok().and_then(|user| resolve(&user, PASSWD, GROUP).ok());
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
