//! The names that an object expects others to define.
//!
//! There is no count of dynamic symbols outside the section headers, which are not trusted. The hash
//! tables tell. `DT_HASH` counts all; of `DT_GNU_HASH` the last bucket's chain ends at the last symbol:
//!
//! ```text
//! u32 buckets | u32 first hashed symbol | u32 bloom words | u32 shift
//! | bloom words of address size | buckets x u32 symbol | u32 hash per hashed symbol, odd at a chain's end
//! ```

use std::collections::BTreeSet;

use super::parse::{DT_GNU_HASH, DT_HASH, DT_STRTAB, DT_SYMTAB, Image, MAX_SYMBOLS};
use super::{Class, ElfError, Name, ReadAt};

/// Names of the undefined dynamic symbols. Read on demand: the search for libraries needs none.
pub fn undefined_symbols<R: ReadAt + ?Sized>(bytes: &R) -> Result<BTreeSet<Name>, ElfError> {
    let image = Image::open(bytes)?;
    let Some(entries) = image.dynamic()? else { return Ok(BTreeSet::new()) };
    let value = |tag| entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1);
    let (Some(strings), Some(table)) = (value(DT_STRTAB), value(DT_SYMTAB)) else {
        return Ok(BTreeSet::new());
    };
    let count = match (value(DT_HASH), value(DT_GNU_HASH)) {
        // Buckets, then symbols.
        (Some(hash), _) => image.word(hash.wrapping_add(4))?.unwrap_or(0),
        (None, Some(hash)) => gnu_count(&image, hash)?,
        (None, None) => 0,
    };
    let symbols = image.symbols(table, usize::try_from(count).unwrap_or(usize::MAX))?;
    symbols
        .iter()
        .filter(|symbol| symbol.undefined)
        .map(|symbol| Ok(Name::from(image.string(strings.wrapping_add(symbol.name))?)))
        .collect()
}

/// Number of symbols by a `DT_GNU_HASH` table; what lies outside the file ends it, and so does a number
/// that no object has.
fn gnu_count<R: ReadAt + ?Sized>(image: &Image<'_, R>, hash: u64) -> Result<u32, ElfError> {
    let mut header = [0_u64; 3];
    for (index, field) in (0..).zip(&mut header) {
        *field = u64::from(image.word(hash.wrapping_add(index * 4))?.unwrap_or(0));
    }
    let [buckets, first, bloom] = header;
    let word = if image.class() == Class::Elf64 { 8 } else { 4 };
    let table = hash.wrapping_add(16 + bloom * word);
    let mut last = 0;
    let most = MAX_SYMBOLS as u64;
    for index in 0..buckets.min(most) {
        let Some(symbol) = image.word(table.wrapping_add(index * 4))? else { break };
        last = last.max(u64::from(symbol));
    }
    if last < first {
        return Ok(u32::try_from(first).unwrap_or(u32::MAX));
    }
    let chains = table.wrapping_add(buckets * 4);
    while let Some(entry) = image.word(chains.wrapping_add((last - first) * 4))? {
        last += 1;
        if entry & 1 == 1 || last - first > most {
            break;
        }
    }
    Ok(u32::try_from(last).unwrap_or(u32::MAX))
}
