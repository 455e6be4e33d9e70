//! Where a name is searched: one order per libc.
//!
//! ```text
//! glibc  RPATH of the requester and up its loaders, of the program (no RUNPATH at the requester)
//!        -> library path -> RUNPATH of the requester -> ld.so.cache -> system folders
//! musl   library path -> rpath of the requester and all its ancestors -> path file or system folders
//! ```
//! Of every folder glibc searches the subdirectories for its processor first (`hwcaps.rs`).
//!
//! Knowledge: glibc `elf/dl-load.c` (`_dl_map_object`, `open_path`), musl `ldso/dynlink.c`
//! (`load_library`, `path_open`, `fixup_rpath`), ld.so(8).

use std::rc::Rc;

use rustix::io::Errno;

use super::hwcaps::{Hwcaps, Processor};
use super::ld_cache::{LdCache, Reader};
use super::noted::Noted;
use super::probe::{Candidate, Files, Opened, Wanted};
use super::scope::Scope;
use super::system_dirs::Facts;
use super::{Attempt, How, Libc, Reason, Warning};
use crate::elf::{ElfError, Name, has_token};

/// musl `load_library`: a buffer of `2*NAME_MAX+2` bytes, with a zero at the end.
const MUSL_PATH_MAX: usize = 511;

/// What holds for a whole scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) facts: Facts,
    pub(super) wanted: Wanted,
    /// The processor, as the loader sees it.
    pub(super) hwcaps: Hwcaps,
    /// What marks the entries of this architecture in the cache.
    pub(super) cache_id: Option<u32>,
    /// set-uid, set-gid or file capabilities: tokens are restricted, the library path is ignored.
    pub(super) secure: bool,
    /// The library path as given.
    pub(super) library_path: Option<Name>,
    /// musl: the path file's folders, where there is one.
    pub(super) path_file: Option<Vec<Name>>,
}

/// What came of a search.
pub(super) enum Outcome {
    Found(Rc<Hit>),
    Refused { path: Name, error: Rc<ElfError> },
    Nothing,
}

impl Rules {
    /// The same on a processor.
    pub(super) fn on(self, processor: Processor) -> Self {
        let Wanted { machine, class, .. } = self.wanted;
        let hwcaps = match self.facts.libc {
            Libc::Musl => Hwcaps::none(machine, class),
            Libc::Glibc | Libc::Static => {
                Hwcaps::new(processor, machine, class, self.facts.version)
            }
        };
        Self { hwcaps, ..self }
    }
}

/// What was found.
pub(super) struct Hit {
    pub(super) candidate: Candidate,
    pub(super) opened: Name,
    pub(super) how: How,
    /// The subdirectory of the variant that it is.
    pub(super) variant: Option<Name>,
}

/// How to go on after a place, or a list of places.
enum Step {
    Done(Outcome),
    NextList,
    /// musl: an unexpected error ends the whole search.
    GiveUp,
}

/// One search.
pub(super) struct Search<'a, 's> {
    pub(super) files: &'a mut Files<'s>,
    pub(super) scope: &'a Scope,
    pub(super) rules: &'a Rules,
    pub(super) cache: Option<&'a LdCache>,
    pub(super) tried: &'a mut Vec<Attempt>,
    pub(super) warnings: &'a mut Vec<Warning>,
    /// Where it is given, nothing is taken: what fits is noted among what was tried, and the search
    /// goes on to the end (`explain.rs`).
    pub(super) noted: Option<&'a mut Noted>,
}

impl Search<'_, '_> {
    /// Finds `name` for the load number `requester`; `None` when it is asked for from outside.
    pub(super) fn find(&mut self, name: &[u8], requester: Option<usize>) -> Outcome {
        if name.contains(&b'/') {
            return self.by_path(name, requester);
        }
        if self.files.exhausted() {
            let reason = Reason::GivenUp;
            self.tried.push(Attempt { path: name.into(), how: How::Path, reason });
            return Outcome::Nothing;
        }
        let step = match self.rules.facts.libc {
            Libc::Musl => self.musl(name, requester),
            Libc::Glibc | Libc::Static => self.glibc(name, requester),
        };
        match step {
            Step::Done(outcome) => outcome,
            Step::NextList | Step::GiveUp => Outcome::Nothing,
        }
    }

    /// The name of a dependency with its tokens replaced; `None` where the loader drops it.
    pub(super) fn expand_name(&self, name: &[u8], requester: usize) -> Option<Vec<u8>> {
        if self.rules.facts.libc == Libc::Musl || !has_token(name) {
            return Some(name.to_vec());
        }
        self.expand(name, requester)
    }

    fn by_path(&mut self, name: &[u8], requester: Option<usize>) -> Outcome {
        // What is opened by its path may have tokens, whoever names it (`_dl_map_object`).
        let path =
            requester.map_or_else(|| Some(name.to_vec()), |load| self.expand_name(name, load));
        let Some(path) = path else {
            let path = Name::from(name);
            self.tried.push(Attempt { path, how: How::Path, reason: Reason::Token });
            return Outcome::Nothing;
        };
        if !path.starts_with(b"/") {
            // Relative to whatever folder the program is started in: nothing that an image can promise.
            self.tried.push(Attempt {
                path: path.into(),
                how: How::Path,
                reason: Reason::Relative,
            });
            return Outcome::Nothing;
        }
        match self.place(path, None, || How::Path) {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Nothing,
        }
    }

    fn glibc(&mut self, name: &[u8], requester: Option<usize>) -> Step {
        let runpath = requester.and_then(|load| self.scope.object(load).runpath.clone());
        if runpath.is_none() {
            for load in self.scope.rpath_chain(requester) {
                let object = self.scope.object(load);
                if object.runpath.is_some() {
                    continue;
                }
                let Some(list) = object.rpath.clone() else { continue };
                let of = self.scope.load(load).opened.clone();
                let folders = self.folders(&list, load, b":");
                let how = |folder: &Name| How::Rpath { of: of.clone(), folder: folder.clone() };
                if let step @ Step::Done(_) = self.list(name, &folders, how) {
                    return step;
                }
            }
        }
        if let step @ Step::Done(_) = self.library_path(name, b":;") {
            return step;
        }
        if let (Some(list), Some(load)) = (runpath, requester) {
            let of = self.scope.load(load).opened.clone();
            let folders = self.folders(&list, load, b":");
            let how = |folder: &Name| How::Runpath { of: of.clone(), folder: folder.clone() };
            if let step @ Step::Done(_) = self.list(name, &folders, how) {
                return step;
            }
        }
        let no_default = self.scope.object(requester.unwrap_or(0)).flags.no_default_directories();
        if let step @ Step::Done(_) = self.cached(name, no_default) {
            return step;
        }
        if no_default {
            return Step::NextList;
        }
        self.system_folders(name)
    }

    fn library_path(&mut self, name: &[u8], separators: &[u8]) -> Step {
        let Some(list) = self.rules.library_path.clone().filter(|_| !self.rules.secure) else {
            return Step::NextList;
        };
        let folders = self.folders(&list, 0, separators);
        self.list(name, &folders, |folder| How::LibraryPath { folder: folder.clone() })
    }

    fn cached(&mut self, name: &[u8], no_default: bool) -> Step {
        let Some((cache, id)) = self.cache.zip(self.rules.cache_id) else { return Step::NextList };
        let reader = Reader { id, hwcaps: self.rules.hwcaps };
        let Some(hit) = cache.lookup(name, reader) else { return Step::NextList };
        let system = |folder: &Name| {
            hit.path.strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
        };
        let path = hit.path.to_vec();
        if no_default && self.rules.facts.folders.iter().any(system) {
            let path = Name::from(path);
            self.tried.push(Attempt { path, how: How::Cache, reason: Reason::NoDefault });
            return Step::NextList;
        }
        let variant = (!hit.variant.is_empty()).then(|| Name::from(hit.variant));
        match self.place(path, variant, || How::Cache) {
            Ok(outcome) => Step::Done(outcome),
            Err(_) => Step::NextList,
        }
    }

    fn system_folders(&mut self, name: &[u8]) -> Step {
        let rules = self.rules;
        self.list(name, &rules.facts.folders, |folder| How::SystemFolder { folder: folder.clone() })
    }

    fn musl(&mut self, name: &[u8], requester: Option<usize>) -> Step {
        match self.library_path(name, b":\n") {
            Step::NextList => {}
            step => return step,
        }
        for load in self.scope.ancestors(requester) {
            let object = self.scope.object(load);
            // One field: the value of RUNPATH where both stand.
            let Some(list) = object.runpath.clone().or_else(|| object.rpath.clone()) else {
                continue;
            };
            let Some(folders) = self.musl_folders(&list, load) else { continue };
            let of = self.scope.load(load).opened.clone();
            let how = |folder: &Name| How::Runpath { of: of.clone(), folder: folder.clone() };
            match self.list(name, &folders, how) {
                Step::NextList => {}
                step => return step,
            }
        }
        let rules = self.rules;
        match &rules.path_file {
            Some(folders) => {
                self.list(name, folders, |folder| How::PathFile { folder: folder.clone() })
            }
            None => self.system_folders(name),
        }
    }

    /// Tries `name` in each folder.
    fn list(&mut self, name: &[u8], folders: &[Name], how: impl Fn(&Name) -> How) -> Step {
        let musl = self.rules.facts.libc == Libc::Musl;
        for folder in folders {
            if self.files.exhausted() {
                break;
            }
            for subfolder in self.files.subfolders(folder, self.rules.hwcaps).iter() {
                let path = [folder.as_bytes(), b"/", subfolder.as_bytes(), b"/", name].concat();
                if let Ok(outcome) = self.place(path, Some(subfolder.clone()), || how(folder)) {
                    return Step::Done(outcome);
                }
            }
            let path = match folder.as_bytes() {
                b"/" if !musl => [b"/", name].concat(),
                folder => [folder, b"/", name].concat(),
            };
            // What does not fit into musl's buffer is passed over.
            if musl && path.len() > MUSL_PATH_MAX {
                let reason = Reason::Errno(Errno::NAMETOOLONG.raw_os_error());
                self.tried.push(Attempt { path: path.into(), how: how(folder), reason });
                continue;
            }
            match self.place(path, None, || how(folder)) {
                Ok(outcome) => return Step::Done(outcome),
                Err(Reason::Errno(number))
                    if musl && number == Errno::NAMETOOLONG.raw_os_error() => {}
                Err(Reason::Loop | Reason::Errno(_)) if musl => return Step::GiveUp,
                // Anything but ENOENT, EACCES and ENOTDIR in a folder that exists ends the list.
                Err(Reason::Loop | Reason::Errno(_))
                    if self.files.sysroot.is_folder(folder.as_bytes()) =>
                {
                    return Step::NextList;
                }
                Err(_) => {}
            }
        }
        Step::NextList
    }

    /// Tries one path; the reason when it is passed over.
    fn place(
        &mut self,
        path: Vec<u8>,
        variant: Option<Name>,
        how: impl FnOnce() -> How,
    ) -> Result<Outcome, Reason> {
        let opened = Name::from(path);
        let rules = self.rules;
        let mut open =
            || self.files.open_library(opened.as_bytes(), rules.wanted, rules.facts.libc);
        let found = match &mut self.noted {
            Some(noted) => Opened::Passed(noted.reason(&opened, open)),
            None => open(),
        };
        match found {
            Opened::Object(candidate) => {
                let hit = Hit { candidate, opened, how: how(), variant };
                Ok(Outcome::Found(Rc::new(hit)))
            }
            Opened::Refused(error) => Ok(Outcome::Refused { path: opened, error }),
            Opened::Passed(reason) => {
                if self.noted.as_ref().is_none_or(|noted| noted.tells(reason)) {
                    self.tried.push(Attempt { path: opened, how: how(), reason });
                }
                Err(reason)
            }
        }
    }
}
