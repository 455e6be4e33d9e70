//! What the check needs beside the image, copied from the folder that the host shows read-only: its files
//! to their places, the roots of its peers below `/.coracle/peers`.
//!
//! Copied and not mounted, so that a folder that the image has as well keeps what it has.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// A file that could not be brought.
#[derive(Debug, thiserror::Error)]
#[error("cannot make `{}` for the check: {source}", path.display())]
pub(super) struct NotGiven {
    path: PathBuf,
    source: io::Error,
}

/// Copies all that is below `from`, as it is, over what is at `to`.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), NotGiven> {
    let failed = |source| NotGiven { path: to.to_owned(), source };
    let status = match from.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        status => status.map_err(failed)?,
    };
    if status.is_dir() {
        if !to.is_dir() {
            fs::create_dir_all(to).map_err(failed)?;
            let mode = fs::Permissions::from_mode(status.permissions().mode());
            fs::set_permissions(to, mode).map_err(failed)?;
        }
        for entry in fs::read_dir(from).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    // What stands there goes, be it a link that leads elsewhere.
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    if status.is_symlink() {
        return fs::read_link(from).and_then(|target| symlink(target, to)).map_err(failed);
    }
    fs::copy(from, to).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_joins_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["from/etc/app", "to/etc"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("from/etc/app/new"), "new").unwrap();
        fs::write(at("from/etc/file"), "new").unwrap();
        symlink("app/new", at("from/etc/link")).unwrap();
        fs::write(at("to/etc/old"), "old").unwrap();
        fs::write(at("outside"), "old").unwrap();
        symlink(at("outside"), at("to/etc/file")).unwrap();
        copy(&at("from"), &at("to")).unwrap();
        for (path, content) in [
            ("to/etc/app/new", "new"),
            ("to/etc/link", "new"),
            ("to/etc/file", "new"),
            ("to/etc/old", "old"),
            ("outside", "old"),
        ] {
            assert_eq!(fs::read_to_string(at(path)).unwrap(), content, "{path}");
        }
        copy(&at("nothing"), &at("to")).unwrap();
    }
}
