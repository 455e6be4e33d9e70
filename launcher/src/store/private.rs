//! The folder of one container's own: its writable layer, laid out by `spawn`.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, mkdirat};

use super::{CONTAINERS, Store, StoreError, area, below};

impl Store {
    /// Makes `<store>/containers/<id>` (0700), and returns where it is.
    pub fn create_private(&self, id: &str) -> Result<PathBuf, StoreError> {
        check(id)?;
        let path = self.path.join(CONTAINERS).join(id);
        mkdirat(self.area(CONTAINERS)?, id, Mode::RWXU).map_err(StoreError::io("create", &path))?;
        Ok(path)
    }

    /// Removes `<store>/containers/<id>` with all below it, no link followed, no mount entered.
    /// Whether it was there. Files that belong to subordinate ids of an ordinary user can be removed
    /// only inside a user namespace that maps them: call it there.
    pub fn remove_private(&self, id: &str) -> Result<bool, StoreError> {
        remove_private(&self.path, id)
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

/// [`Store::remove_private`] for a store that need not be opened for it.
pub fn remove_private(store: &Path, id: &str) -> Result<bool, StoreError> {
    check(id)?;
    let containers = area(store, CONTAINERS)?;
    below::remove(containers.as_fd(), id.as_bytes())
        .map_err(StoreError::io("remove", store.join(CONTAINERS).join(id)))
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
