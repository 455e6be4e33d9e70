//! Users and groups, as the image's own `/etc/passwd` and `/etc/group` have them (passwd(5), group(5)).

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use common::accounts::NameOrId;
use rustix::fs::OFlags;

use crate::spec::value::UserName;

/// Who a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Further groups.
    pub(super) groups: Vec<u32>,
    pub(super) home: String,
}

/// Bytes of a file of users that are read.
const MOST: u64 = 4 << 20;

impl Account {
    /// Root, whatever the files say.
    pub(super) fn root() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new(), home: "/root".to_owned() }
    }

    /// The user in the files of the image; root where none is named.
    pub(super) fn of(user: Option<&UserName>) -> Result<Self, String> {
        let Some(user) = user else { return Ok(Self::root()) };
        find(user, &read("/etc/passwd"), &read("/etc/group"))
    }
}

/// An image may have no such file, or anything in its place: that is as good as an empty one.
fn read(path: &str) -> String {
    let mut bytes = Vec::new();
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    if let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path)
        && file.metadata().is_ok_and(|status| status.is_file())
    {
        file.take(MOST).read_to_end(&mut bytes).ok();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// As a launcher does it: a number need not be in the files; a name must.
fn find(user: &UserName, passwd: &str, group: &str) -> Result<Account, String> {
    let user = user.spec();
    let lines = || passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = match &user.user {
        NameOrId::Name(name) => Some(
            lines()
                .find(|line| line.first() == Some(&name.as_str()))
                .ok_or_else(|| format!("the image has no user `{name}` in its /etc/passwd"))?,
        ),
        NameOrId::Id(id) => lines().find(|line| number(line, 2) == Some(*id)),
    };
    let line = line.unwrap_or_default();
    let uid = match &user.user {
        NameOrId::Id(id) => *id,
        NameOrId::Name(name) => number(&line, 2)
            .ok_or_else(|| format!("the image's /etc/passwd has no number for `{name}`"))?,
    };
    let gid = match &user.group {
        Some(NameOrId::Id(id)) => *id,
        Some(NameOrId::Name(name)) => group
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|line| line.first() == Some(&name.as_str()))
            .and_then(|line| number(&line, 2))
            .ok_or_else(|| format!("the image has no group `{name}` in its /etc/group"))?,
        None => number(&line, 3).unwrap_or(0),
    };
    let groups = match (line.first(), &user.group) {
        (Some(name), None) => further(group, name, gid),
        _ => Vec::new(),
    };
    let home = line.get(5).filter(|home| !home.is_empty()).map_or("/", |home| *home).to_owned();
    Ok(Account { uid, gid, groups, home })
}

/// The groups that list the user as a member.
fn further(group: &str, user: &str, gid: u32) -> Vec<u32> {
    let mut groups: Vec<u32> = group
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter(|line| line.get(3).is_some_and(|members| members.split(',').any(|m| m == user)))
        .filter_map(|line| number(&line, 2))
        .filter(|id| *id != gid)
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn number(line: &[&str], at: usize) -> Option<u32> {
    line.get(at)?.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_those_of_the_image() {
        let passwd = "root:x:0:0::/root:/bin/sh\ndb:x:5:6::/data:/bin/sh\nodd:x:y:z\n";
        let group = "ssl:x:9:db\ndb:x:6:db\nadm:x:4:root,db\n";
        let found = |user: &str| find(&user.parse().unwrap(), passwd, group);
        let account = |uid, gid, groups: &[u32], home: &str| {
            Ok(Account { uid, gid, groups: groups.to_vec(), home: home.to_owned() })
        };
        assert_eq!(found("db"), account(5, 6, &[4, 9], "/data"));
        assert_eq!(found("5"), account(5, 6, &[4, 9], "/data"));
        assert_eq!(found("db:ssl"), account(5, 9, &[], "/data"));
        assert_eq!(found("77"), account(77, 0, &[], "/"));
        assert_eq!(found("77:78"), account(77, 78, &[], "/"));
        for (user, fragment) in [("no", "no user `no`"), ("odd", "number"), ("db:no", "no group")] {
            let error = found(user).unwrap_err();
            assert!(error.contains(fragment), "{error}");
        }
    }
}
