//! What takes the room in an image, and what it is there for.
//!
//! Made of the provenance alone, which an image keeps: sizes, and reasons as they are written there. Bytes
//! of files count, unpacked; the layer is smaller.
//!
//! ```text
//! causes   reasons as a graph: what would still be there without a rule or a file
//! text     one screen
//! ```

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::image::provenance::{Provenance, words};

mod causes;
mod text;

pub use text::text;

use causes::{Causes, Without};

/// What takes the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// All files.
    pub total: Share,
    /// Each file once, by what it is there for: the program before its libraries, those before a recipe's
    /// files, those before a rule's. Largest first.
    pub reasons: Vec<Named>,
    /// What would not be there without a rule or a file; these overlap. Largest first.
    #[serde(rename = "onlyFor")]
    pub only_for: Vec<Named>,
    /// Folders that hold much, with all below. Sorted by path.
    pub folders: Vec<Named>,
    /// The largest files.
    pub largest: Vec<Large>,
}

/// A number of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Their bytes.
    pub bytes: u64,
    /// How many.
    pub files: usize,
}

/// Files of something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// What: words, a path.
    pub what: String,
    /// How much.
    #[serde(flatten)]
    pub share: Share,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Large {
    /// Its path, escaped.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// The first reason, in few words.
    pub why: String,
}

/// A list tells this many at most.
const MOST: usize = 10;
/// Folders with less than this part of everything are not told of: one in so many.
const SMALL_FOLDER: u64 = 20;

impl Share {
    fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.files += 1;
    }
}

impl FromIterator<u64> for Share {
    fn from_iter<I: IntoIterator<Item = u64>>(files: I) -> Self {
        let mut share = Self::default();
        for bytes in files {
            share.add(bytes);
        }
        share
    }
}

/// Counts.
pub fn sizes(provenance: &Provenance) -> Sizes {
    let files: Vec<(&str, u64)> = provenance
        .entries
        .iter()
        .filter(|(_, known)| known.kind == "file")
        .map(|(path, known)| (path.as_str(), known.size.unwrap_or(0)))
        .collect();
    let total: Share = files.iter().map(|(_, bytes)| *bytes).collect();
    let causes = Causes::new(provenance);
    Sizes {
        total,
        reasons: largest_first(causes.reasons()),
        only_for: only_for(&causes),
        folders: folders(&files, total.bytes),
        largest: largest(provenance, files),
    }
}

fn largest_first(shares: BTreeMap<String, Share>) -> Vec<Named> {
    let mut named: Vec<Named> =
        shares.into_iter().map(|(what, share)| Named { what, share }).collect();
    named.sort_by_key(|named| Reverse(named.share.bytes));
    named
}

/// What each rule, and each file that others are there for, brings alone.
fn only_for(causes: &Causes<'_>) -> Vec<Named> {
    let mut shares = BTreeMap::new();
    for rule in causes.rules() {
        let lost = causes.lost(Without::Rule(rule));
        if lost.files > 0 {
            shares.insert(causes::label(rule), lost);
        }
    }
    for (number, path) in causes.parents() {
        let lost = causes.lost(Without::Entry(number));
        // Alone it says no more than its size does.
        if lost.files > 1 {
            shares.insert(path.to_owned(), lost);
        }
    }
    largest_first(shares)
}

/// Folders that hold a part of everything worth telling, unless nearly all of it is in one folder below.
fn folders(files: &[(&str, u64)], total: u64) -> Vec<Named> {
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for (path, bytes) in files {
        let mut path = *path;
        while let Some(slash) = path.rfind('/') {
            path = &path[..slash];
            shares.entry(path).or_default().add(*bytes);
        }
    }
    let below = |folder: &str, other: &str| {
        other.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    let told = |(folder, share): &(&&str, &Share)| {
        let inside =
            shares.range(**folder..).skip(1).take_while(|(other, _)| other.starts_with(**folder));
        let mut inside = inside.filter(|(other, _)| below(folder, other));
        !folder.is_empty()
            && share.bytes.saturating_mul(SMALL_FOLDER) >= total
            && share.bytes > 0
            && !inside.any(|(_, part)| part.bytes >= share.bytes - share.bytes / SMALL_FOLDER)
    };
    let named =
        |(folder, share): (&&str, &Share)| Named { what: (*folder).to_owned(), share: *share };
    shares.iter().filter(told).map(named).collect()
}

fn largest(provenance: &Provenance, mut files: Vec<(&str, u64)>) -> Vec<Large> {
    files.sort_by_key(|(_, bytes)| Reverse(*bytes));
    let large = |(path, bytes): (&str, u64)| {
        // Of several reasons, the one that is nearest to what a person asked for.
        let (chains, _) = provenance.chains(path, 1);
        let nearest = chains.first().and_then(|chain| chain.first());
        let why = nearest.map(|step| short(&step.why)).unwrap_or_default();
        Large { path: path.to_owned(), bytes, why }
    };
    files.into_iter().take(MOST).map(large).collect()
}

/// A reason in few words; `coracle why` has all.
fn short(why: &Value) -> String {
    let field = |key: &str| why.get(key).and_then(Value::as_str);
    match (field("reason"), field("rule"), field("by")) {
        (Some("asked"), ..) => "asked for".to_owned(),
        (_, Some(rule), _) => format!("rule {rule}"),
        (_, _, Some(by)) => format!("for {}", by.rsplit('/').next().unwrap_or(by)),
        _ => words(why),
    }
}
