//! Who the image runs as. A name is looked up in the root's files; a number is used as it is, so
//! that it does not matter which users the build machine has.

use serde::Serialize;

use super::error::PlanError;
use super::survey::Survey;
use crate::spec::value::{NameOrId, UserName};

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
    let root = NameOrId::Id(ROOT);
    let (user, group) = asked.map_or((&root, None), |name| (&name.user, name.group.as_ref()));
    let (name, uid, own_gid) = match user {
        NameOrId::Id(ROOT) => ("root".to_owned(), ROOT, ROOT),
        NameOrId::Id(NOBODY) => ("nobody".to_owned(), NOBODY, NOBODY),
        // Without a group, a number runs in the group of the same number.
        NameOrId::Id(id) => ("app".to_owned(), *id, *id),
        NameOrId::Name(name) => {
            let line =
                fields(&survey.passwd, name).ok_or_else(|| unknown("user", name, "/etc/passwd"))?;
            let id = |at: usize| line.get(at).and_then(|field| field.parse::<u32>().ok());
            let (Some(uid), Some(gid)) = (id(2), id(3)) else {
                return Err(unknown("user", name, "/etc/passwd"));
            };
            (name.clone(), uid, gid)
        }
    };
    let gid = match group {
        None => own_gid,
        Some(NameOrId::Id(id)) => *id,
        Some(NameOrId::Name(name)) => fields(&survey.group, name)
            .and_then(|line| line.get(2)?.parse().ok())
            .ok_or_else(|| unknown("group", name, "/etc/group"))?,
    };
    let group = match (group, gid) {
        (Some(NameOrId::Name(name)), _) => name.clone(),
        (_, ROOT) => "root".to_owned(),
        (_, NOBODY) => "nogroup".to_owned(),
        _ => name.clone(),
    };
    Ok(User { name, uid, group, gid })
}

/// The fields of the line that starts with `name` (passwd(5), group(5)).
fn fields<'t>(text: &'t str, name: &str) -> Option<Vec<&'t str>> {
    text.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|line| line[0] == name)
}

fn unknown(kind: &'static str, name: &str, file: &'static str) -> PlanError {
    PlanError::NoUser { kind, name: name.to_owned(), file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_resolve_as_the_table_says() {
        let survey = Survey {
            passwd: "root:x:0:0::/:/bin/sh\nwww:x:33:34::/:\nbad:x:y:z\n".to_owned(),
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
            ("nope", "there is no user `nope` in the root's `/etc/passwd`"),
            ("bad", "there is no user `bad` in the root's `/etc/passwd`"),
            ("www:nope", "there is no group `nope` in the root's `/etc/group`"),
        ] {
            let error = resolve(Some(&asked.parse().unwrap()), &survey).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
