//! Who the program runs as: users and groups of the image, from the image's own files.

use std::io::Read as _;

use common::accounts::{self, Account, UserSpec};
use common::root::Root;

use super::SpecError;

/// A passwd or group file larger than this is an attack (R11).
const LIMIT: u64 = 4 << 20;

/// The image's `User`: empty means root.
pub(super) fn of_image(text: &str, root: &Root) -> Result<Account, SpecError> {
    let text = if text.is_empty() { "0" } else { text };
    let user: UserSpec = text.parse().ok().ok_or_else(|| SpecError::User(text.to_owned()))?;
    look_up(&user, root)
}

/// The account that `user` means in this image. A name must be known; a number need not be.
///
/// # Errors
/// It is not known, or the files of the image that say so cannot be read.
pub fn look_up(user: &UserSpec, root: &Root) -> Result<Account, SpecError> {
    let passwd = read(root, "/etc/passwd")?;
    let group = read(root, "/etc/group")?;
    Ok(accounts::look_up(user, &passwd, &group)?)
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
