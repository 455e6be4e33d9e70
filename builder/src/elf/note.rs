//! Notes that name what ELF itself does not: `.note.dlopen` and `.note.package`; and those of the
//! toolchain that say which processor and kernel an object is for.
//!
//! ```text
//! u32 namesz | u32 descsz | u32 type | name, padded to 4 | desc, padded to 4      (one note)
//! ```
//! Both have the owner `FDO` and hold JSON (UAPI group, "ELF dlopen Metadata", type 0x407c0c0a, and
//! "Package Metadata for Executable Files", type 0xcafe1a7e). JSON that does not fit is passed over:
//! a note is advice.
//!
//! The owner `GNU` has `NT_GNU_ABI_TAG` (Linux Standard Base, "Core", ABI note tag) and
//! `NT_GNU_PROPERTY_TYPE_0` (System V ABI, "Linux Extensions to gABI", and the x86-64 psABI, which
//! defines the bits of `GNU_PROPERTY_X86_ISA_1_NEEDED`):
//!
//! ```text
//! u32 system (0: Linux) | u32 major | u32 minor | u32 patch                     (an ABI tag)
//! (u32 type | u32 datasz | data, padded to the size of an address)*             (properties)
//! ```

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::parse::Image;
use super::{Class, ElfError, Endian, Machine, Name, ReadAt};

const DLOPEN: u32 = 0x407c_0c0a;
const PACKAGE: u32 = 0xcafe_1a7e;
const ABI_TAG: u32 = 1;
const PROPERTIES: u32 = 5;
/// `GNU_PROPERTY_X86_ISA_1_NEEDED`.
const X86_ISA_NEEDED: u64 = 0xc000_8002;

/// One entry of a `.note.dlopen` array: a feature that needs one of several objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DlopenFeature {
    /// Names to try, best first.
    pub sonames: Vec<Name>,
    /// How much is lost without it.
    pub priority: Priority,
    /// A short name of the feature; may be empty.
    pub feature: String,
}

/// How much an object misses what it opens at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// It does not work without.
    Required,
    /// It works, with less than its users expect (what a note means that does not say).
    #[default]
    Recommended,
    /// Few miss it.
    Suggested,
}

/// A level of the x86-64 psABI ("Micro-architecture levels").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum IsaLevel {
    /// What every x86-64 processor has.
    #[serde(rename = "x86-64")]
    Baseline,
    /// SSE4.2 and before (2009).
    #[serde(rename = "x86-64-v2")]
    V2,
    /// AVX2 (2013).
    #[serde(rename = "x86-64-v3")]
    V3,
    /// AVX-512 (2017).
    #[serde(rename = "x86-64-v4")]
    V4,
}

/// A version of the Linux kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel(pub u32, pub u32, pub u32);

/// What the toolchain's notes say of the machine that an object runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Platform {
    /// The highest level that a processor must have, where the object says so.
    pub isa: Option<IsaLevel>,
    /// The lowest kernel.
    pub kernel: Option<Kernel>,
}

impl Platform {
    /// Reads the notes of an object.
    pub fn read<R: ReadAt + ?Sized>(bytes: &R) -> Result<Self, ElfError> {
        let image = Image::open(bytes)?;
        let is_x86 = matches!(image.machine(), Machine::X86 | Machine::X86_64);
        let endian = image.endian();
        let mut platform = Self::default();
        for segment in image.notes()? {
            let mut rest = segment.as_slice();
            while let Some((kind, owner, contents)) = next(&mut rest, endian) {
                match (owner, kind) {
                    (b"GNU\0", ABI_TAG) => {
                        platform.kernel = platform.kernel.max(kernel(contents, endian));
                    }
                    (b"GNU\0", PROPERTIES) if is_x86 => {
                        platform.isa = platform.isa.max(isa(contents, endian, image.class()));
                    }
                    _ => {}
                }
            }
        }
        Ok(platform)
    }
}

fn kernel(mut contents: &[u8], endian: Endian) -> Option<Kernel> {
    let mut words = [0; 4];
    for word in &mut words {
        *word = number(take(&mut contents, 4)?, endian)?;
    }
    let [system, major, minor, patch] = words;
    (system == 0).then_some(Kernel(major, minor, patch))
}

/// The highest bit of the property counts: a level includes those below it.
fn isa(mut contents: &[u8], endian: Endian, class: Class) -> Option<IsaLevel> {
    let word = if class == Class::Elf64 { 8 } else { 4 };
    while contents.len() >= 8 {
        let kind = endian.number(take(&mut contents, 4)?);
        let size = usize::try_from(endian.number(take(&mut contents, 4)?)).ok()?;
        let data = take(&mut contents, size)?;
        if kind == X86_ISA_NEEDED && size == 4 {
            return match endian.number(data) {
                0 => None,
                1 => Some(IsaLevel::Baseline),
                2..=3 => Some(IsaLevel::V2),
                4..=7 => Some(IsaLevel::V3),
                _ => Some(IsaLevel::V4),
            };
        }
        let padding = size.next_multiple_of(word) - size;
        contents = contents.get(padding..).unwrap_or_default();
    }
    None
}

impl fmt::Display for IsaLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "x86-64",
            Self::V2 => "x86-64-v2",
            Self::V3 => "x86-64-v3",
            Self::V4 => "x86-64-v4",
        })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl Serialize for Kernel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "required",
            Self::Recommended => "recommended",
            Self::Suggested => "suggested",
        })
    }
}

/// An entry as it stands in the JSON.
#[derive(Deserialize)]
struct Entry {
    soname: Vec<String>,
    #[serde(default)]
    priority: Priority,
    #[serde(default)]
    feature: String,
}

/// Adds what the notes of one segment say.
pub(super) fn read(
    segment: &[u8],
    endian: Endian,
    dlopen: &mut Vec<DlopenFeature>,
    package: &mut Option<Name>,
) {
    let mut rest = segment;
    while let Some((kind, owner, text)) = next(&mut rest, endian) {
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        match (owner, kind) {
            (b"FDO\0", DLOPEN) => {
                let entries: Vec<Entry> = serde_json::from_slice(text).unwrap_or_default();
                dlopen.extend(entries.into_iter().map(|entry| DlopenFeature {
                    sonames: entry.soname.into_iter().map(Name::from).collect(),
                    priority: entry.priority,
                    feature: entry.feature,
                }));
            }
            (b"FDO\0", PACKAGE) => *package = Some(Name::from(text)),
            _ => {}
        }
    }
}

/// One note: type, owner, contents.
fn next<'a>(rest: &mut &'a [u8], endian: Endian) -> Option<(u32, &'a [u8], &'a [u8])> {
    let name_size = number(take(rest, 4)?, endian)?;
    let size = number(take(rest, 4)?, endian)?;
    let kind = number(take(rest, 4)?, endian)?;
    let owner = padded(rest, name_size)?;
    Some((kind, owner, padded(rest, size)?))
}

fn padded<'a>(rest: &mut &'a [u8], size: u32) -> Option<&'a [u8]> {
    let size = usize::try_from(size).ok()?;
    let bytes = take(rest, size)?;
    // The padding of the last note may be missing.
    let padding = size.next_multiple_of(4) - size;
    take(rest, padding.min(rest.len()))?;
    Some(bytes)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn number(bytes: &[u8], endian: Endian) -> Option<u32> {
    u32::try_from(endian.number(bytes)).ok()
}
