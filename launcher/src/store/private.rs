//! What one container writes: the upper and work folders of its overlay.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, Uid, fchmod, fchown, mkdirat, statat};
use rustix::io::Errno;

use super::{CONTAINERS, Snapshot, Store, StoreError, below};

/// `<store>/containers/<id>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateArea {
    /// The overlay's `upperdir`.
    pub upper: PathBuf,
    /// The overlay's `workdir`, on the same file system.
    pub work: PathBuf,
}

impl Store {
    /// Makes `<store>/containers/<id>/{upper,work}` for a container of `snapshot`. `upper` gets
    /// owner and mode of the image's root, because an overlay shows those of its upper folder.
    pub fn create_private(&self, id: &str, snapshot: &Snapshot) -> Result<PrivateArea, StoreError> {
        check(id)?;
        let path = self.path.join(CONTAINERS).join(id);
        let area = PrivateArea { upper: path.join("upper"), work: path.join("work") };
        let containers = self.area(CONTAINERS)?;
        let make = |folder: &OwnedFd, name: &str| -> Result<OwnedFd, Errno> {
            mkdirat(folder, name, Mode::RWXU)?;
            below::open(folder, name.as_bytes())
        };
        let folder = make(&containers, id).map_err(failed("create", &path))?;
        make(&folder, "work").map_err(failed("create", &area.work))?;
        let upper = make(&folder, "upper").map_err(failed("create", &area.upper))?;
        let root = statat(snapshot.root(), "", AtFlags::EMPTY_PATH)
            .map_err(failed("read", snapshot.path()))?;
        let own = rustix::fs::fstat(&upper).map_err(failed("read", &area.upper))?;
        if (root.st_uid, root.st_gid) != (own.st_uid, own.st_gid) {
            let (uid, gid) = (Uid::from_raw(root.st_uid), Gid::from_raw(root.st_gid));
            fchown(&upper, Some(uid), Some(gid))
                .map_err(failed("change the owner of", &area.upper))?;
        }
        fchmod(&upper, Mode::from_raw_mode(root.st_mode & 0o7777))
            .map_err(failed("change the mode of", &area.upper))?;
        Ok(area)
    }

    /// Removes `<store>/containers/<id>` with all below it, no link followed, no mount entered.
    /// Whether it was there. Files that belong to subordinate ids of an ordinary user can be removed
    /// only inside a user namespace that maps them: call it there.
    pub fn remove_private(&self, id: &str) -> Result<bool, StoreError> {
        check(id)?;
        let path = self.path.join(CONTAINERS).join(id);
        let containers = self.area(CONTAINERS)?;
        below::remove(containers.as_fd(), id.as_bytes()).map_err(StoreError::io("remove", path))
    }

    /// Ids that have a private area, sorted.
    pub fn private_ids(&self) -> Result<Vec<String>, StoreError> {
        let path = self.path.join(CONTAINERS);
        let names = below::names(self.area(CONTAINERS)?).map_err(StoreError::io("read", path))?;
        let mut ids: Vec<String> =
            names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect();
        ids.retain(|id| check(id).is_ok());
        ids.sort();
        Ok(ids)
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::io(action, path)(error)
}

/// Rule R11: `[A-Za-z0-9_+-][A-Za-z0-9_+.-]*`, which is neither `.` nor `..` nor a path.
fn check(id: &str) -> Result<(), StoreError> {
    let valid = |c: u8| c.is_ascii_alphanumeric() || b"_+-.".contains(&c);
    if !id.is_empty() && id.len() <= 255 && !id.starts_with('.') && id.bytes().all(valid) {
        Ok(())
    } else {
        Err(StoreError::Id(id.escape_debug().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn r11_ids_are_names_and_no_paths() {
        for (id, valid) in [
            ("a", true),
            ("a.b_c+d-e", true),
            ("-", true),
            ("", false),
            (".", false),
            ("..", false),
            (".hidden", false),
            ("a/b", false),
            ("a\0", false),
            ("é", false),
            (&"a".repeat(256), false),
        ] {
            assert_eq!(check(id).is_ok(), valid, "{id}");
        }
    }
}
