//! What an ELF object asks of the dynamic loader, read from its headers.
//!
//! Decides how bytes of an object become an [`Object`]; refuses to know paths, roots and search
//! orders. Reads only the ELF header, the program headers, the dynamic section and the strings that
//! it names: section headers are never trusted, because the loader never looks at them.
//!
//! ```text
//! reader   ReadAt: byte ranges of an object, from a file or from memory
//! header   its vocabulary: width, byte order, architecture
//! level    names of processor levels
//! parse    headers and bytes by address, the only file that names goblin
//! object   Object, and how it is read
//! note     .note.dlopen and .note.package; the processor and kernel that an object is for
//! versions which versions of which objects it needs, and which it defines
//! symbols  what it defines, and what its relocations expect others to define
//! strip    what is left of a file without the sections that no loader maps
//! relocations  which symbols relocations name, and what for
//! package  what .note.package says, in words
//! token    $ORIGIN, $LIB and $PLATFORM in its strings
//! ```

mod error;
mod header;
mod level;
mod name;
mod note;
mod object;
mod package;
mod parse;
mod reader;
mod relocations;
pub mod strip;
mod symbols;
mod token;
mod versions;

pub use error::ElfError;
pub use header::{Class, Endian, Identity, Kind, Machine};
pub use level::{all_levels, levels};
pub use name::Name;
pub use note::{DlopenFeature, IsaLevel, Kernel, Platform, Priority};
pub use object::{DynamicFlags, Object, read_only_data};
pub use package::Package;
pub use parse::architecture;
pub use reader::ReadAt;
pub use relocations::Use;
pub use symbols::{Binding, Symbol, SymbolType, Symbols, undefined_symbols};
pub use token::{Expanded, Tokens, expand, has_origin, has_token, origin_is_unsafe};
pub use versions::{DefinedVersion, FileNeeds, NeededVersion, Versions};
