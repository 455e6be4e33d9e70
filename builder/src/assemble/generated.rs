//! The bytes of files that are made for an image.

use std::fmt::Write as _;

use super::ld_cache;
use crate::plan::{Generated, User};

/// Its bytes.
pub fn bytes(what: &Generated) -> Vec<u8> {
    match what {
        Generated::Passwd { user } => passwd(user).into_bytes(),
        Generated::Group { user } => group(user).into_bytes(),
        Generated::Hosts => {
            b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_vec()
        }
        Generated::Empty => Vec::new(),
        Generated::LdSoCache { entries } => ld_cache::bytes(entries),
        Generated::ModuleList { parts } => {
            parts.iter().flat_map(|part| part.text.as_bytes()).copied().collect()
        }
        Generated::Text { text } => text.clone().into_bytes(),
    }
}

/// passwd(5): root, nobody, and who runs the image. Nobody has a password that matches.
fn passwd(user: &User) -> String {
    let mut text = String::from("root:x:0:0:root:/root:/bin/sh\n");
    if !matches!(user.uid, 0 | 65534) {
        let User { name, uid, gid, .. } = user;
        let _ = writeln!(text, "{name}:x:{uid}:{gid}:{name}:/:/sbin/nologin");
    }
    text.push_str("nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    text
}

/// group(5).
fn group(user: &User) -> String {
    let mut text = String::from("root:x:0:\n");
    if !matches!(user.gid, 0 | 65534) {
        let _ = writeln!(text, "{}:x:{}:", user.group, user.gid);
    }
    text.push_str("nogroup:x:65534:\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_and_group_have_the_user_between_root_and_nobody() {
        let user = User { name: "app".into(), uid: 5, group: "adm".into(), gid: 4 };
        assert_eq!(
            String::from_utf8(bytes(&Generated::Passwd { user: user.clone() })).unwrap(),
            "root:x:0:0:root:/root:/bin/sh\n\
             app:x:5:4:app:/:/sbin/nologin\n\
             nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        );
        assert_eq!(
            String::from_utf8(bytes(&Generated::Group { user })).unwrap(),
            "root:x:0:\nadm:x:4:\nnogroup:x:65534:\n"
        );
    }
}
