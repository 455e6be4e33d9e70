//! Notes that name what ELF itself does not: `.note.dlopen` and `.note.package`.
//!
//! ```text
//! u32 namesz | u32 descsz | u32 type | name, padded to 4 | desc, padded to 4      (one note)
//! ```
//! Both have the owner `FDO` and hold JSON (UAPI group, "ELF dlopen Metadata", type 0x407c0c0a, and
//! "Package Metadata for Executable Files", type 0xcafe1a7e). JSON that does not fit is passed over:
//! a note is advice.

use serde::{Deserialize, Serialize};

use super::{Endian, Name};

const DLOPEN: u32 = 0x407c_0c0a;
const PACKAGE: u32 = 0xcafe_1a7e;

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
    let bytes = bytes.try_into().ok()?;
    Some(match endian {
        Endian::Little => u32::from_le_bytes(bytes),
        Endian::Big => u32::from_be_bytes(bytes),
    })
}
