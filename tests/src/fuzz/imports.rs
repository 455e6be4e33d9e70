//! Scripts, and what each language finds that they import.

use std::path::Path;

use builder::resolve::Sysroot;
use builder::resolve::modules::{LANGUAGES, imported};

/// A script of any language.
///
/// # Panics
/// When something does not hold that must.
#[expect(clippy::expect_used, reason = "a target fails by panicking")]
pub fn imports(bytes: &[u8]) {
    let empty = tempfile::tempdir().expect("a folder");
    let sysroot = Sysroot::open(Path::new(empty.path())).expect("a root");
    for language in LANGUAGES {
        let names = imported(language, bytes, &sysroot);
        assert_eq!(names, imported(language, bytes, &sysroot), "{language}");
        assert!(names.iter().all(|name| !name.is_empty()), "{language}: {names:?}");
        // A statement names a module, and each of its members once more.
        assert!(names.len() <= 2 * bytes.len() + 2, "{language}: {} names", names.len());
    }
}
