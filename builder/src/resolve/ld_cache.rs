//! `/etc/ld.so.cache`, as the loader reads it. Takes bytes, answers names.
//!
//! ```text
//! old   "ld.so-1.7.0" pad | u32 count | count x (i32 flags, u32 key, u32 value) | strings
//! new   "glibc-ld.so.cache1.1" | u32 count | u32 string bytes | u8 endian flag, 3 x 0
//!       | u32 extensions | 12 x 0 | count x (i32 flags, u32 key, u32 value, u32 osversion, u64 hwcap) | strings
//! both  the old header and entries, padding to 8 (or 4), then the new one
//!
//! extensions  u32 magic | u32 count | count x (u32 tag, u32 flags, u32 offset, u32 size)
//!             tag 1: names of processor levels, a u32 offset each
//! ```
//! Offsets of the new layout count from its own header, of the old from behind its entries. Knowledge:
//! glibc `sysdeps/generic/dl-cache.h`, `elf/dl-cache.c`. A cache that is cut or broken counts as none.

use std::cmp::Ordering;

use super::hwcaps::{Hwcaps, Variant, split_variant};
use crate::elf::Endian;

mod keys;

pub use keys::{architecture_id, compare};

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const NEW_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;

/// Offset of the extensions' own offset in the new header, and what they start with.
const EXTENSIONS: usize = 32;
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
/// The extension that names levels, and the size of an entry of their directory.
const LEVEL_NAMES: u32 = 1;
const EXTENSION_ENTRY: usize = 16;

/// A cache whose header fits its size.
#[derive(Debug, Clone)]
pub struct LdCache {
    bytes: Vec<u8>,
    endian: Endian,
    new: bool,
    /// Offset of the first entry.
    entries: usize,
    count: usize,
    /// Offset that keys and values count from.
    strings: usize,
    /// Offset and number of the words that name levels.
    levels: (usize, usize),
}

/// What the loader takes from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit<'c> {
    /// The path.
    pub path: &'c [u8],
    /// The subdirectory of a variant in it; empty for what every processor takes.
    pub variant: &'c [u8],
}

/// Whose lookup it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// What marks the entries of the architecture.
    pub id: u32,
    /// Which variants it takes.
    pub hwcaps: Hwcaps,
}

struct Entry {
    flags: u32,
    key: u32,
    value: u32,
    hwcap: u64,
}

impl LdCache {
    /// `None` where the loader would go on as if there were no cache.
    pub fn parse(bytes: Vec<u8>, endian: Endian) -> Option<Self> {
        if bytes.starts_with(NEW_MAGIC) {
            return Self::new_layout(bytes, endian, 0);
        }
        if !bytes.starts_with(OLD_MAGIC) || bytes.len() <= OLD_HEADER {
            return None;
        }
        let count = usize::try_from(u32_at(&bytes, 12, endian)?).ok()?;
        if (bytes.len() - OLD_HEADER) / OLD_ENTRY < count {
            return None;
        }
        let strings = OLD_HEADER + count * OLD_ENTRY;
        // The new header is aligned as its widest field: 8 bytes, on i386 4.
        for at in [strings.next_multiple_of(8), strings] {
            if bytes.get(at..).is_some_and(|rest| rest.starts_with(NEW_MAGIC)) {
                return Self::new_layout(bytes, endian, at);
            }
        }
        let (entries, levels) = (OLD_HEADER, (0, 0));
        Some(Self { bytes, endian, new: false, entries, count, strings, levels })
    }

    fn new_layout(bytes: Vec<u8>, endian: Endian, at: usize) -> Option<Self> {
        let room = bytes.len().checked_sub(at + NEW_HEADER)?;
        // 0: written before there was such a flag. 1: invalid.
        match (bytes[at + 28] & 3, endian) {
            (0, _) | (2, Endian::Little) | (3, Endian::Big) => {}
            _ => return None,
        }
        let count = usize::try_from(u32_at(&bytes, at + NEW_MAGIC.len(), endian)?).ok()?;
        if room / NEW_ENTRY < count {
            return None;
        }
        let levels = level_names(&bytes, endian, at).unwrap_or_default();
        let entries = at + NEW_HEADER;
        Some(Self { bytes, endian, new: true, entries, count, strings: at, levels })
    }

    /// The path that the loader takes for `name`: the best variant that the reader's processor can use, else
    /// the first entry of its architecture that asks for no more than it has. Found by the loader's own
    /// binary search, so that a cache out of order misleads us as it misleads the loader.
    pub fn lookup(&self, name: &[u8], reader: Reader) -> Option<Hit<'_>> {
        let (mut left, mut right) = (0, self.count);
        while left < right {
            // `(left + right) / 2` of inclusive bounds.
            let middle = usize::midpoint(left, right - 1);
            match compare(name, self.string(self.entry(middle)?.key)?) {
                Ordering::Less => left = middle + 1,
                Ordering::Greater => right = middle,
                Ordering::Equal => return self.best(name, reader, middle),
            }
        }
        None
    }

    /// Among the neighbours of `middle` that bear the name. Entries of named levels stand before all
    /// others (`search_cache`).
    fn best(&self, name: &[u8], reader: Reader, middle: usize) -> Option<Hit<'_>> {
        let same = |index: usize| {
            self.entry(index)
                .and_then(|entry| self.string(entry.key))
                .is_some_and(|key| compare(name, key).is_eq())
        };
        let Reader { id, hwcaps } = reader;
        let first = (0..middle).rev().take_while(|&index| same(index)).last().unwrap_or(middle);
        let mut named: Option<(usize, &[u8])> = None;
        for index in (first..self.count).take_while(|&index| same(index)) {
            let entry = self.entry(index)?;
            let Some(path) = self.string(entry.value).filter(|_| entry.flags == id) else {
                continue;
            };
            match Variant::from(entry.hwcap) {
                Variant::Named { index, isa } => {
                    let level = self.level(index).unwrap_or_default();
                    if let Some(priority) = hwcaps.priority(level, isa)
                        && named.is_none_or(|(best, _)| priority < best)
                    {
                        named = Some((priority, path));
                    }
                }
                _ if named.is_some() => break,
                Variant::Legacy(hwcap) if hwcaps.accepts(hwcap) => {
                    return Some(Hit::new(path, hwcap != 0, false));
                }
                Variant::Legacy(_) => {}
            }
        }
        named.map(|(_, path)| Hit::new(path, true, true))
    }

    /// The name of a level by its number.
    fn level(&self, index: u32) -> Option<&[u8]> {
        let (start, count) = self.levels;
        let index = usize::try_from(index).ok().filter(|&index| index < count)?;
        self.string(u32_at(&self.bytes, start + index * 4, self.endian)?)
    }

    /// Every entry as (soname, path, architecture id, hwcap), in the order of the file; entries with
    /// offsets outside the file are left out.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], u32, u64)> {
        (0..self.count).filter_map(|index| {
            let entry = self.entry(index)?;
            Some((self.string(entry.key)?, self.string(entry.value)?, entry.flags, entry.hwcap))
        })
    }

    fn entry(&self, index: usize) -> Option<Entry> {
        let size = if self.new { NEW_ENTRY } else { OLD_ENTRY };
        let at = self.entries + index * size;
        let word = |offset| u32_at(&self.bytes, at + offset, self.endian);
        let hwcap = if self.new {
            let bytes = self.bytes.get(at + 16..at + 24)?.try_into().ok()?;
            match self.endian {
                Endian::Little => u64::from_le_bytes(bytes),
                Endian::Big => u64::from_be_bytes(bytes),
            }
        } else {
            0
        };
        Some(Entry { flags: word(0)?, key: word(4)?, value: word(8)?, hwcap })
    }

    /// The string at an offset; one that does not end counts up to the end of the file.
    fn string(&self, offset: u32) -> Option<&[u8]> {
        let start = self.strings.checked_add(usize::try_from(offset).ok()?)?;
        let rest = self.bytes.get(start..).filter(|rest| !rest.is_empty())?;
        rest.split(|&byte| byte == 0).next()
    }
}

impl<'c> Hit<'c> {
    fn new(path: &'c [u8], is_variant: bool, named: bool) -> Self {
        let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let variant = if is_variant { split_variant(&path[..end], named).1 } else { b"" };
        Self { path, variant }
    }
}

/// Where the names of levels stand in a cache whose new header is at `at`, and how many there are
/// (`cache_extension_load`: anything that does not fit leaves none).
fn level_names(bytes: &[u8], endian: Endian, at: usize) -> Option<(usize, usize)> {
    let word = |offset: usize| usize::try_from(u32_at(bytes, offset, endian)?).ok();
    let start = at.checked_add(word(at + EXTENSIONS)?)?;
    if start == at || start % 4 != 0 || u32_at(bytes, start, endian)? != EXTENSION_MAGIC {
        return None;
    }
    let room = bytes.len().checked_sub(start.checked_add(8)?)? / EXTENSION_ENTRY;
    let count = word(start + 4)?;
    if count > room {
        return None;
    }
    (0..count).find_map(|number| {
        let entry = start + 8 + number * EXTENSION_ENTRY;
        let (offset, size) = (at.checked_add(word(entry + 8)?)?, word(entry + 12)?);
        let end = offset.checked_add(size)?;
        let fits = offset % 4 == 0 && size % 4 == 0 && end <= bytes.len();
        (u32_at(bytes, entry, endian)? == LEVEL_NAMES && fits).then_some((offset, size / 4))
    })
}

fn u32_at(bytes: &[u8], at: usize, endian: Endian) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(match endian {
        Endian::Little => u32::from_le_bytes(bytes),
        Endian::Big => u32::from_be_bytes(bytes),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::{Class, Machine};
    use crate::resolve::hwcaps::Processor;

    /// A new-layout cache of (name, path, flags, hwcap), in the given order.
    fn cache(entries: &[(&str, &str, u32, u64)], endian: Endian) -> Vec<u8> {
        let word = |value: u32| match endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        let flag = if endian == Endian::Little { 2 } else { 3 };
        let count = u32::try_from(entries.len()).unwrap();
        let mut bytes = [NEW_MAGIC, &word(count), &[0; 4], &[flag, 0, 0, 0], &[0; 16]].concat();
        let mut strings = Vec::new();
        let base = NEW_HEADER + entries.len() * NEW_ENTRY;
        for (name, path, flags, hwcap) in entries {
            bytes.extend(word(*flags));
            for text in [name, path] {
                bytes.extend(word(u32::try_from(base + strings.len()).unwrap()));
                strings.extend([text.as_bytes(), b"\0"].concat());
            }
            bytes.extend(word(0));
            bytes.extend(match endian {
                Endian::Little => hwcap.to_le_bytes(),
                Endian::Big => hwcap.to_be_bytes(),
            });
        }
        bytes.extend(strings);
        bytes
    }

    const ENTRIES: &[(&str, &str, u32, u64)] = &[
        ("libz.so.1", "/v3/libz.so.1", 0x303, 1 << 62 | 1),
        ("libz.so.1", "/32/libz.so.1", 0x003, 0),
        ("libz.so.1", "/64/libz.so.1", 0x303, 0),
        ("liba.so.10", "/64/liba.so.10", 0x303, 0),
        ("liba.so.9", "/64/liba.so.9", 0x303, 0),
    ];

    /// The path that a baseline processor is given.
    fn lookup<'c>(cache: &'c LdCache, name: &str, id: u32) -> Option<&'c [u8]> {
        let hwcaps = Hwcaps::new(Processor::default(), Machine::X86_64, Class::Elf64, None);
        let reader = Reader { id, hwcaps };
        cache.lookup(name.as_bytes(), reader).map(|hit| hit.path)
    }

    #[test]
    fn the_baseline_entry_of_the_architecture_is_taken() {
        for endian in [Endian::Little, Endian::Big] {
            let cache = LdCache::parse(cache(ENTRIES, endian), endian).unwrap();
            for (name, id, path) in [
                ("libz.so.1", 0x303, Some("/64/libz.so.1")),
                ("libz.so.1", 0x003, Some("/32/libz.so.1")),
                ("libz.so.1", 0xa03, None),
                ("liba.so.9", 0x303, Some("/64/liba.so.9")),
                ("libb.so.1", 0x303, None),
            ] {
                assert_eq!(lookup(&cache, name, id), path.map(str::as_bytes), "{name}");
            }
            assert_eq!(cache.iter().count(), 5);
        }
    }

    #[test]
    fn the_new_layout_is_found_behind_the_old_one() {
        let mut both = [OLD_MAGIC, b"\0", &1_u32.to_le_bytes()].concat();
        both.extend([0; OLD_ENTRY + 4]);
        both.extend(cache(ENTRIES, Endian::Little));
        let cache = LdCache::parse(both, Endian::Little).unwrap();
        assert_eq!(lookup(&cache, "liba.so.10", 0x303), Some(&b"/64/liba.so.10"[..]));
    }

    #[test]
    fn the_old_layout_alone() {
        let mut old = [OLD_MAGIC, b"\0", &1_u32.to_le_bytes()].concat();
        for word in [0x303_u32, 0, 5] {
            old.extend(word.to_le_bytes());
        }
        old.extend(b"l.so\0/l.so\0");
        let cache = LdCache::parse(old, Endian::Little).unwrap();
        assert_eq!(lookup(&cache, "l.so", 0x303), Some(&b"/l.so"[..]));
    }

    #[test]
    fn a_cut_or_foreign_cache_counts_as_none() {
        let whole = cache(ENTRIES, Endian::Little);
        assert!(LdCache::parse(whole.clone(), Endian::Big).is_none());
        for length in 0..whole.len() {
            if let Some(cache) = LdCache::parse(whole[..length].to_vec(), Endian::Little) {
                for name in ["libz.so.1", "liba.so.9", ""] {
                    let _path = lookup(&cache, name, 0x303);
                }
            }
        }
        assert!(LdCache::parse(whole[..NEW_HEADER + 24].to_vec(), Endian::Little).is_none());
        assert!(LdCache::parse(Vec::new(), Endian::Little).is_none());
    }
}
