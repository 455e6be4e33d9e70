//! `Clue`: what the root has of a missing library, where the loader does not look.
//!
//! Looked for only when something is missing, and never part of the answer: it makes the hint that a
//! person gets.

use serde::Serialize;

use super::ld_conf;
use super::probe::Opened;
use super::search::Rules;
use super::state::Engine;
use super::{Libc, Relation};
use crate::elf::Name;

/// Names that are looked for: a file may miss any number, a person reads a few.
const MAX_CLUES: usize = 64;

/// Where a missing library is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clue {
    /// In a folder that `/etc/ld.so.conf` names. Only ldconfig reads that file, and has not done so since.
    Uncached {
        /// The library.
        path: Name,
        /// Whether the root has a cache at all.
        cache: bool,
    },
    /// In the cache, for another architecture.
    OtherArchitecture {
        /// The library.
        path: Name,
    },
}

impl Engine<'_> {
    /// What there is of `name`.
    pub(super) fn clue(&mut self, rules: &Rules, name: &[u8], relation: Relation) -> Option<Clue> {
        let searched = !name.contains(&b'/') && relation != Relation::Interpreter;
        if !searched || rules.facts.libc != Libc::Glibc || self.closure.missing.len() > MAX_CLUES {
            return None;
        }
        let cache = self.facts.cache(&self.files, rules, &mut self.closure);
        let has_cache = cache.is_some();
        let other = cache.and_then(|cache| {
            let (_, path, ..) = cache.iter().find(|&(key, _, id, _)| {
                key == name && rules.cache_id.is_some_and(|wanted| wanted != id)
            })?;
            Some(Name::from(path))
        });
        let sysroot = self.files.sysroot;
        let folders = self.configured.get_or_insert_with(|| ld_conf::folders(sysroot));
        for folder in folders.iter() {
            let path = [folder.as_bytes(), b"/", name].concat();
            let opened = self.files.open_library(&path, rules.wanted, Libc::Glibc);
            if matches!(opened, Opened::Object(_)) {
                return Some(Clue::Uncached { path: path.into(), cache: has_cache });
            }
        }
        let path = other.filter(|path| sysroot.lookup(path.as_bytes()).is_ok())?;
        Some(Clue::OtherArchitecture { path })
    }
}
