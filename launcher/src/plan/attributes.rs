//! What `mount_setattr(2)` can change of a mount, as the words of mount(8) that ask for it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::options::{self, Word};

/// `MOUNT_ATTR_RDONLY` (linux/mount.h).
pub(super) const READONLY: u64 = 0x1;
/// `MOUNT_ATTR_NOSUID`.
pub(super) const NOSUID: u64 = 0x2;
/// `MOUNT_ATTR_NODEV`.
pub(super) const NODEV: u64 = 0x4;
/// `MOUNT_ATTR_NOEXEC`.
pub(super) const NOEXEC: u64 = 0x8;
/// `MOUNT_ATTR__ATIME`: a field, of which relatime is the zero.
pub(super) const ATIME: u64 = 0x70;
/// `MOUNT_ATTR_NOATIME`.
pub(super) const NOATIME: u64 = 0x10;
/// `MOUNT_ATTR_STRICTATIME`.
pub(super) const STRICTATIME: u64 = 0x20;
/// `MOUNT_ATTR_NODIRATIME`.
pub(super) const NODIRATIME: u64 = 0x80;
/// `MOUNT_ATTR_NOSYMFOLLOW` (Linux 5.14).
pub(super) const NOSYMFOLLOW: u64 = 0x20_0000;

/// A change: bits that are set, and bits that are cleared (`MOUNT_ATTR_*`). What is in neither stays as it is: a copy of a
/// mount has what the mount has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// These are set.
    pub set: u64,
    /// These are cleared first.
    pub clear: u64,
}

impl Change {
    /// The mount cannot be written (as a bit of the kernel's).
    pub(crate) const READONLY: u64 = READONLY;
    /// What hides a folder.
    pub(crate) const EMPTY_FOLDER: Self = Self::set(READONLY | NOSUID | NODEV | NOEXEC);
    /// What is only used on the way.
    pub(crate) const SCRATCH: Self = Self::set(NOSUID | NODEV);

    /// Nothing but these bits set.
    pub(super) const fn set(bits: u64) -> Self {
        Self { set: bits, clear: 0 }
    }

    /// These bits cleared.
    pub(super) const fn clear(bits: u64) -> Self {
        Self { set: 0, clear: bits }
    }

    /// The way in which access times are kept, of which exactly one is in force.
    pub(super) const fn atime(way: u64) -> Self {
        Self { set: way, clear: ATIME }
    }

    /// This change and then another; the later word wins.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            set: (self.set & !later.clear) | later.set,
            // The access time's field is cleared and set in one call.
            clear: (self.clear & !(later.set & !ATIME)) | later.clear,
        }
    }

    /// Whether it changes nothing.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Whether the mount cannot be written.
    pub fn readonly(self) -> bool {
        self.set & READONLY != 0
    }
}

/// Attributes of a mount, and of it and all mounts below it. Printed as mount(8)'s words: `["nosuid", "rro"]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Of the mount itself.
    pub own: Change,
    /// Of it and all that is mounted below it, changed after that.
    pub all: Change,
}

impl Attributes {
    /// Those that some words ask for; what is no attribute is left out.
    pub(super) fn of(words: &[&str]) -> Self {
        words.iter().fold(Self::default(), |all, word| all.with(word).unwrap_or(all))
    }

    /// With one more word; `None` when that is no attribute.
    fn with(mut self, word: &str) -> Option<Self> {
        let (change, recursive) = match options::meaning(word)? {
            Word::Attribute(change) => (change, false),
            Word::AttributeOfAll(change) => (change, true),
            _ => return None,
        };
        let slot = if recursive { &mut self.all } else { &mut self.own };
        *slot = slot.and(change);
        Some(self)
    }

    /// What holds for the mount itself in the end.
    pub fn of_top(&self) -> Change {
        self.own.and(self.all)
    }

    /// Whether the mount itself cannot be written.
    pub fn readonly(&self) -> bool {
        self.of_top().readonly()
    }

    /// All of it for what is mounted below, too, and then more of that.
    #[must_use]
    pub(super) fn and_of_all(self, more: Self) -> Self {
        Self { own: Change::default(), all: self.own.and(self.all).and(more.all) }
    }

    /// The same but writable for now.
    #[must_use]
    pub(crate) fn writable(mut self) -> Self {
        self.own.set &= !READONLY;
        self.all.set &= !READONLY;
        self
    }

    /// The words that ask for this.
    pub fn words(&self) -> Vec<&'static str> {
        options::words_of(self.own, false).chain(options::words_of(self.all, true)).collect()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.words().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        words.iter().try_fold(Self::default(), |all, word| {
            all.with(word).ok_or_else(|| {
                D::Error::custom(format_args!("`{word}` is no attribute of a mount"))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_words_win() {
        for (words, set, clear) in [
            (&["ro"][..], READONLY, 0),
            (&["ro", "rw"], 0, READONLY),
            (&["rw", "ro"], READONLY, 0),
            (&["noatime"], NOATIME, ATIME),
            (&["noatime", "strictatime"], STRICTATIME, ATIME),
            (&["strictatime", "relatime"], 0, ATIME),
            (&["noatime", "atime"], 0, ATIME),
            (&["nosuid", "nodev", "suid"], NODEV, NOSUID),
            (&["nodiratime", "symfollow"], NODIRATIME, NOSYMFOLLOW),
        ] {
            let attributes = Attributes::of(words);
            assert_eq!(attributes.own, Change { set, clear }, "{words:?}");
            assert!(attributes.all.is_empty(), "{words:?}");
        }
        assert!(!Attributes::of(&["ro", "rrw"]).readonly());
        assert!(Attributes::of(&["rw", "rro"]).readonly());
    }

    #[test]
    fn attributes_survive_being_printed() {
        for words in [
            &["ro", "nosuid", "nodev", "noexec", "rro", "rnosymfollow"][..],
            &["rw", "dev", "noatime", "nodiratime", "rrelatime"],
            &["relatime"],
            &["strictatime", "symfollow", "exec", "suid", "diratime"],
            &[],
        ] {
            let attributes = Attributes::of(words);
            let text = serde_json::to_string(&attributes).unwrap();
            assert_eq!(serde_json::from_str::<Attributes>(&text).unwrap(), attributes, "{text}");
        }
        assert!(serde_json::from_str::<Attributes>(r#"["bind"]"#).is_err());
    }
}
