//! Notes that name what ELF itself does not: `.note.dlopen` and `.note.package`.
//!
//! Both have the owner `FDO` and hold JSON (UAPI group, "ELF dlopen Metadata", type 0x407c0c0a, and
//! "Package Metadata for Executable Files", type 0xcafe1a7e).

use serde::{Deserialize, Serialize};

use super::Name;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
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
