//! `locale-archive`: glibc's one file with many compiled locales, as `localedef` writes it. Takes bytes, never
//! paths.
//!
//! Where each category of a locale lies in it (glibc `locale/locarchive.h`, `locale/loadarchive.c`). What
//! stands there is byte for byte the file that `localedef --no-archive` would write.
//!
//! ```text
//! header      magic, serial, then offset, used, size of four tables: names, strings, records, sums
//! names       size times: hash, offset of the name, offset of the record (0 where there is none)
//! record      number of references, then offset and length of each of 13 categories
//! ```

use std::collections::BTreeMap;

use crate::elf::ReadAt;

const MAGIC: u32 = 0xde02_0109;
/// Places for names: Fedora's archive of all locales has 2000.
const MAX_NAMES: u32 = 1 << 16;
const MAX_NAME: usize = 256;

/// The files of a locale's folder, by the numbers of `locale.h`. `None` is `LC_ALL`, which is no file.
const CATEGORIES: [Option<&str>; 13] = [
    Some("LC_CTYPE"),
    Some("LC_NUMERIC"),
    Some("LC_TIME"),
    Some("LC_COLLATE"),
    Some("LC_MONETARY"),
    Some("LC_MESSAGES/SYS_LC_MESSAGES"),
    None,
    Some("LC_PAPER"),
    Some("LC_NAME"),
    Some("LC_ADDRESS"),
    Some("LC_TELEPHONE"),
    Some("LC_MEASUREMENT"),
    Some("LC_IDENTIFICATION"),
];

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// It is none, or damaged.
    #[error("{0}")]
    Damaged(&'static str),
}

/// One file of a locale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Category {
    /// Its path below the locale's folder.
    pub file: &'static str,
    /// Where its bytes begin.
    pub offset: u64,
    /// How many.
    pub size: u64,
}

/// An archive whose names are known.
#[derive(Debug)]
pub struct Archive<'a, R: ?Sized> {
    bytes: &'a R,
    /// Bytes of the file.
    size: u64,
    /// Makes a number of four bytes.
    number: fn([u8; 4]) -> u32,
    /// Offset of each locale's record.
    records: BTreeMap<String, u64>,
}

impl<'a, R: ReadAt + ?Sized> Archive<'a, R> {
    /// Reads the names of an archive of `size` bytes.
    pub fn open(bytes: &'a R, size: u64) -> Result<Self, ArchiveError> {
        let mut archive =
            Self { bytes, size, number: u32::from_le_bytes, records: BTreeMap::new() };
        // It is written in the byte order of the machine that it is for.
        let [magic] = archive.words(0)?;
        if magic == MAGIC.swap_bytes() {
            archive.number = u32::from_be_bytes;
        } else if magic != MAGIC {
            return Err(ArchiveError::Damaged("it has not the magic number of an archive"));
        }
        let [table, _, count] = archive.words(8)?;
        if count > MAX_NAMES {
            return Err(ArchiveError::Damaged("it has more names than there are locales"));
        }
        for number in 0..count {
            let [_, name, record] = archive.words(u64::from(table) + 12 * u64::from(number))?;
            if name != 0 && record != 0 {
                let name = archive.name(u64::from(name))?;
                archive.records.insert(name, u64::from(record));
            }
        }
        Ok(archive)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.records.keys().map(String::as_str)
    }

    /// The files of a locale; `None` where the archive has not its name.
    pub fn categories(&self, name: &str) -> Result<Option<Vec<Category>>, ArchiveError> {
        let Some(record) = self.records.get(name) else { return Ok(None) };
        let mut categories = Vec::new();
        for (number, file) in (0_u64..).zip(CATEGORIES) {
            let Some(file) = file else { continue };
            let [offset, size] = self.words(record + 4 + 8 * number)?.map(u64::from);
            if offset + size > self.size {
                return Err(ArchiveError::Damaged("a locale lies outside of it"));
            }
            categories.push(Category { file, offset, size });
        }
        Ok(Some(categories))
    }

    fn words<const N: usize>(&self, at: u64) -> Result<[u32; N], ArchiveError> {
        let mut bytes = vec![0; 4 * N];
        if self.bytes.read_at(at, &mut bytes)? < bytes.len() {
            return Err(ArchiveError::Damaged("it is cut short"));
        }
        let mut words = [0; N];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = (self.number)(*bytes);
        }
        Ok(words)
    }

    fn name(&self, at: u64) -> Result<String, ArchiveError> {
        let mut bytes = vec![0; MAX_NAME];
        let count = self.bytes.read_at(at, &mut bytes)?;
        let end = bytes.iter().take(count).position(|byte| *byte == 0);
        let name = end.and_then(|end| bytes.get(..end));
        let name = name.and_then(|name| str::from_utf8(name).ok());
        name.map(str::to_owned).ok_or(ArchiveError::Damaged("a name does not end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with one locale, whose categories have their number as many times as byte.
    fn archive(order: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let words = |words: &[u32]| words.iter().flat_map(|word| order(*word)).collect::<Vec<u8>>();
        let mut bytes = words(&[MAGIC, 1, 56, 1, 3, 92, 6, 6, 100, 108, 108, 208, 0, 0]);
        // An empty place, a name, a name whose locale was taken away.
        bytes.extend(words(&[0, 0, 0, 7, 92, 100, 9, 92, 0]));
        bytes.extend(b"x_Y.z\0\0\0");
        bytes.extend(words(&[1]));
        for number in 0..13 {
            bytes.extend(words(&[208 + number, number]));
        }
        bytes.resize(208 + 40, 0);
        bytes
    }

    #[test]
    fn categories_lie_where_the_record_says() {
        for order in [u32::to_le_bytes, u32::to_be_bytes] {
            let bytes = archive(order);
            let archive = Archive::open(bytes.as_slice(), bytes.len() as u64).unwrap();
            assert_eq!(archive.names().collect::<Vec<_>>(), ["x_Y.z"]);
            let found = archive.categories("x_Y.z").unwrap().unwrap();
            assert_eq!(found.len(), 12);
            let last = Category { file: "LC_IDENTIFICATION", offset: 220, size: 12 };
            assert_eq!(found[11], last);
            assert!(archive.categories("x").unwrap().is_none());
        }
    }

    #[test]
    fn damage_is_told() {
        let whole = archive(u32::to_le_bytes);
        let open = |bytes: &[u8]| {
            let archive = Archive::open(bytes, bytes.len() as u64)?;
            archive.categories("x_Y.z").map(|found| found.map_or(0, |found| found.len()))
        };
        assert_eq!(open(&whole).unwrap(), 12);
        for length in [0, 3, 30, 60, 95, 150, 219] {
            let error = open(&whole[..length]).unwrap_err();
            assert!(matches!(error, ArchiveError::Damaged(_)), "{length}: {error}");
        }
        for (at, byte) in [(0, 1), (18, 2), (8 + 3, 0xff), (72, 0xff), (78, 0xff), (108 + 3, 0xff)]
        {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            assert!(open(&damaged).is_err(), "{at}");
        }
    }
}
