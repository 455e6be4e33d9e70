//! The names that an object expects others to define.

use std::collections::BTreeSet;

use super::{ElfError, Name, ReadAt};

/// Names of the undefined dynamic symbols. Read on demand: the search for libraries needs none.
pub fn undefined_symbols<R: ReadAt + ?Sized>(bytes: &R) -> Result<BTreeSet<Name>, ElfError> {
    let _ = bytes;
    todo!()
}
