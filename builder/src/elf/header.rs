//! The vocabulary of the ELF header: width, byte order, architecture, and what a loader compares.

use std::fmt;

use serde::Serialize;

/// Width of an object's addresses (`EI_CLASS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Class {
    /// `ELFCLASS32`.
    Elf32,
    /// `ELFCLASS64`.
    Elf64,
}

/// Byte order of an object (`EI_DATA`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Endian {
    /// `ELFDATA2LSB`.
    Little,
    /// `ELFDATA2MSB`.
    Big,
}

impl Endian {
    /// The number that at most eight bytes of this order mean.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, add),
            Self::Big => bytes.iter().fold(0, add),
        }
    }
}

/// The architecture (`e_machine`), as the number that stands in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Machine(pub u16);

impl Machine {
    /// `EM_386`.
    pub const X86: Self = Self(3);
    /// `EM_PPC64`.
    pub const PPC64: Self = Self(21);
    /// `EM_S390`.
    pub const S390: Self = Self(22);
    /// `EM_ARM`.
    pub const ARM: Self = Self(40);
    /// `EM_X86_64`.
    pub const X86_64: Self = Self(62);
    /// `EM_AARCH64`.
    pub const AARCH64: Self = Self(183);
    /// `EM_RISCV`.
    pub const RISCV: Self = Self(243);
    /// `EM_LOONGARCH`.
    pub const LOONGARCH: Self = Self(258);
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::X86 => f.write_str("i386"),
            Self::PPC64 => f.write_str("ppc64"),
            Self::S390 => f.write_str("s390"),
            Self::ARM => f.write_str("arm"),
            Self::X86_64 => f.write_str("x86-64"),
            Self::AARCH64 => f.write_str("aarch64"),
            Self::RISCV => f.write_str("riscv"),
            Self::LOONGARCH => f.write_str("loongarch"),
            Self(number) => write!(f, "machine {number}"),
        }
    }
}

/// `e_type`, of which the loader knows two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Kind {
    /// `ET_EXEC`: a program with fixed addresses.
    Fixed,
    /// `ET_DYN`: a library, or a program that can be loaded anywhere.
    Dynamic,
}

/// The parts of the header that a loader compares before it takes a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// `EI_OSABI`.
    pub os_abi: u8,
    /// `EI_ABIVERSION`.
    pub abi_version: u8,
    /// Whether the unused bytes are zero.
    pub padded: bool,
    /// `EI_VERSION` or `e_version`, the larger: 1 in any real object.
    pub version: u32,
}
