//! Numbers in ELF, program and section headers, of both widths and byte orders (gABI, "Object Files").

use crate::elf::Endian;

/// Width and byte order.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// 0 for a 32-bit object, 1 for a 64-bit one.
    pub(super) wide: usize,
    pub(super) endian: Endian,
}

impl Form {
    /// A number of a header; 0 where the header is too short.
    pub(super) fn get(self, header: &[u8], field: Field) -> u64 {
        let (at, size) = field[self.wide];
        header.get(at..at + size).map_or(0, |bytes| self.endian.number(bytes))
    }

    /// Changes a number of a header.
    pub(super) fn set(self, header: &mut [u8], field: Field, value: u64) {
        let (at, size) = field[self.wide];
        let Some(to) = header.get_mut(at..at + size) else { return };
        let bytes = value.to_le_bytes();
        to.copy_from_slice(&bytes[..size]);
        if self.endian == Endian::Big {
            to.reverse();
        }
    }
}

/// Where a field of a header stands, and how many bytes it has: of a 32-bit object, of a 64-bit one.
pub(super) type Field = [(usize, usize); 2];

pub(super) const E_TYPE: Field = [(16, 2), (16, 2)];
pub(super) const E_PHOFF: Field = [(28, 4), (32, 8)];
pub(super) const E_SHOFF: Field = [(32, 4), (40, 8)];
pub(super) const E_PHENTSIZE: Field = [(42, 2), (54, 2)];
pub(super) const E_PHNUM: Field = [(44, 2), (56, 2)];
pub(super) const E_SHENTSIZE: Field = [(46, 2), (58, 2)];
pub(super) const E_SHNUM: Field = [(48, 2), (60, 2)];
pub(super) const E_SHSTRNDX: Field = [(50, 2), (62, 2)];
pub(super) const P_OFFSET: Field = [(4, 4), (8, 8)];
pub(super) const P_FILESZ: Field = [(16, 4), (32, 8)];
pub(super) const SH_NAME: Field = [(0, 4), (0, 4)];
pub(super) const SH_TYPE: Field = [(4, 4), (4, 4)];
pub(super) const SH_FLAGS: Field = [(8, 4), (8, 8)];
pub(super) const SH_OFFSET: Field = [(16, 4), (24, 8)];
pub(super) const SH_SIZE: Field = [(20, 4), (32, 8)];
pub(super) const SH_LINK: Field = [(24, 4), (40, 4)];
pub(super) const SH_INFO: Field = [(28, 4), (44, 4)];
pub(super) const SH_ADDRALIGN: Field = [(32, 4), (48, 8)];
/// Bytes of the ELF header, a program header and a section header.
pub(super) const EHDR: [usize; 2] = [52, 64];
pub(super) const PHDR: [usize; 2] = [32, 56];
pub(super) const SHDR: [usize; 2] = [40, 64];
