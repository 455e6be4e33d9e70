//! `/etc/ld.so.cache` in glibc's new format (`sysdeps/generic/dl-cache.h`), written for an image.
//!
//! ```text
//! 0   "glibc-ld.so.cache1.1"   20 bytes, no NUL
//! 20  number of entries, bytes of strings          u32 each
//! 28  byte order: 2 little, 3 big                  u8, then 3 bytes 0
//! 32  offset of extensions: 0, there are none      u32, then 12 bytes 0
//! 48  entries of 24 bytes: flags, name, path (u32, offsets from byte 0), 0 (u32), hwcap 0 (u64)
//!     strings, each with a NUL
//! ```
//! Entries stand in descending order of the loader's own comparison, which its binary search relies
//! on.

use std::collections::BTreeMap;

use crate::plan::CacheEntry;
use crate::resolve::ld_cache::{architecture_id, compare};

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const LITTLE_ENDIAN: u8 = 2;

/// The file. Entries of architectures that glibc has no cache flags for are left out. Every
/// architecture that images have a name for here and that uses a cache is little endian, except
/// s390x, whose loader then ignores the file.
pub(super) fn bytes(entries: &[CacheEntry]) -> Vec<u8> {
    let mut entries: Vec<(u32, &CacheEntry)> = entries
        .iter()
        .filter_map(|entry| {
            let id = architecture_id(entry.machine, entry.class, entry.header_flags)?;
            Some((id, entry))
        })
        .collect();
    entries.sort_by(|(left_id, left), (right_id, right)| {
        compare(right.name.as_bytes(), left.name.as_bytes())
            .then_with(|| right_id.cmp(left_id))
            .then_with(|| left.path.cmp(&right.path))
    });
    let mut strings = Vec::new();
    let mut known = BTreeMap::new();
    let start = HEADER + ENTRY * entries.len();
    let mut body = Vec::new();
    for (id, entry) in &entries {
        body.extend_from_slice(&id.to_le_bytes());
        for text in [entry.name.as_bytes(), entry.path.as_bytes()] {
            let offset = *known.entry(text).or_insert_with(|| {
                let offset = start + strings.len();
                strings.extend_from_slice(text);
                strings.push(0);
                offset
            });
            body.extend_from_slice(&word(offset));
        }
        body.extend_from_slice(&[0; 12]);
    }
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&word(entries.len()));
    file.extend_from_slice(&word(strings.len()));
    file.push(LITTLE_ENDIAN);
    file.resize(HEADER, 0);
    file.extend(body);
    file.extend(strings);
    file
}

/// A count or offset. A closure of four gigabytes of names does not exist.
fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}
