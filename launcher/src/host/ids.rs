//! Subordinate ids: the ranges that an ordinary user may map into a user namespace, and the set-uid
//! helpers that map them (`subuid(5)`, `newuidmap(1)`).
//!
//! Only the files are read, never NSS: a remote directory of ids is the helpers' business.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The ranges of our user, and the helpers. All empty when nothing is configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SubordinateIds {
    /// From `/etc/subuid`.
    pub uids: Vec<IdRange>,
    /// From `/etc/subgid`.
    pub gids: Vec<IdRange>,
    /// Where `newuidmap` is.
    pub newuidmap: Option<PathBuf>,
    /// Where `newgidmap` is.
    pub newgidmap: Option<PathBuf>,
}

/// `count` ids from `start` on, as the host numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first id.
    pub start: u32,
    /// How many.
    pub count: u32,
}

impl SubordinateIds {
    /// The ranges of the user `uid`, by number and by the name that `/etc/passwd` gives it.
    pub fn probe(uid: u32) -> Self {
        let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
        let name = name_of(uid, &passwd);
        let ranges =
            |file: &str| parse(&std::fs::read(file).unwrap_or_default(), uid, name.as_deref());
        Self {
            uids: ranges("/etc/subuid"),
            gids: ranges("/etc/subgid"),
            newuidmap: helper("newuidmap"),
            newgidmap: helper("newgidmap"),
        }
    }

    /// Whether ranges can be mapped: both kinds of range and both helpers are there.
    pub fn usable(&self) -> bool {
        !self.uids.is_empty()
            && !self.gids.is_empty()
            && self.newuidmap.is_some()
            && self.newgidmap.is_some()
    }
}

/// A set-uid helper, looked for where distributions put it and not on `PATH`, which the caller's
/// environment decides.
fn helper(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"]
        .into_iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| {
            path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

fn name_of(uid: u32, passwd: &[u8]) -> Option<Vec<u8>> {
    passwd.split(|&b| b == b'\n').find_map(|line| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next()?;
        (number(fields.nth(1)?) == Some(uid)).then(|| name.to_vec())
    })
}

/// The lines `owner:start:count` of one owner, who is named by name or by number. Lines that do not
/// parse, or run over the last id, are left out: the helpers would refuse them too.
fn parse(file: &[u8], uid: u32, name: Option<&[u8]>) -> Vec<IdRange> {
    file.split(|&b| b == b'\n')
        .filter_map(|line| {
            let fields: Vec<&[u8]> = line.split(|&b| b == b':').collect();
            let [owner, start, count] = fields[..] else { return None };
            if Some(owner) != name && number(owner) != Some(uid) {
                return None;
            }
            let range = IdRange { start: number(start)?, count: number(count)? };
            // The id 2^32-1 means "none" to the kernel.
            (range.count > 0 && range.start.checked_add(range.count).is_some()).then_some(range)
        })
        .collect()
}

fn number(field: &[u8]) -> Option<u32> {
    if field.is_empty() || !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let range = |start, count| IdRange { start, count };
        for (file, expected) in [
            ("ann:100000:65536\nbob:165536:65536\n", vec![range(165_536, 65_536)]),
            ("1001:1:2\nbob:3:4", vec![range(1, 2), range(3, 4)]),
            ("bob:1\nbob:x:2\nbob:-1:2\nbob:+1:2\nbob:5:0\n", vec![]),
            ("bob:4294967295:1\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(parse(file.as_bytes(), 1001, Some(b"bob")), expected, "{file:?}");
        }
        assert_eq!(parse(b":1:2\nx:3:4\n", 1001, None), []);
    }

    #[test]
    fn names_come_from_passwd() {
        let passwd = b"root:x:0:0::/root:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n";
        assert_eq!(name_of(1001, passwd).as_deref(), Some(&b"bob"[..]));
        assert_eq!(name_of(1002, passwd), None);
    }
}
