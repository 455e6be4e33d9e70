//! Which symbols relocations name, and for what: that decides which definitions will do.
//!
//! ```text
//! address offset | address info [| address addend]      info: symbol << 32 | type, in 32-bit objects << 8
//! ```
//! Addresses are not computed. `DT_RELR` names no symbols. 64-bit MIPS, which packs three types into
//! one entry, is not understood.

use super::parse::{
    DT_JMPREL, DT_PLTREL, DT_PLTRELSZ, DT_REL, DT_RELA, DT_RELASZ, DT_RELSZ, Image, MAX_SYMBOLS,
};
use super::{Class, ElfError, Machine, ReadAt};

/// Bytes of a table that are decoded at once.
const CHUNK: usize = 48 * 4096;
/// Bytes of a table that are looked at; those of the largest real libraries have 30 MB.
const MAX_TABLE: u64 = 1 << 28;

/// What relocations use a symbol for. A symbol may be used in several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Use(u8);

impl Use {
    const DATA: Self = Self(1);
    const CALL: Self = Self(2);
    const COPY: Self = Self(4);

    /// By any relocation.
    pub fn any(self) -> bool {
        self != Self(0)
    }

    /// Its address: what a program holds for the entry of another's function will do.
    pub fn data(self) -> bool {
        self.0 & Self::DATA.0 != 0
    }

    /// A call, or thread-local data: only a real definition will do (`ELF_RTYPE_CLASS_PLT`).
    pub fn call(self) -> bool {
        self.0 & Self::CALL.0 != 0
    }

    /// A copy of its initial value into the program: only the definition of another object will do
    /// (`ELF_RTYPE_CLASS_COPY`).
    pub fn copy(self) -> bool {
        self.0 & Self::COPY.0 != 0
    }

    /// glibc `sysdeps/*/dl-machine.h`, `elf_machine_type_class`. What is no constant there is what
    /// belongs to the table of calls here.
    fn of(kind: u64, machine: Machine, in_calls: bool) -> Option<Self> {
        // `R_*_NONE` on every machine.
        if kind == 0 {
            return None;
        }
        let (calls, copy): (&[u64], u64) = match machine {
            Machine::X86_64 => (&[7, 16, 17, 18, 36], 5),
            Machine::X86 => (&[7, 14, 35, 36, 37, 41], 5),
            Machine::AARCH64 => (&[1026, 1028, 1029, 1030, 1031], 1024),
            Machine::ARM => (&[13, 17, 18, 19, 22], 20),
            Machine::RISCV => (&[5, 6, 7, 8, 9, 10, 11], 4),
            Machine::S390 => (&[11, 54, 55, 56], 9),
            Machine::PPC64 => (&[21, 68, 73, 78], 19),
            _ => (&[], 0),
        };
        Some(match kind {
            _ if calls.contains(&kind) => Self::CALL,
            _ if kind == copy => Self::COPY,
            _ if in_calls && calls.is_empty() => Self::CALL,
            _ => Self::DATA,
        })
    }
}

/// Uses of symbols by their number, as far as the highest that is used.
pub(super) fn uses<R: ReadAt + ?Sized>(
    image: &Image<'_, R>,
    entries: &[(u64, u64)],
) -> Result<Vec<Use>, ElfError> {
    let value = |tag| entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1);
    let mut uses = Vec::new();
    for (table, size, addends, calls) in [
        (value(DT_RELA), value(DT_RELASZ), true, false),
        (value(DT_REL), value(DT_RELSZ), false, false),
        (value(DT_JMPREL), value(DT_PLTRELSZ), value(DT_PLTREL) == Some(DT_RELA), true),
    ] {
        if let (Some(table), Some(size)) = (table, size) {
            add(image, table, size.min(MAX_TABLE), addends, calls, &mut uses)?;
        }
    }
    Ok(uses)
}

fn add<R: ReadAt + ?Sized>(
    image: &Image<'_, R>,
    table: u64,
    size: u64,
    addends: bool,
    calls: bool,
    uses: &mut Vec<Use>,
) -> Result<(), ElfError> {
    let (word, shift) = if image.class() == Class::Elf64 { (8, 32) } else { (4, 8) };
    let entry = word * if addends { 3 } else { 2 };
    let (endian, machine) = (image.endian(), image.machine());
    let mut done = 0;
    while done < size {
        let wanted = usize::try_from(size - done).unwrap_or(CHUNK).min(CHUNK);
        let chunk = image.memory(table.wrapping_add(done), wanted)?;
        if chunk.len() < entry {
            break;
        }
        for relocation in chunk.chunks_exact(entry) {
            let info = endian.number(&relocation[word..2 * word]);
            let (symbol, kind) = (info >> shift, info & ((1 << shift) - 1));
            // Number 0 is the symbol that is none.
            let Some(used) = Use::of(kind, machine, calls).filter(|_| symbol != 0) else {
                continue;
            };
            let symbol = usize::try_from(symbol).unwrap_or(usize::MAX);
            if symbol >= MAX_SYMBOLS {
                return Err(ElfError::Dynamic("a relocation names a symbol that cannot exist"));
            }
            if uses.len() <= symbol {
                uses.resize(symbol + 1, Use::default());
            }
            uses[symbol].0 |= used.0;
        }
        done += chunk.len() as u64 / entry as u64 * entry as u64;
    }
    Ok(())
}
