//! An archive of locales: every file of every locale lies inside of it.

use builder::resolve::locale_archive::Archive;

/// The bytes of `locale-archive`.
///
/// # Panics
/// When something does not hold that must.
pub fn locale_archive(bytes: &[u8]) {
    let size = bytes.len() as u64;
    let Ok(archive) = Archive::open(bytes, size) else { return };
    let names: Vec<&str> = archive.names().collect();
    assert!(names.is_sorted());
    for name in names {
        let Ok(found) = archive.categories(name) else { continue };
        let categories = found.expect("a name of the archive's own");
        assert_eq!(categories.len(), 12);
        assert!(categories.iter().all(|category| category.offset + category.size <= size));
    }
}
