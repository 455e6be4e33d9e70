//! Why bytes are no ELF object that a loader takes.

use std::io;

use super::{Class, Machine};

/// Why an object was not understood. Says nothing of paths; who holds one adds it.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// Shorter than what its own headers promise, or than any ELF header.
    #[error("file is cut off: {what} reaches behind its end")]
    Truncated {
        /// The part that is not all there.
        what: &'static str,
    },
    /// Not a regular file.
    #[error("not a file but {0}")]
    Type(&'static str),
    /// The first four bytes are others.
    #[error("not an ELF file")]
    NotElf,
    /// `EI_CLASS` is neither 32 nor 64 bit.
    #[error("unknown ELF class {0}")]
    Class(u8),
    /// `EI_DATA` is neither little nor big endian.
    #[error("unknown ELF byte order {0}")]
    Endian(u8),
    /// A header field has a value that no loader accepts.
    #[error("bad ELF header: {0}")]
    Header(&'static str),
    /// A relocatable object, a core dump, or worse.
    #[error("an ELF file of type {0}, which is neither a program nor a shared object")]
    Kind(u16),
    /// The object is for another width of addresses.
    #[error("a {found:?} object, where {wanted:?} is needed")]
    OtherClass {
        /// What was found.
        found: Class,
        /// What the program is.
        wanted: Class,
    },
    /// The object is for another architecture.
    #[error("an object for {found}, where {wanted} is needed")]
    OtherMachine {
        /// What was found.
        found: Machine,
        /// What the program is.
        wanted: Machine,
    },
    /// The object has the other byte order.
    #[error("an object of the other byte order")]
    OtherEndian,
    /// A string lies outside the string table, or does not end.
    #[error("broken dynamic section: {0}")]
    Dynamic(&'static str),
    /// The bytes could not be read.
    #[error("cannot read: {0}")]
    Read(#[source] io::Error),
}
