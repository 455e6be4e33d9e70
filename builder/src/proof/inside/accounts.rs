//! Who a program of the image runs as, by the image's own `/etc/passwd` and `/etc/group`.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use common::accounts::{Account, AccountError, look_up};
use rustix::fs::OFlags;

use crate::spec::value::UserName;

/// Bytes of a file of users that are read.
const MOST: u64 = 4 << 20;

/// Root, whatever the files say.
pub(super) fn root() -> Account {
    Account { uid: 0, gid: 0, groups: Vec::new(), home: "/root".to_owned() }
}

/// The user in the files of the image; root where none is named.
pub(super) fn account(user: Option<&UserName>) -> Result<Account, AccountError> {
    let Some(user) = user else { return Ok(root()) };
    look_up(user.spec(), &read("/etc/passwd"), &read("/etc/group"))
}

/// An image may have no such file, or anything in its place: that is as good as an empty one.
fn read(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    if let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path)
        && file.metadata().is_ok_and(|status| status.is_file())
    {
        file.take(MOST).read_to_end(&mut bytes).ok();
    }
    bytes
}
