//! The names that an object expects others to define.
//!
//! There is no count of dynamic symbols outside the section headers, which are not trusted. The hash
//! tables tell: `DT_GNU_HASH` starts its table of defined symbols at `symoffset`, so that what lies
//! before it is mostly undefined; `DT_HASH` counts all.

use std::collections::BTreeSet;

use super::parse::{DT_GNU_HASH, DT_HASH, DT_STRTAB, DT_SYMTAB, Image};
use super::{ElfError, Name, ReadAt};

/// Names of the undefined dynamic symbols. Read on demand: the search for libraries needs none.
pub fn undefined_symbols<R: ReadAt + ?Sized>(bytes: &R) -> Result<BTreeSet<Name>, ElfError> {
    let image = Image::open(bytes)?;
    let Some(entries) = image.dynamic()? else { return Ok(BTreeSet::new()) };
    let value = |tag| entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1);
    let (Some(strings), Some(table)) = (value(DT_STRTAB), value(DT_SYMTAB)) else {
        return Ok(BTreeSet::new());
    };
    // Both tables have their number in the second word.
    let Some(at) = value(DT_HASH).or_else(|| value(DT_GNU_HASH)) else {
        return Ok(BTreeSet::new());
    };
    let count = image.word(at.wrapping_add(4))?.unwrap_or(0);
    let symbols = image.symbols(table, usize::try_from(count).unwrap_or(usize::MAX))?;
    symbols
        .iter()
        .filter(|symbol| symbol.undefined)
        .map(|symbol| Ok(Name::from(image.string(strings.wrapping_add(symbol.name))?)))
        .collect()
}
