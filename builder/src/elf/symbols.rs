//! The dynamic symbols: what an object defines, and what it expects others to define.
//!
//! There is no count of dynamic symbols outside the section headers, which are not trusted. The hash
//! tables tell, and relocations, which name symbols by number. `DT_HASH` counts all; of `DT_GNU_HASH`
//! the last bucket's chain ends at the last symbol:
//!
//! ```text
//! u32 buckets | u32 first hashed symbol | u32 bloom words | u32 shift
//! | bloom words of address size | buckets x u32 symbol | u32 hash per hashed symbol, odd at a chain's end
//! ```
//! Read on demand: the search for libraries needs none.

use std::collections::BTreeSet;

use super::parse::{
    self, DT_GNU_HASH, DT_HASH, DT_STRSZ, DT_STRTAB, DT_SYMTAB, DT_VERSYM, Image, MAX_SYMBOLS,
};
use super::relocations::{self, Use};
use super::versions::{HIDDEN, Versions};
use super::{Class, ElfError, Name, ReadAt};

/// A string table is read up to this many bytes; those of the largest real libraries have 20 MB.
const MAX_STRINGS: u64 = 1 << 27;

/// Names of the undefined dynamic symbols.
pub fn undefined_symbols<R: ReadAt + ?Sized>(bytes: &R) -> Result<BTreeSet<Name>, ElfError> {
    let image = Image::open(bytes)?;
    let Some(table) = Table::find(&image)? else { return Ok(BTreeSet::new()) };
    // A program that exports nothing may have an empty hash table: then relocations tell.
    let used = relocations::uses(&image, &table.entries)?.len();
    let symbols = image.symbols(table.symbols, table.hashed.count.max(used))?;
    symbols
        .iter()
        .filter(|symbol| symbol.section == 0 && symbol.name != 0)
        .map(|symbol| Ok(Name::from(image.string(table.strings.wrapping_add(symbol.name))?)))
        .collect()
}

/// All dynamic symbols of an object, with the versions that they refer to.
#[derive(Debug, Default)]
pub struct Symbols {
    table: Vec<parse::Symbol>,
    strings: Vec<u8>,
    /// `DT_VERSYM`; `None` where there is none.
    indices: Option<Vec<u16>>,
    uses: Vec<Use>,
    /// Number of the first symbol that a lookup can find.
    first: usize,
    /// Number behind the last one.
    end: usize,
    /// What the object needs and defines.
    pub versions: Versions,
}

/// One dynamic symbol.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own in the file")]
pub struct Symbol<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Who sees it.
    pub binding: Binding,
    /// What it is.
    pub kind: SymbolType,
    /// Whether the object itself defines it (`st_shndx` is not `SHN_UNDEF`).
    pub defined: bool,
    /// Whether it has an address. An undefined function with one is the program's own entry for it.
    pub valued: bool,
    /// `SHN_ABS`: a number, not an address.
    pub absolute: bool,
    /// `STV_HIDDEN` or `STV_INTERNAL`: never seen by other objects.
    pub local: bool,
    /// Its number of a version (see [`super::DefinedVersion::index`]): 0 local, 1 global, more a
    /// version; `None` in an object without versions.
    pub version: Option<u16>,
    /// Whether a reference must name that version to get it.
    pub hidden: bool,
    /// What relocations of its own object use it for.
    pub used: Use,
}

/// `STB_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// Seen by its object only.
    Local,
    /// Seen by all; a reference must be met.
    Global,
    /// As global; a reference need not be met.
    Weak,
    /// `STB_GNU_UNIQUE`: as global, once in a process.
    Unique,
    /// Another number, which no loader takes.
    Other,
}

/// `STT_*`, as far as loaders tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolType {
    /// `STT_NOTYPE`, `STT_OBJECT`, `STT_FUNC` or `STT_COMMON`.
    Plain,
    /// `STT_TLS`: an offset, which may be 0.
    ThreadLocal,
    /// `STT_GNU_IFUNC`: a function that chooses a function.
    Indirect,
    /// A section, a file name, or unknown: no code or data.
    Other,
}

impl Symbols {
    /// Reads symbols, their versions and their uses.
    pub fn read<R: ReadAt + ?Sized>(bytes: &R) -> Result<Self, ElfError> {
        let image = Image::open(bytes)?;
        let Some(table) = Table::find(&image)? else { return Ok(Self::default()) };
        let uses = relocations::uses(&image, &table.entries)?;
        let count = table.hashed.count.max(uses.len());
        let symbols = image.symbols(table.symbols, count)?;
        let size = table.value(DT_STRSZ).unwrap_or(MAX_STRINGS).min(MAX_STRINGS);
        let strings = image.memory(table.strings, usize::try_from(size).unwrap_or(0))?;
        let indices = match table.value(DT_VERSYM) {
            Some(at) => {
                let bytes = image.memory(at, symbols.len() * 2)?;
                let index = |b: &[u8]| u16::try_from(image.endian().number(b)).unwrap_or(0);
                Some(bytes.chunks_exact(2).map(index).collect())
            }
            None => None,
        };
        Ok(Self {
            versions: Versions::of(&image, &table.entries)?,
            end: table.hashed.count.min(symbols.len()),
            first: table.hashed.first,
            table: symbols,
            strings,
            indices,
            uses,
        })
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The symbol of a number below [`Self::len`].
    pub fn get(&self, number: usize) -> Option<Symbol<'_>> {
        let symbol = self.table.get(number)?;
        let name = usize::try_from(symbol.name).ok().and_then(|at| self.strings.get(at..))?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        // Behind its end the table has nothing to say.
        let index = self.indices.as_ref().map(|all| all.get(number).copied().unwrap_or(1));
        Some(Symbol {
            name,
            binding: match symbol.info >> 4 {
                0 => Binding::Local,
                1 => Binding::Global,
                2 => Binding::Weak,
                10 => Binding::Unique,
                _ => Binding::Other,
            },
            kind: match symbol.info & 15 {
                0 | 1 | 2 | 5 => SymbolType::Plain,
                6 => SymbolType::ThreadLocal,
                10 => SymbolType::Indirect,
                _ => SymbolType::Other,
            },
            defined: symbol.section != 0,
            valued: symbol.valued,
            absolute: symbol.section == 0xfff1,
            local: matches!(symbol.other & 3, 1 | 2),
            version: index.map(|index| index & !HIDDEN),
            hidden: index.is_some_and(|index| index & HIDDEN != 0),
            used: self.uses.get(number).copied().unwrap_or_default(),
        })
    }

    /// The symbols that relocations use.
    pub fn used(&self) -> impl Iterator<Item = Symbol<'_>> {
        (0..self.uses.len())
            .filter(|&number| self.uses[number].any())
            .filter_map(|number| self.get(number))
    }

    /// The symbols that a lookup by name can find: those in the hash table.
    pub fn findable(&self) -> impl Iterator<Item = Symbol<'_>> {
        (self.first..self.end).filter_map(|number| self.get(number))
    }
}

/// Where the tables are.
struct Table {
    entries: Vec<(u64, u64)>,
    strings: u64,
    symbols: u64,
    hashed: Hashed,
}

/// What a hash table says of symbols.
#[derive(Default)]
struct Hashed {
    /// Number of the first that is in it.
    first: usize,
    /// Number behind the last.
    count: usize,
}

impl Table {
    fn find<R: ReadAt + ?Sized>(image: &Image<'_, R>) -> Result<Option<Self>, ElfError> {
        let Some(entries) = image.dynamic()? else { return Ok(None) };
        let value = |tag| entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1);
        let (Some(strings), Some(symbols)) = (value(DT_STRTAB), value(DT_SYMTAB)) else {
            return Ok(None);
        };
        // The loader prefers the GNU table (glibc `elf/dl-setup_hash.c`, musl `decode_dyn`).
        let hashed = match (value(DT_GNU_HASH), value(DT_HASH)) {
            (Some(hash), _) => gnu(image, hash)?,
            (None, Some(hash)) => sysv(image, hash)?,
            (None, None) => Hashed::default(),
        };
        Ok(Some(Self { entries, strings, symbols, hashed }))
    }

    fn value(&self, tag: u64) -> Option<u64> {
        self.entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1)
    }
}

/// Buckets, then symbols. (Alpha and 64-bit s390 have wider words here; their linkers write the GNU table
/// too.)
fn sysv<R: ReadAt + ?Sized>(image: &Image<'_, R>, hash: u64) -> Result<Hashed, ElfError> {
    let buckets = image.word(hash)?.unwrap_or(0);
    let count = if buckets == 0 { 0 } else { image.word(hash.wrapping_add(4))?.unwrap_or(0) };
    Ok(Hashed { first: 0, count: count as usize })
}

/// What lies outside the file ends the table.
fn gnu<R: ReadAt + ?Sized>(image: &Image<'_, R>, hash: u64) -> Result<Hashed, ElfError> {
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
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if last < first {
        return Ok(Hashed { first: number(first), count: number(first) });
    }
    let chains = table.wrapping_add(buckets * 4);
    while last < MAX_SYMBOLS as u64
        && let Some(entry) = image.word(chains.wrapping_add((last - first) * 4))?
    {
        last += 1;
        if entry & 1 == 1 || last - first > most {
            break;
        }
    }
    Ok(Hashed { first: number(first), count: number(last) })
}
