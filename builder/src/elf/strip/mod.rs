//! Which bytes of an ELF file are left when the sections that no loader maps are dropped.
//!
//! Decides the new file as a list of [`Piece`]s; reads headers and names of sections only, whoever
//! writes the file copies the rest. Everything that is mapped stays at its offset, byte for byte, and
//! so do all sections that are part of it (build-id, symbols for the loader). A dropped section leaves
//! an inactive header (`SHT_NULL`, gABI "Sections"), so that every section number in tables of symbols
//! stays true.
//!
//! ```text
//! before  header, segments | .debug_info .debug_line | .symtab .strtab .shstrtab | section headers
//! after   header, segments | .symtab .strtab .shstrtab | section headers
//! ```
//! Whatever is not as linkers write it is refused, and the file then stays as it is.

use std::io;

use super::ReadAt;

mod form;
mod sections;

use form::{
    E_PHOFF, E_SHOFF, E_SHSTRNDX, P_FILESZ, P_OFFSET, PHDR, SH_ADDRALIGN, SH_FLAGS, SH_INFO,
    SH_LINK, SH_OFFSET, SH_TYPE, SHDR,
};

use sections::{File, SHN_XINDEX, SHT_NULL, read};

/// What is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// What only a debugger reads, as `strip --strip-debug` knows it by name.
    Debug,
    /// The table of symbols that no loader reads as well.
    Symbols,
}

/// The new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stripped {
    /// Its bytes, first to last.
    pub pieces: Vec<Piece>,
    /// How many.
    pub size: u64,
}

/// A part of the new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the old file.
    Copy {
        /// Where they start.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// These.
    Bytes(Vec<u8>),
}

/// Why a file stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum StripError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    /// It ends early, or its headers contradict each other.
    #[error("{0}")]
    Odd(&'static str),
}

/// Padding between sections, all together.
const MAX_PADDING: u64 = 1 << 20;
/// The largest alignment of a section that is not mapped.
const MAX_ALIGN: u64 = 1 << 12;

const SHT_SYMTAB: u64 = 2;
const SHT_RELA: u64 = 4;
const SHT_REL: u64 = 9;
const SHT_SYMTAB_SHNDX: u64 = 18;
const SHF_ALLOC: u64 = 2;
/// The file without what `drop` says; `None` where it has nothing of that, or is nothing that a loader
/// maps (an object file, a kernel module, no ELF file at all). `length` is its number of bytes.
pub fn strip<R: ReadAt + ?Sized>(
    bytes: &R,
    length: u64,
    drop: Drop,
) -> Result<Option<Stripped>, StripError> {
    let Some(file) = File::open(bytes, length)? else { return Ok(None) };
    let fixed = file.fixed()?;
    let dropped = file.dropped(drop, fixed)?;
    if !dropped.contains(&true) {
        return Ok(None);
    }
    file.refuse_hidden(bytes, fixed)?;
    let stripped = file.without(&dropped, fixed)?;
    if stripped.size >= length {
        return Err(StripError::Odd("its sections overlap"));
    }
    Ok(Some(stripped))
}

impl File {
    /// The end of what stays at its offset: headers, segments, sections that are mapped.
    fn fixed(&self) -> Result<u64, StripError> {
        let form = self.form;
        let mut fixed = self.header.len() as u64;
        let headers = self.inside(form.get(&self.header, E_PHOFF), self.segments.len() as u64)?;
        fixed = fixed.max(headers.1);
        for segment in self.segments.chunks(PHDR[form.wide]) {
            let size = form.get(segment, P_FILESZ);
            if size > 0 {
                fixed = fixed.max(self.inside(form.get(segment, P_OFFSET), size)?.1);
            }
        }
        for section in &self.table.1 {
            let range = self.range(section)?;
            if self.get(section, SH_FLAGS) & SHF_ALLOC != 0 {
                fixed = fixed.max(range.1);
            }
        }
        if self.table.0 < fixed {
            return Err(StripError::Odd("its section headers lie in what is mapped"));
        }
        Ok(fixed)
    }

    /// Which sections are dropped, by number.
    fn dropped(&self, drop: Drop, fixed: u64) -> Result<Vec<bool>, StripError> {
        let names = self.form.get(&self.header, E_SHSTRNDX);
        let names = if names == SHN_XINDEX {
            self.table.1.first().map_or(0, |first| self.get(first, SH_LINK))
        } else {
            names
        };
        let mut dropped = Vec::new();
        for (number, section) in (0_u64..).zip(&self.table.1) {
            let free = self.get(section, SH_FLAGS) & SHF_ALLOC == 0
                && self.get(section, SH_TYPE) != SHT_NULL
                && number != names
                && self.range(section)?.0 >= fixed;
            let symbols = drop == Drop::Symbols
                && matches!(self.get(section, SH_TYPE), SHT_SYMTAB | SHT_SYMTAB_SHNDX);
            dropped.push(free && (symbols || is_debug(self.name(section))));
        }
        // Names of the symbols go with them, and relocations (`ld --emit-relocs`) with what they are for.
        let before = dropped.clone();
        for (section, _) in self.table.1.iter().zip(&before).filter(|(_, goes)| **goes) {
            let link = usize::try_from(self.get(section, SH_LINK)).unwrap_or(usize::MAX);
            let is_symbols = self.get(section, SH_TYPE) == SHT_SYMTAB;
            if let (true, Some(strings)) = (is_symbols, self.table.1.get(link)) {
                let free = self.get(strings, SH_FLAGS) & SHF_ALLOC == 0 && link as u64 != names;
                dropped[link] |= free && self.range(strings)?.0 >= fixed;
            }
        }
        for (number, section) in self.table.1.iter().enumerate() {
            let relocates = matches!(self.get(section, SH_TYPE), SHT_REL | SHT_RELA);
            if relocates && self.get(section, SH_FLAGS) & SHF_ALLOC == 0 {
                let (of, by) = (self.get(section, SH_INFO), self.get(section, SH_LINK));
                let is_lost = goes(of, &before) || goes(by, &before);
                dropped[number] |= is_lost && self.range(section)?.0 >= fixed;
            }
        }
        Ok(dropped)
    }

    /// Refuses bytes behind what is mapped that belong to no section: an archive that a program finds at
    /// its own end, a signature.
    fn refuse_hidden<R: ReadAt + ?Sized>(&self, bytes: &R, fixed: u64) -> Result<(), StripError> {
        let size = (self.table.1.len() * SHDR[self.form.wide]) as u64;
        let mut known = vec![(0, fixed), self.inside(self.table.0, size)?];
        for section in &self.table.1 {
            known.push(self.range(section)?);
        }
        known.sort_unstable();
        known.push((self.length, self.length));
        let (mut end, mut padding) = (0, 0);
        for (start, stop) in known {
            if start > end {
                padding += start - end;
                let hidden = padding > MAX_PADDING
                    || read(bytes, end, start - end)?.iter().any(|&byte| byte != 0);
                if hidden {
                    return Err(StripError::Odd("it carries bytes that belong to no section"));
                }
            }
            end = end.max(stop);
        }
        Ok(())
    }

    /// The new file.
    fn without(&self, dropped: &[bool], fixed: u64) -> Result<Stripped, StripError> {
        let form = self.form;
        let mut table = self.table.1.clone();
        let mut kept = Vec::new();
        for (number, section) in table.iter_mut().enumerate() {
            if dropped[number] {
                section.fill(0);
                continue;
            }
            // Relocations of a static program name the table of symbols, and use none of it.
            if goes(form.get(section, SH_LINK), dropped) {
                form.set(section, SH_LINK, 0);
            }
            let (start, end) = self.range(section)?;
            if start >= fixed && end > start {
                kept.push((start, end, number));
            }
        }
        kept.sort_unstable();
        let mut header = self.header.clone();
        let mut pieces = Vec::new();
        let mut at = fixed;
        for (start, end, number) in kept {
            let align = form.get(&table[number], SH_ADDRALIGN).max(1);
            if !align.is_power_of_two() || align > MAX_ALIGN {
                return Err(StripError::Odd("a section has an unusual alignment"));
            }
            pad(&mut pieces, &mut at, align);
            form.set(&mut table[number], SH_OFFSET, at);
            pieces.push(Piece::Copy { offset: start, length: end - start });
            at += end - start;
        }
        // As linkers align it: to the width of an address.
        pad(&mut pieces, &mut at, if form.wide == 0 { 4 } else { 8 });
        form.set(&mut header, E_SHOFF, at);
        let table = table.concat();
        at += table.len() as u64;
        pieces.push(Piece::Bytes(table));
        let start = header.len() as u64;
        pieces.insert(0, Piece::Copy { offset: start, length: fixed - start });
        pieces.insert(0, Piece::Bytes(header));
        Ok(Stripped { pieces, size: at })
    }
}

/// Whether the section of this number is dropped.
fn goes(number: u64, dropped: &[bool]) -> bool {
    usize::try_from(number).ok().and_then(|at| dropped.get(at)) == Some(&true)
}

/// Zeroes up to the next multiple of `align`.
fn pad(pieces: &mut Vec<Piece>, at: &mut u64, align: u64) {
    let missing = at.next_multiple_of(align) - *at;
    if missing > 0 {
        pieces.push(Piece::Bytes((0..missing).map(|_| 0).collect()));
        *at += missing;
    }
}

/// The names by which binutils knows debug sections (`bfd/elf.c`, `_bfd_elf_make_section_from_shdr`).
fn is_debug(name: &[u8]) -> bool {
    const STARTS: [&[u8]; 6] =
        [b".debug", b".zdebug", b".gnu.debuglto_.debug_", b".gnu.linkonce.wi.", b".line", b".stab"];
    name == b".gdb_index" || STARTS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::form::{
        E_PHENTSIZE, E_PHNUM, E_SHENTSIZE, E_SHNUM, E_TYPE, EHDR, Form, SH_NAME, SH_SIZE,
    };
    use super::*;
    use crate::elf::Endian;

    const NAMES: &[u8] = b"\0.text\0.debug_line\0.shstrtab\0";

    /// A file with a mapped section of four bytes, a debug section of 100, and the names.
    fn made(form: Form) -> Vec<u8> {
        let (ehdr, phdr, shdr) = (EHDR[form.wide], PHDR[form.wide], SHDR[form.wide]);
        let text = (ehdr + phdr) as u64;
        let names = text + 4 + 100;
        let table = names + NAMES.len() as u64;
        let mut header = vec![0; ehdr];
        header[..7].copy_from_slice(b"\x7fELF\0\0\x01");
        header[4] = if form.wide == 0 { 1 } else { 2 };
        header[5] = if form.endian == Endian::Little { 1 } else { 2 };
        for (field, value) in [
            (E_TYPE, 2),
            (E_PHOFF, ehdr as u64),
            (E_PHENTSIZE, phdr as u64),
            (E_PHNUM, 1),
            (E_SHOFF, table),
            (E_SHENTSIZE, shdr as u64),
            (E_SHNUM, 4),
            (E_SHSTRNDX, 3),
        ] {
            form.set(&mut header, field, value);
        }
        let mut segment = vec![0; phdr];
        form.set(&mut segment, P_FILESZ, text + 4);
        let section = |name, kind, flags, offset, size| {
            let mut section = vec![0; shdr];
            let fields = [SH_NAME, SH_TYPE, SH_FLAGS, SH_OFFSET, SH_SIZE];
            for (field, value) in fields.into_iter().zip([name, kind, flags, offset, size]) {
                form.set(&mut section, field, value);
            }
            section
        };
        let sections = [
            section(0, SHT_NULL, 0, 0, 0),
            section(1, 1, SHF_ALLOC, text, 4),
            section(7, 1, 0, text + 4, 100),
            section(19, 3, 0, names, NAMES.len() as u64),
        ];
        [header, segment, b"text".to_vec(), vec![b'd'; 100], NAMES.to_vec(), sections.concat()]
            .concat()
    }

    #[test]
    fn both_widths_and_both_byte_orders() {
        for (wide, endian) in
            [(0, Endian::Little), (0, Endian::Big), (1, Endian::Little), (1, Endian::Big)]
        {
            let form = Form { wide, endian };
            let bytes = made(form);
            let fixed = EHDR[wide] + PHDR[wide] + 4;
            let found = strip(&bytes[..], bytes.len() as u64, Drop::Debug).unwrap().unwrap();
            let table = (fixed + NAMES.len()).next_multiple_of(if wide == 0 { 4 } else { 8 });
            assert_eq!(found.size, (table + 4 * SHDR[wide]) as u64);
            let [Piece::Bytes(header), Piece::Copy { offset, length }, .., Piece::Bytes(sections)] =
                &found.pieces[..]
            else {
                panic!("{found:?}");
            };
            assert_eq!(form.get(header, E_SHOFF), table as u64);
            assert_eq!(*offset + *length, fixed as u64);
            let sections: Vec<&[u8]> = sections.chunks(SHDR[wide]).collect();
            assert!(sections[2].iter().all(|&byte| byte == 0), "an inactive header is left");
            assert_eq!(form.get(sections[3], SH_OFFSET), fixed as u64);
        }
    }
}
