//! `/etc/ld.so.cache` in glibc's new format (`sysdeps/generic/dl-cache.h`), written for an image.
//!
//! ```text
//! 0   "glibc-ld.so.cache1.1"   20 bytes, no NUL
//! 20  number of entries, bytes of strings          u32 each
//! 28  byte order: 2 little, 3 big                  u8, then 3 bytes 0
//! 32  offset of extensions, or 0                   u32, then 12 bytes 0
//! 48  entries of 24 bytes: flags, name, path (u32, offsets from byte 0), 0 (u32), hwcap (u64)
//!     strings, each with a NUL
//!     extensions: 0xeaa42174, 1, and of the one: 1 (names of levels), 0, offset, size   u32 each
//!     offset of each level's name                  u32 each
//! ```
//! Entries stand in descending order of the loader's own comparison, which its binary search relies
//! on; of one name, those of named levels before all others, which its choice relies on.

use std::collections::{BTreeMap, BTreeSet};

use crate::elf::Name;
use crate::plan::CacheEntry;
use crate::resolve::hwcaps::{CacheValue, cache_value};
use crate::resolve::ld_cache::{architecture_id, compare};

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const LITTLE_ENDIAN: u8 = 2;
/// Where the header has the offset of the extensions.
const EXTENSIONS: usize = 32;
/// An entry's hwcap where its low half numbers a level.
const NAMED: u64 = 1 << 62;

/// One entry with what it is sorted by.
struct Row<'e> {
    id: u32,
    entry: &'e CacheEntry,
    value: CacheValue<'e>,
}

/// The file. Entries of architectures that glibc has no cache flags for are left out. Every
/// architecture that images have a name for here and that uses a cache is little endian, except
/// s390x, whose loader then ignores the file.
pub(super) fn bytes(entries: &[CacheEntry]) -> Vec<u8> {
    let mut rows: Vec<Row<'_>> = entries
        .iter()
        .filter_map(|entry| {
            let id = architecture_id(entry.machine, entry.class, entry.header_flags)?;
            let value = cache_value(entry.variant.as_ref().map_or(b"", Name::as_bytes));
            Some(Row { id, entry, value })
        })
        .collect();
    rows.sort_by(|left, right| {
        compare(right.entry.name.as_bytes(), left.entry.name.as_bytes())
            .then_with(|| right.id.cmp(&left.id))
            .then_with(|| left.value.cmp(&right.value))
            .then_with(|| left.entry.path.cmp(&right.entry.path))
    });
    let levels: BTreeSet<&[u8]> = rows.iter().filter_map(|row| row.value.level()).collect();
    let mut strings = Strings { start: HEADER + ENTRY * rows.len(), ..Strings::default() };
    let mut body = Vec::new();
    for Row { id, entry, value } in &rows {
        body.extend_from_slice(&id.to_le_bytes());
        for text in [entry.name.as_bytes(), entry.path.as_bytes()] {
            body.extend_from_slice(&word(strings.offset(text)));
        }
        body.extend_from_slice(&[0; 4]);
        let hwcap = match value {
            CacheValue::Level(level) => NAMED | levels.range(..*level).count() as u64,
            CacheValue::Bits(bits) => *bits,
        };
        body.extend_from_slice(&hwcap.to_le_bytes());
    }
    let names: Vec<[u8; 4]> = levels.iter().map(|level| word(strings.offset(level))).collect();
    let extensions = (strings.start + strings.bytes.len()).next_multiple_of(4);
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&word(rows.len()));
    file.extend_from_slice(&word(strings.bytes.len()));
    file.push(LITTLE_ENDIAN);
    file.resize(HEADER, 0);
    file.extend(body);
    file.extend(strings.bytes);
    if !names.is_empty() {
        file[EXTENSIONS..EXTENSIONS + 4].copy_from_slice(&word(extensions));
        file.resize(extensions, 0);
        for number in [0xeaa4_2174, 1, 1, 0, extensions + 24, names.len() * 4] {
            file.extend_from_slice(&word(number));
        }
        file.extend(names.concat());
    }
    file
}

/// Strings, each once, and where they begin in the file.
#[derive(Default)]
struct Strings<'s> {
    start: usize,
    bytes: Vec<u8>,
    known: BTreeMap<&'s [u8], usize>,
}

impl<'s> Strings<'s> {
    fn offset(&mut self, text: &'s [u8]) -> usize {
        *self.known.entry(text).or_insert_with(|| {
            let offset = self.start + self.bytes.len();
            self.bytes.extend_from_slice(text);
            self.bytes.push(0);
            offset
        })
    }
}

/// A count or offset. A closure of four gigabytes of names does not exist.
fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}
