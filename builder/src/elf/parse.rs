//! Bytes to [`Object`].

use super::{ElfError, Object, ReadAt};

/// Reads the object's headers, dynamic section and notes.
pub fn parse<R: ReadAt + ?Sized>(bytes: &R) -> Result<Object, ElfError> {
    let _ = bytes;
    todo!()
}
