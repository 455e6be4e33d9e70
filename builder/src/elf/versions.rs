//! Symbol versions: which an object needs of which other, and which it defines.
//!
//! ```text
//! DT_VERNEED   u16 1 | u16 count | u32 file | u32 aux | u32 next      offsets from the entry itself,
//!              u32 hash | u16 flags | u16 index | u32 name | u32 next   the last `next` is 0
//! DT_VERDEF    u16 1 | u16 flags | u16 index | u16 count | u32 hash | u32 aux | u32 next
//!              u32 name | u32 next
//! DT_VERSYM    u16 index for each symbol, the top bit set where it is hidden
//! ```
//! (Linux Standard Base, "Core", chapter "Symbol Versioning".) The loader believes `next` and not the
//! counts (glibc `elf/dl-version.c`), and so does this; `next` only leads forward.

use serde::Serialize;

use super::parse::{DT_STRTAB, DT_VERDEF, DT_VERNEED, Image};
use super::{ElfError, Name, ReadAt};

/// The bit of an index in `DT_VERSYM` or `vna_other` that hides a version.
pub(super) const HIDDEN: u16 = 0x8000;
/// Records of each table are read up to this many. libc has some fifty definitions, a program some
/// hundred needs.
const MAX_RECORDS: usize = 1 << 16;
/// `VER_FLG_BASE`.
const BASE: u32 = 1;
/// `VER_FLG_WEAK`.
const WEAK: u32 = 2;

/// Both tables of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Versions {
    /// `DT_VERNEED`, in order.
    pub needs: Vec<FileNeeds>,
    /// `DT_VERDEF`, in order; `None` where the object defines no versions at all.
    pub definitions: Option<Vec<DefinedVersion>>,
}

/// Versions that are needed of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileNeeds {
    /// The object, by a name of `DT_NEEDED`.
    pub file: Name,
    /// The versions.
    pub versions: Vec<NeededVersion>,
}

/// One needed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NeededVersion {
    /// `GLIBC_2.34`.
    pub name: Name,
    /// Its ELF hash, as the file has it: the loader compares it before the name.
    pub hash: u32,
    /// `VER_FLG_WEAK`: the program starts without it.
    pub weak: bool,
    /// Whether references to it take no definition of another version.
    pub hidden: bool,
    /// Its number in `DT_VERSYM`.
    pub index: u16,
}

/// One defined version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefinedVersion {
    /// `GLIBC_2.34`.
    pub name: Name,
    /// Its ELF hash, as the file has it.
    pub hash: u32,
    /// `VER_FLG_BASE`: stands for the object itself, and for no version of a symbol.
    pub base: bool,
    /// Its number in `DT_VERSYM`.
    pub index: u16,
}

impl Versions {
    /// Reads both tables.
    pub fn read<R: ReadAt + ?Sized>(bytes: &R) -> Result<Self, ElfError> {
        let image = Image::open(bytes)?;
        let entries = image.dynamic()?.unwrap_or_default();
        Self::of(&image, &entries)
    }

    pub(super) fn of<R: ReadAt + ?Sized>(
        image: &Image<'_, R>,
        entries: &[(u64, u64)],
    ) -> Result<Self, ElfError> {
        let value = |tag| entries.iter().rev().find(|entry| entry.0 == tag).map(|entry| entry.1);
        let Some(strings) = value(DT_STRTAB) else { return Ok(Self::default()) };
        let mut records = Records { image, strings, left: MAX_RECORDS };
        Ok(Self {
            needs: value(DT_VERNEED).map_or(Ok(Vec::new()), |at| records.needs(at))?,
            definitions: value(DT_VERDEF).map(|at| records.definitions(at)).transpose()?,
        })
    }
}

struct Records<'i, 'r, R: ?Sized> {
    image: &'i Image<'r, R>,
    /// Address of the string table.
    strings: u64,
    left: usize,
}

impl<R: ReadAt + ?Sized> Records<'_, '_, R> {
    fn needs(&mut self, table: u64) -> Result<Vec<FileNeeds>, ElfError> {
        let mut needs = Vec::new();
        let mut at = Some(table);
        while let Some(entry) = at {
            let [version, _count, file, aux, next] = self.record(entry, [2, 2, 4, 4, 4])?;
            check_version(version)?;
            let versions = self.needed(behind(entry, aux))?;
            needs.push(FileNeeds { file: self.string(file)?, versions });
            at = (next != 0).then(|| behind(entry, next));
        }
        Ok(needs)
    }

    fn needed(&mut self, chain: u64) -> Result<Vec<NeededVersion>, ElfError> {
        let mut versions = Vec::new();
        let mut at = Some(chain);
        while let Some(entry) = at {
            let [hash, flags, index, name, next] = self.record(entry, [4, 2, 2, 4, 4])?;
            versions.push(NeededVersion {
                name: self.string(name)?,
                hash,
                weak: flags & WEAK != 0,
                hidden: index & u32::from(HIDDEN) != 0,
                index: version_index(index),
            });
            at = (next != 0).then(|| behind(entry, next));
        }
        Ok(versions)
    }

    fn definitions(&mut self, table: u64) -> Result<Vec<DefinedVersion>, ElfError> {
        let mut definitions = Vec::new();
        let mut at = Some(table);
        while let Some(entry) = at {
            let [version, flags, index, _count, hash, aux, next] =
                self.record(entry, [2, 2, 2, 2, 4, 4, 4])?;
            check_version(version)?;
            // The further names of a definition are those of its parents, which nobody looks at.
            let [name, _next] = self.record(behind(entry, aux), [4, 4])?;
            definitions.push(DefinedVersion {
                name: self.string(name)?,
                hash,
                base: flags & BASE != 0,
                index: version_index(index),
            });
            at = (next != 0).then(|| behind(entry, next));
        }
        Ok(definitions)
    }

    /// Numbers of the given sizes, at most four bytes each, one behind the other.
    fn record<const N: usize>(
        &mut self,
        address: u64,
        sizes: [usize; N],
    ) -> Result<[u32; N], ElfError> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(ElfError::Dynamic("its table of versions does not end"))?;
        let outside = ElfError::Dynamic("its table of versions lies outside the file");
        let bytes = self.image.memory(address, sizes.iter().sum())?;
        let mut rest = bytes.as_slice();
        let mut numbers = [0; N];
        for (number, size) in numbers.iter_mut().zip(sizes) {
            let Some((field, behind)) = rest.split_at_checked(size) else { return Err(outside) };
            *number = u32::try_from(self.image.endian().number(field)).unwrap_or(u32::MAX);
            rest = behind;
        }
        Ok(numbers)
    }

    fn string(&self, offset: u32) -> Result<Name, ElfError> {
        self.image.string(behind(self.strings, offset)).map(Name::from)
    }
}

fn behind(address: u64, offset: u32) -> u64 {
    address.wrapping_add(u64::from(offset))
}

fn version_index(index: u32) -> u16 {
    u16::try_from(index & u32::from(!HIDDEN)).unwrap_or(0)
}

fn check_version(version: u32) -> Result<(), ElfError> {
    if version == 1 {
        return Ok(());
    }
    Err(ElfError::Dynamic("a record of its versions is of an unknown kind"))
}
