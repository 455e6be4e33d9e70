//! The only file that names goblin: headers, dynamic entries and symbols as an [`Image`] that is
//! read by address.
//!
//! Addresses are translated through `PT_LOAD`, as mapping would: the loader takes `p_vaddr` of
//! `PT_DYNAMIC`, never its file offset or size, and reads entries up to `DT_NULL`. Bytes of a segment
//! behind its file part are zero. Every size is clamped; nothing is allocated because a file says so.

use std::cell::{Cell, RefCell};

use goblin::container::{Container, Ctx};
use goblin::elf::dynamic::Dynamic;
use goblin::elf::program_header::{PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, PT_NOTE};
use goblin::elf::{Elf, Header, ProgramHeader, Sym};

use super::header::{Class, Endian, Identity, Kind, Machine};
use super::{ElfError, ReadAt};

pub(super) use goblin::elf::dynamic::{
    DT_FLAGS_1, DT_GNU_HASH, DT_HASH, DT_JMPREL, DT_NEEDED, DT_PLTREL, DT_PLTRELSZ, DT_REL,
    DT_RELA, DT_RELASZ, DT_RELSZ, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_SYMTAB,
    DT_VERDEF, DT_VERNEED, DT_VERSYM,
};
// `elf.h`; goblin does not name them.
pub(super) const DT_AUXILIARY: u64 = 0x7fff_fffd;
pub(super) const DT_FILTER: u64 = 0x7fff_ffff;
pub(super) const DT_DEPAUDIT: u64 = 0x6fff_fefb;
pub(super) const DT_AUDIT: u64 = 0x6fff_fefc;

/// Bytes read first: headers, the interpreter and notes of nearly all objects.
const START: usize = 1024;
/// Bytes read at once elsewhere, from a multiple of half of it: a dynamic section fits.
const WINDOW: usize = 4096;
/// The larger of the two ELF headers.
const HEADER: usize = 64;
/// More entries than any linker writes; an unterminated section ends here.
const MAX_DYNAMIC: usize = 64 * 1024;
/// All note segments together are read up to this many bytes, and so are all read-only ones.
const MAX_SEGMENTS: u64 = 16 * 1024 * 1024;
/// More `PT_LOAD` than any linker writes: each address is looked for in them.
const MAX_LOADS: usize = 1024;
/// A string is read up to this many bytes; search paths of store-based distributions are long.
const MAX_STRING: usize = 256 * 1024;
/// All strings together, which may overlap in the file: a table of 256 KiB is no excuse for gigabytes.
const MAX_STRINGS: usize = 32 * 1024 * 1024;
/// Symbols are read up to this many; the largest real libraries have some 100 000.
pub(super) const MAX_SYMBOLS: usize = 1 << 20;

/// An object's headers, and its bytes by address.
pub(super) struct Image<'r, R: ?Sized> {
    bytes: &'r R,
    header: Header,
    context: Ctx,
    segments: Vec<ProgramHeader>,
    /// The first bytes: headers, and in most objects notes and the interpreter.
    start: Vec<u8>,
    /// The bytes read last, and their offset.
    window: RefCell<(u64, Vec<u8>)>,
    /// Bytes of strings that may still be read.
    strings: Cell<usize>,
}

/// What a symbol's entry says of its name and definition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol {
    /// Offset of its name in the string table.
    pub(super) name: u64,
    /// `st_info`: binding in the upper half, type in the lower.
    pub(super) info: u8,
    /// `st_other`: visibility in the lower two bits.
    pub(super) other: u8,
    /// `st_shndx`: 0 where another object must define it.
    pub(super) section: u16,
    /// Whether `st_value` is anything but 0.
    pub(super) valued: bool,
}

impl<'r, R: ReadAt + ?Sized> Image<'r, R> {
    /// Reads and checks the ELF header and the program headers.
    pub(super) fn open(bytes: &'r R) -> Result<Self, ElfError> {
        let mut start = vec![0; START];
        let count = bytes.read_at_least(0, &mut start, HEADER).map_err(ElfError::Read)?;
        start.truncate(count);
        check_identity(&start)?;
        let header = Elf::parse_header(&start)
            .map_err(|_why| ElfError::Truncated { what: "the ELF header" })?;
        let container = if start[4] == 1 { Container::Little } else { Container::Big };
        let endian = header.endianness().map_err(|_why| ElfError::Endian(start[5]))?;
        let context = Ctx::new(container, endian);
        let segments = segments(bytes, &start, &header, context)?;
        if segments.iter().filter(|segment| segment.p_type == PT_LOAD).count() > MAX_LOADS {
            return Err(ElfError::Header("it has more segments than any linker writes"));
        }
        let window = RefCell::default();
        let strings = Cell::new(MAX_STRINGS);
        Ok(Self { bytes, header, context, segments, start, window, strings })
    }

    pub(super) fn class(&self) -> Class {
        if self.context.is_big() { Class::Elf64 } else { Class::Elf32 }
    }

    pub(super) fn endian(&self) -> Endian {
        if self.context.is_little_endian() { Endian::Little } else { Endian::Big }
    }

    pub(super) fn machine(&self) -> Machine {
        Machine(self.header.e_machine)
    }

    pub(super) fn header_flags(&self) -> u32 {
        self.header.e_flags
    }

    pub(super) fn kind(&self) -> Result<Kind, ElfError> {
        match self.header.e_type {
            2 => Ok(Kind::Fixed),
            3 => Ok(Kind::Dynamic),
            other => Err(ElfError::Kind(other)),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        let ident = &self.header.e_ident;
        Identity {
            os_abi: ident[7],
            abi_version: ident[8],
            padded: ident[9..16].iter().all(|&byte| byte == 0),
            version: u32::from(ident[6]).max(self.header.e_version),
        }
    }

    /// Whether there is anything to map.
    pub(super) fn loadable(&self) -> bool {
        self.segments.iter().any(|segment| segment.p_type == PT_LOAD)
    }

    /// Bytes of `PT_INTERP`, without the terminator.
    pub(super) fn interpreter(&self) -> Result<Option<Vec<u8>>, ElfError> {
        let Some(segment) = self.segments.iter().find(|segment| segment.p_type == PT_INTERP) else {
            return Ok(None);
        };
        // The kernel takes at most PATH_MAX bytes with a NUL at the end (fs/binfmt_elf.c).
        let mut name = self.file_bytes(segment.p_offset, segment.p_filesz.min(4096))?;
        match name.iter().position(|&byte| byte == 0) {
            Some(end) => name.truncate(end),
            None => return Err(ElfError::Header("the interpreter's name does not end")),
        }
        Ok(Some(name))
    }

    /// Dynamic entries up to `DT_NULL`; `None` without a dynamic section.
    pub(super) fn dynamic(&self) -> Result<Option<Vec<(u64, u64)>>, ElfError> {
        // Of several the last counts, and none whose bytes were taken away, as from detached debugging
        // information: what stands there instead is anything (`elf/dl-load.c`, `_dl_map_object_from_fd`).
        let is_dynamic =
            |segment: &&ProgramHeader| segment.p_type == PT_DYNAMIC && segment.p_filesz > 0;
        let Some(segment) = self.segments.iter().rev().find(is_dynamic) else {
            return Ok(None);
        };
        let size = if self.context.is_big() { 16 } else { 8 };
        let mut entries = Vec::new();
        let mut address = segment.p_vaddr;
        while entries.len() < MAX_DYNAMIC {
            let mut chunk = self.memory(address, 1024)?;
            chunk.truncate(chunk.len() / size * size);
            let part = self.entries(&chunk)?;
            if part.is_empty() {
                // The rest of the segment is not in the file: zeros, which is `DT_NULL`.
                return Ok(Some(entries));
            }
            for entry in part {
                if entry.0 == 0 {
                    return Ok(Some(entries));
                }
                entries.push(entry);
            }
            address = address.wrapping_add(chunk.len() as u64);
        }
        Err(ElfError::Dynamic("it does not end"))
    }

    fn entries(&self, chunk: &[u8]) -> Result<Vec<(u64, u64)>, ElfError> {
        let whole = ProgramHeader {
            p_type: PT_DYNAMIC,
            p_filesz: chunk.len() as u64,
            ..ProgramHeader::default()
        };
        let parsed = Dynamic::parse(chunk, &[whole], self.context)
            .map_err(|_why| ElfError::Dynamic("it cannot be decoded"))?;
        Ok(parsed.map_or_else(Vec::new, |dynamic| {
            dynamic.dyns.iter().map(|entry| (entry.d_tag, entry.d_val)).collect()
        }))
    }

    /// The string at an address, without its NUL.
    pub(super) fn string(&self, address: u64) -> Result<Vec<u8>, ElfError> {
        let mut string = Vec::new();
        while string.len() < MAX_STRING {
            let at = address
                .checked_add(string.len() as u64)
                .ok_or(ElfError::Dynamic("a string lies outside the file"))?;
            let part = self.memory(at, 256)?;
            match part.iter().position(|&byte| byte == 0) {
                Some(end) => {
                    string.extend_from_slice(&part[..end]);
                    let left = self.strings.get().checked_sub(string.len());
                    self.strings.set(left.ok_or(ElfError::Dynamic("its strings have no end"))?);
                    return Ok(string);
                }
                None if part.is_empty() => break,
                None => string.extend_from_slice(&part),
            }
        }
        Err(ElfError::Dynamic("a string lies outside the file or does not end"))
    }

    /// Up to `count` bytes at an address; fewer at the end of what the file holds for its segment.
    pub(super) fn memory(&self, address: u64, count: usize) -> Result<Vec<u8>, ElfError> {
        let found =
            self.segments.iter().filter(|segment| segment.p_type == PT_LOAD).find_map(|segment| {
                let into = address.checked_sub(segment.p_vaddr)?;
                let left = segment.p_filesz.checked_sub(into).filter(|&left| left > 0)?;
                Some((segment.p_offset.checked_add(into)?, left))
            });
        match found {
            Some((offset, left)) => self.file_bytes(offset, left.min(count as u64)),
            None => Ok(Vec::new()),
        }
    }

    /// A 32-bit word of the object's byte order; `None` outside the file.
    pub(super) fn word(&self, address: u64) -> Result<Option<u32>, ElfError> {
        let bytes = self.memory(address, 4)?;
        Ok(u32::try_from(self.endian().number(&bytes)).ok().filter(|_| bytes.len() == 4))
    }

    /// `count` symbols of the table at an address, as many as there are.
    pub(super) fn symbols(&self, address: u64, count: usize) -> Result<Vec<Symbol>, ElfError> {
        let size = if self.context.is_big() { 24 } else { 16 };
        let bytes = self.memory(address, count.min(MAX_SYMBOLS) * size)?;
        let symbols = Sym::parse(&bytes, 0, bytes.len() / size, self.context)
            .map_err(|_why| ElfError::Dynamic("its symbols cannot be decoded"))?;
        Ok(symbols
            .iter()
            .map(|symbol| Symbol {
                name: symbol.st_name as u64,
                info: symbol.st_info,
                other: symbol.st_other,
                // 16 bits in the file.
                section: u16::try_from(symbol.st_shndx).unwrap_or(u16::MAX),
                valued: symbol.st_value != 0,
            })
            .collect())
    }

    /// Bytes of every `PT_NOTE` segment.
    pub(super) fn notes(&self) -> Result<Vec<Vec<u8>>, ElfError> {
        self.whole(|segment| segment.p_type == PT_NOTE)
    }

    /// Bytes of every loaded segment that cannot be written, with or without those that can be executed:
    /// older linkers put both kinds into one.
    pub(super) fn read_only(&self, executable: bool) -> Result<Vec<Vec<u8>>, ElfError> {
        let refused = if executable { PF_W } else { PF_W | PF_X };
        self.whole(|segment| segment.p_type == PT_LOAD && segment.p_flags & refused == 0)
    }

    fn whole(&self, wanted: impl Fn(&ProgramHeader) -> bool) -> Result<Vec<Vec<u8>>, ElfError> {
        let mut left = MAX_SEGMENTS;
        let mut all = Vec::new();
        for segment in self.segments.iter().filter(|segment| wanted(segment)) {
            let bytes = self.file_bytes(segment.p_offset, segment.p_filesz.min(left))?;
            left -= bytes.len() as u64;
            all.push(bytes);
        }
        Ok(all)
    }

    /// Up to `count` bytes at a file offset; fewer at the end of the file.
    fn file_bytes(&self, offset: u64, count: u64) -> Result<Vec<u8>, ElfError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if let Some(bytes) = within(0, &self.start, offset, count) {
            return Ok(bytes.to_vec());
        }
        let mut window = self.window.borrow_mut();
        if let Some(bytes) = within(window.0, &window.1, offset, count) {
            return Ok(bytes.to_vec());
        }
        if count > WINDOW / 2 {
            return self.large(offset, count);
        }
        let start = offset - offset % (WINDOW as u64 / 2);
        // The same memory again: it is zeroed once.
        let mut bytes = std::mem::take(&mut window.1);
        bytes.resize(WINDOW, 0);
        let from = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let least = from.saturating_add(count);
        let filled = self.bytes.read_at_least(start, &mut bytes, least).map_err(ElfError::Read)?;
        bytes.truncate(filled);
        let from = from.min(filled);
        let wanted = bytes[from..filled.min(from.saturating_add(count))].to_vec();
        *window = (start, bytes);
        Ok(wanted)
    }

    /// Grows with what the file has, not with what it says.
    fn large(&self, offset: u64, count: usize) -> Result<Vec<u8>, ElfError> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let filled = bytes.len();
            bytes.resize(count.min(filled + 16 * WINDOW), 0);
            let read = self
                .bytes
                .read_at(offset.saturating_add(filled as u64), &mut bytes[filled..])
                .map_err(ElfError::Read)?;
            if filled + read < bytes.len() {
                bytes.truncate(filled + read);
                break;
            }
        }
        Ok(bytes)
    }
}

/// Class and machine, as far as the bytes are an ELF header at all: enough to know an object of another
/// architecture, however broken the rest is.
pub fn architecture<R: ReadAt + ?Sized>(bytes: &R) -> Option<(Class, Machine)> {
    let mut start = vec![0; 64];
    let count = bytes.read_at(0, &mut start).ok()?;
    start.truncate(count);
    check_identity(&start).ok()?;
    let class = if start[4] == 1 { Class::Elf32 } else { Class::Elf64 };
    Some((class, Machine(Elf::parse_header(&start).ok()?.e_machine)))
}

/// The bytes at an offset of the file, if they are all among those that begin at `start`.
fn within(start: u64, bytes: &[u8], offset: u64, count: usize) -> Option<&[u8]> {
    let from = usize::try_from(offset.checked_sub(start)?).ok()?;
    bytes.get(from..from.checked_add(count)?)
}

/// The first six bytes, so that each mistake has its own name.
fn check_identity(start: &[u8]) -> Result<(), ElfError> {
    if !start.starts_with(b"\x7fELF") {
        return Err(ElfError::NotElf);
    }
    match start.get(4).copied() {
        Some(1 | 2) => {}
        Some(class) => return Err(ElfError::Class(class)),
        None => return Err(ElfError::Truncated { what: "the ELF header" }),
    }
    match start.get(5).copied() {
        Some(1 | 2) => Ok(()),
        Some(endian) => Err(ElfError::Endian(endian)),
        None => Err(ElfError::Truncated { what: "the ELF header" }),
    }
}

fn segments<R: ReadAt + ?Sized>(
    bytes: &R,
    start: &[u8],
    header: &Header,
    context: Ctx,
) -> Result<Vec<ProgramHeader>, ElfError> {
    let cut = ElfError::Truncated { what: "the table of program headers" };
    let count = usize::from(header.e_phnum);
    if count == 0 {
        return Ok(Vec::new());
    }
    let size = ProgramHeader::size(context);
    if usize::from(header.e_phentsize) != size {
        return Err(ElfError::Header("its program headers have an unexpected size"));
    }
    let near = usize::try_from(header.e_phoff)
        .ok()
        .and_then(|from| start.get(from..from.checked_add(count * size)?));
    let parsed = if let Some(table) = near {
        ProgramHeader::parse(table, 0, count, context)
    } else {
        let mut table = vec![0; count * size];
        let read = bytes.read_at(header.e_phoff, &mut table).map_err(ElfError::Read)?;
        if read < table.len() {
            return Err(cut);
        }
        ProgramHeader::parse(&table, 0, count, context)
    };
    parsed.map_err(|_why| cut)
}
