//! Who the image runs as. A name is looked up in the root's files; a number is used as it is, so
//! that it does not matter which users the build machine has.

use common::accounts::{self, NameOrId, UserSpec};
use serde::Serialize;

use super::error::PlanError;
use super::survey::Survey;
use crate::spec::value::UserName;

/// A user and its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Name, as `/etc/passwd` of the image will have it.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Name of the group.
    pub group: String,
    /// Group id.
    pub gid: u32,
}

/// The ids that every Linux distribution agrees on.
const ROOT: u32 = 0;
const NOBODY: u32 = 65534;

pub(super) fn resolve(asked: Option<&UserName>, survey: &Survey) -> Result<User, PlanError> {
    let root = UserSpec { user: NameOrId::Id(ROOT), group: None };
    let spec = asked.map_or(&root, UserName::spec);
    let (name, uid, own_gid) = match &spec.user {
        NameOrId::Id(ROOT) => ("root".to_owned(), ROOT, ROOT),
        NameOrId::Id(NOBODY) => ("nobody".to_owned(), NOBODY, NOBODY),
        // Without a group, a number runs in the group of the same number.
        NameOrId::Id(id) => ("app".to_owned(), *id, *id),
        NameOrId::Name(name) => {
            let user = UserSpec { user: spec.user.clone(), group: None };
            let account = accounts::look_up(&user, survey.passwd.as_bytes(), b"")?;
            (name.clone(), account.uid, account.gid)
        }
    };
    let gid = match &spec.group {
        None => own_gid,
        Some(group) => accounts::group_id(group, survey.group.as_bytes())?,
    };
    let group = match (&spec.group, gid) {
        (Some(NameOrId::Name(name)), _) => name.clone(),
        (_, ROOT) => "root".to_owned(),
        (_, NOBODY) => "nogroup".to_owned(),
        _ => name.clone(),
    };
    Ok(User { name, uid, group, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_resolve_as_the_table_says() {
        let survey = Survey {
            passwd: "root:x:0:0::/:/bin/sh\nwww:x:33:34::/:\nbad:x:y:z::/:\n".to_owned(),
            group: "adm:x:4:\n".to_owned(),
            ..Survey::default()
        };
        for (asked, name, uid, group, gid) in [
            (None, "root", 0, "root", 0),
            (Some("www"), "www", 33, "www", 34),
            (Some("www:adm"), "www", 33, "adm", 4),
            (Some("1000"), "app", 1000, "app", 1000),
            (Some("1000:0"), "app", 1000, "root", 0),
            (Some("65534"), "nobody", 65534, "nogroup", 65534),
        ] {
            let asked: Option<UserName> = asked.map(|text| text.parse().unwrap());
            let user = resolve(asked.as_ref(), &survey).unwrap();
            assert_eq!((&*user.name, user.uid, &*user.group, user.gid), (name, uid, group, gid));
        }
        for (asked, message) in [
            ("nope", "there is no user `nope` in `/etc/passwd`"),
            ("bad", "`/etc/passwd` gives `bad` a number that is no id"),
            ("www:nope", "there is no group `nope` in `/etc/group`"),
        ] {
            let error = resolve(Some(&asked.parse().unwrap()), &survey).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
