//! Caches: a lookup by halves finds what a search from the start finds, if the cache is in order.

use builder::elf::{Class, Endian, Machine};
use builder::resolve::Processor;
use builder::resolve::hwcaps::Hwcaps;
use builder::resolve::ld_cache::{LdCache, Reader, compare};
use builder::resolve::system_dirs::Version;
use builder::spec::search::Cpus;

use super::input::Input;

/// The bytes of `/etc/ld.so.cache`, read in both byte orders; and the bytes as names and paths of a cache
/// that is in order.
///
/// # Panics
/// When something does not hold that must.
pub fn ld_cache(bytes: &[u8]) {
    for endian in [Endian::Little, Endian::Big] {
        if let Some(cache) = LdCache::parse(bytes.to_vec(), endian) {
            check(&cache, bytes.len());
        }
        in_order(bytes, endian);
    }
}

/// A name, a path, and the id of an architecture.
type Entry = (Vec<u8>, Vec<u8>, u32);

/// Answers are entries, and order is order.
fn check(cache: &LdCache, size: usize) {
    assert!(cache.iter().count() <= size / 12, "more entries than there is room for");
    let entries: Vec<_> = cache.iter().take(256).collect();
    for pair in entries.windows(2) {
        let (left, right) = (pair[0].0, pair[1].0);
        assert_eq!(compare(left, right), compare(right, left).reverse());
    }
    let names = entries.iter().map(|&(name, _, id, _)| (name, id));
    for (name, id) in names.chain([(&b""[..], 0x303), (b"libc.so.6", 0x303), (b"\xff", 0)]) {
        for reader in readers(id) {
            let Some(hit) = cache.lookup(name, reader) else { continue };
            assert!(
                cache.iter().any(|(key, value, of, hwcap)| {
                    (value, of) == (hit.path, id)
                        && compare(name, key).is_eq()
                        && (hwcap != 0 || hit.variant.is_empty())
                }),
                "the answer is no entry"
            );
        }
    }
}

/// Loaders of both schemes of variants, on every processor.
fn readers(id: u32) -> Vec<Reader> {
    let version = Some(Version { major: 2, minor: 36 });
    let processors = Processor::all(Cpus::All, Machine::X86_64, version);
    let hwcaps = |processor| Hwcaps::new(processor, Machine::X86_64, Class::Elf64, version);
    processors.into_iter().map(|processor| Reader { id, hwcaps: hwcaps(processor) }).collect()
}

/// The bytes as entries of a cache that is in order.
fn in_order(bytes: &[u8], endian: Endian) {
    let mut input = Input(bytes);
    let mut entries: Vec<Entry> = Vec::new();
    while !input.is_empty() && entries.len() < 64 {
        let id = *input.choose(&[0x303, 0x003, 0x803]);
        let text = |bytes: &[u8]| bytes.iter().copied().filter(|&byte| byte != 0).collect();
        entries.push((text(input.chunk()), text(input.chunk()), id));
    }
    entries.sort_by(|left, right| compare(&right.0, &left.0));
    let borrowed: Vec<(&[u8], &[u8], u32)> =
        entries.iter().map(|(name, path, id)| (name.as_slice(), path.as_slice(), *id)).collect();
    let bytes = crate::elf::cache(&borrowed, endian == Endian::Big);
    let cache = LdCache::parse(bytes, endian).expect("a good cache");
    assert_eq!(cache.iter().count(), entries.len());
    for (name, _, id) in &entries {
        let first = entries.iter().find(|(key, _, of)| of == id && compare(key, name).is_eq());
        for reader in readers(*id) {
            let hit = cache.lookup(name, reader).map(|hit| hit.path);
            assert_eq!(hit, first.map(|entry| entry.1.as_slice()));
        }
    }
}
