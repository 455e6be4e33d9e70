//! `Noted`: what a search that goes on to the end has met.

use std::collections::HashMap;

use common::tree::ImagePath;

use super::Reason;
use super::probe::Opened;
use super::sysroot::FileId;
use crate::elf::Name;

/// What stands at each place that a scope's searches came to, each looked at once: where every object has
/// a search path of its own, they still lead to the same folders.
#[derive(Default)]
pub(super) struct Noted {
    places: HashMap<Name, (Reason, Option<(FileId, ImagePath)>)>,
    /// Whether the search that is under way came to something that fits.
    pub(super) met: bool,
}

impl Noted {
    /// Why a place is passed over by a search that goes on to the end.
    pub(super) fn reason(&mut self, path: &Name, open: impl FnOnce() -> Opened) -> Reason {
        let known = self.places.get(path).map(|known| known.0);
        let reason = known.unwrap_or_else(|| {
            let known = match open() {
                Opened::Object(found) => (Reason::Fits, Some((found.id, found.walk.real))),
                Opened::Refused(_) => (Reason::Unloadable, None),
                Opened::Passed(reason) => (reason, None),
            };
            self.places.entry(path.clone()).or_insert(known).0
        });
        self.met |= reason == Reason::Fits;
        reason
    }

    /// Whether a place with this reason is worth telling: behind what fits, only what fits too.
    pub(super) fn tells(&self, reason: Reason) -> bool {
        !self.met || reason == Reason::Fits
    }

    /// The file that fits at a place.
    pub(super) fn file(&self, path: &Name) -> Option<&(FileId, ImagePath)> {
        self.places.get(path)?.1.as_ref()
    }
}
