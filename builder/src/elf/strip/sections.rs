//! The headers of an ELF file that is to be stripped, read with bounds. Refuses to know what is dropped.

use super::super::ReadAt;
use super::super::header::Endian;
use super::StripError;
use super::form::{
    E_PHENTSIZE, E_PHNUM, E_PHOFF, E_SHENTSIZE, E_SHNUM, E_SHOFF, E_SHSTRNDX, E_TYPE, EHDR, Field,
    Form, PHDR, SH_INFO, SH_LINK, SH_NAME, SH_OFFSET, SH_SIZE, SH_TYPE, SHDR,
};

/// More sections than any linker writes for something that is loaded.
const MAX_SECTIONS: u64 = 1 << 16;
/// All names of sections.
const MAX_NAMES: u64 = 1 << 22;
pub(super) const SHT_NULL: u64 = 0;
pub(super) const SHT_NOBITS: u64 = 8;
pub(super) const SHN_XINDEX: u64 = 0xffff;
const PN_XNUM: u64 = 0xffff;

/// Headers of a file.
pub(super) struct File {
    pub(super) form: Form,
    pub(super) length: u64,
    pub(super) header: Vec<u8>,
    pub(super) segments: Vec<u8>,
    /// Where the section headers stand, and they themselves.
    pub(super) table: (u64, Vec<Vec<u8>>),
    /// Bytes of the names of sections.
    pub(super) names: Vec<u8>,
}

impl File {
    /// Reads them; `None` where it is nothing that a loader maps.
    pub(super) fn open<R: ReadAt + ?Sized>(
        bytes: &R,
        length: u64,
    ) -> Result<Option<Self>, StripError> {
        let start = read(bytes, 0, length.min(64))?;
        let (wide, endian) = match start.get(..6) {
            Some([0x7f, b'E', b'L', b'F', class @ 1..=2, order @ 1..=2]) => {
                (usize::from(*class - 1), if *order == 1 { Endian::Little } else { Endian::Big })
            }
            _ => return Ok(None),
        };
        let form = Form { wide, endian };
        let header =
            start.get(..EHDR[wide]).ok_or(StripError::Odd("it ends in its header"))?.to_vec();
        let get = |field| form.get(&header, field);
        // ET_EXEC and ET_DYN are what a loader maps.
        if !matches!(get(E_TYPE), 2 | 3) || get(E_SHOFF) == 0 {
            return Ok(None);
        }
        if get(E_SHENTSIZE) != SHDR[wide] as u64 || get(E_PHENTSIZE) != PHDR[wide] as u64 {
            return Err(StripError::Odd("its headers have an unusual size"));
        }
        let size = SHDR[wide];
        let first = read(bytes, get(E_SHOFF), size as u64)?;
        // Numbers that do not fit stand in the first section header (gABI, "ELF Header").
        let or =
            |number, far, unless| if number == unless { form.get(&first, far) } else { number };
        let count = or(get(E_SHNUM), SH_SIZE, 0);
        let names = or(get(E_SHSTRNDX), SH_LINK, SHN_XINDEX);
        let segments = or(get(E_PHNUM), SH_INFO, PN_XNUM);
        if count > MAX_SECTIONS || segments > MAX_SECTIONS {
            return Err(StripError::Odd("it has more sections than any linker writes"));
        }
        let table = read(bytes, get(E_SHOFF), count * size as u64)?;
        let table: Vec<Vec<u8>> = table.chunks(size).map(<[u8]>::to_vec).collect();
        let segments = read(bytes, get(E_PHOFF), segments * PHDR[wide] as u64)?;
        let names = usize::try_from(names).ok().and_then(|index| table.get(index));
        let names = names.ok_or(StripError::Odd("its sections have no names"))?;
        if form.get(names, SH_SIZE) > MAX_NAMES {
            return Err(StripError::Odd("it has more names of sections than any linker writes"));
        }
        let names = read(bytes, form.get(names, SH_OFFSET), form.get(names, SH_SIZE))?;
        let table = (get(E_SHOFF), table);
        Ok(Some(Self { form, length, header, segments, table, names }))
    }

    /// A field of a section's header.
    pub(super) fn get(&self, section: &[u8], field: Field) -> u64 {
        self.form.get(section, field)
    }

    /// Its name; empty where it has none.
    pub(super) fn name(&self, section: &[u8]) -> &[u8] {
        let start = usize::try_from(self.get(section, SH_NAME)).unwrap_or(usize::MAX);
        let rest = self.names.get(start..).unwrap_or_default();
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// The bytes of the file that a section has.
    pub(super) fn range(&self, section: &[u8]) -> Result<(u64, u64), StripError> {
        if matches!(self.get(section, SH_TYPE), SHT_NULL | SHT_NOBITS) {
            return Ok((0, 0));
        }
        self.inside(self.get(section, SH_OFFSET), self.get(section, SH_SIZE))
    }

    /// From offset and number of bytes to offset and end, if that is part of the file.
    pub(super) fn inside(&self, offset: u64, size: u64) -> Result<(u64, u64), StripError> {
        match offset.checked_add(size) {
            Some(end) if end <= self.length => Ok((offset, end)),
            _ => Err(StripError::Odd("it ends before its last section")),
        }
    }
}

pub(super) fn read<R: ReadAt + ?Sized>(
    bytes: &R,
    offset: u64,
    size: u64,
) -> Result<Vec<u8>, StripError> {
    const EARLY: StripError = StripError::Odd("it ends before its last section");
    // Every caller bounds the size, so a lie in a header costs little.
    let size = usize::try_from(size).map_err(|_large| EARLY)?;
    let mut buffer = vec![0; size];
    let count = bytes.read_at(offset, &mut buffer)?;
    if count == size { Ok(buffer) } else { Err(EARLY) }
}
