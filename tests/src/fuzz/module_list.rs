//! A list of modules: what is kept of it is what stood there, in order, and reads alike.

use builder::resolve::rules::Entries;
use builder::resolve::ship::parts;
use common::tree::ImagePath;

/// The bytes of `loaders.cache` or `giomodule.cache`.
///
/// # Panics
/// When something does not hold that must.
pub fn module_list(bytes: &[u8]) {
    let list = ImagePath::new("/usr/lib/modules.cache").expect("a path");
    for entries in [Entries::Paragraphs, Entries::Lines] {
        let kept = parts(bytes, &list, entries);
        let mut rest = bytes;
        for part in &kept {
            let text = part.text.as_bytes();
            assert!(!text.is_empty());
            let at = rest.windows(text.len()).position(|window| window == text);
            rest = &rest[at.expect("bytes of the list") + text.len()..];
        }
        let again: Vec<u8> = kept.iter().flat_map(|part| part.text.as_bytes()).copied().collect();
        assert_eq!(parts(&again, &list, entries), kept);
    }
}
