//! `Explanation`: what each search met on its way, and what it would have met had it gone on. Pure data,
//! made by `explain.rs`.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use common::tree::ImagePath;
use serde::Serialize;

use super::sysroot::{FileId, Sysroot, Target};
use super::{Attempt, Closure, How};
use crate::elf::Name;

/// The whole way of one search.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Places before the first that has it, in order.
    pub tried: Vec<Attempt>,
    /// Files that fit, in the order of the search, each file once. Whether the first of them is what
    /// was loaded depends on what was loaded before.
    pub fits: Vec<Fit>,
}

/// A file that a search would have taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The path by which it would have been opened.
    pub opened: Name,
    /// Its path with all links resolved inside the root.
    pub path: ImagePath,
    /// The rule that leads to it.
    pub how: How,
    #[serde(skip)]
    pub(super) id: FileId,
}

/// What is known besides the [`Closure`] that it was made with.
#[derive(Debug, Default)]
pub struct Explanation {
    /// By program, by its own loads, by their dependencies.
    pub(super) traces: Vec<Vec<Vec<Rc<Trace>>>>,
    /// Bytes of the closure's files.
    sizes: BTreeMap<ImagePath, u64>,
    /// What tells the closure's objects from others.
    objects: Vec<Option<FileId>>,
    /// Searches that no object's own lists are part of: the same for all programs with the same rules.
    pub(super) plain: HashMap<(usize, Vec<u8>), Rc<Trace>>,
}

impl Explanation {
    /// The search for dependency number `dependency` of a program's own load (counted from its
    /// [`super::Program::first`]).
    pub fn trace(&self, program: usize, load: usize, dependency: usize) -> Option<&Trace> {
        Some(self.traces.get(program)?.get(load)?.get(dependency)?)
    }

    /// Files that fit and are others than this object of the closure.
    pub fn others<'t>(&self, trace: &'t Trace, object: usize) -> impl Iterator<Item = &'t Fit> {
        let id = self.objects.get(object).copied().flatten();
        trace.fits.iter().filter(move |fit| Some(fit.id) != id)
    }

    /// Bytes of a file of the closure.
    pub fn size(&self, path: &ImagePath) -> Option<u64> {
        self.sizes.get(path).copied()
    }

    /// Bytes of all files of the closure.
    pub fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }

    pub(super) fn measure(&mut self, closure: &Closure, sysroot: &Sysroot) {
        for path in closure.files() {
            if let Some(id) = file(sysroot, path) {
                self.sizes.insert(path.clone(), id.size);
            }
        }
        self.objects = closure.objects.iter().map(|found| file(sysroot, &found.path)).collect();
    }
}

fn file(sysroot: &Sysroot, path: &ImagePath) -> Option<FileId> {
    match sysroot.lookup(path.as_bytes()) {
        Ok((_, Target::File(id))) => Some(id),
        _ => None,
    }
}
