//! `Scope`: what one program has loaded so far, and under which names it answers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::sysroot::FileId;
use super::{Libc, Load, Relation};
use crate::elf::{Name, Object};

/// A program's loads, and the tables by which the loader knows them again.
#[derive(Debug, Default)]
pub(super) struct Scope {
    loads: Vec<Loaded>,
    names: HashMap<Name, usize>,
    files: HashMap<FileId, usize>,
    /// Whether an object has search paths of its own, or refuses the usual ones.
    has_lists: bool,
    /// Names and files in the order they were added, for [`Self::forget`].
    added_names: Vec<Name>,
    added_files: Vec<FileId>,
}

#[derive(Debug)]
struct Loaded {
    load: Load,
    object: Arc<Object>,
    /// The folder that `$ORIGIN` means.
    origin: Vec<u8>,
    /// The load whose search paths are searched after its own (`l_loader`, `needed_by`).
    loader: Option<usize>,
}

/// What a scope knew again before another namespace began.
#[derive(Debug)]
pub(super) struct Known {
    names: HashMap<Name, usize>,
    files: HashMap<FileId, usize>,
}

/// How far a scope had grown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    has_lists: bool,
    loads: usize,
    names: usize,
    files: usize,
}

impl Scope {
    pub(super) fn len(&self) -> usize {
        self.loads.len()
    }

    pub(super) fn load(&self, number: usize) -> &Load {
        &self.loads[number].load
    }

    pub(super) fn load_mut(&mut self, number: usize) -> &mut Load {
        &mut self.loads[number].load
    }

    pub(super) fn object(&self, number: usize) -> &Object {
        &self.loads[number].object
    }

    pub(super) fn origin(&self, number: usize) -> &[u8] {
        &self.loads[number].origin
    }

    /// Whether nothing that was loaded changes where a name is found.
    pub(super) fn is_plain(&self) -> bool {
        !self.has_lists
    }

    /// The load that answers to a name.
    pub(super) fn by_name(&self, name: &[u8]) -> Option<usize> {
        self.names.get(name).copied()
    }

    /// The load of a file.
    pub(super) fn by_file(&self, id: FileId) -> Option<usize> {
        self.files.get(&id).copied()
    }

    /// The load of an object, by its number in the closure.
    pub(super) fn by_object(&self, object: usize) -> Option<usize> {
        self.loads.iter().position(|loaded| loaded.load.object == object)
    }

    /// The first object that bears a name keeps it.
    pub(super) fn add_name(&mut self, name: &Name, number: usize) {
        if !name.as_bytes().is_empty()
            && let Entry::Vacant(place) = self.names.entry(name.clone())
        {
            place.insert(number);
            self.added_names.push(name.clone());
        }
    }

    /// Adds a load with the names it answers to under `libc`'s rules.
    pub(super) fn push(
        &mut self,
        load: Load,
        object: Arc<Object>,
        id: FileId,
        loader: Option<usize>,
        libc: Libc,
        origin: Vec<u8>,
    ) -> usize {
        let number = self.loads.len();
        let (name, opened) = (load.name.clone(), load.opened.clone());
        let soname = object.soname.clone();
        self.has_lists |= object.rpath.is_some()
            || object.runpath.is_some()
            || object.flags.no_default_directories();
        self.loads.push(Loaded { load, object, origin, loader });
        // Files are compared with those of all objects but the program: the kernel has mapped it, and its file is
        // not known (glibc), or the comparison starts behind it (musl, `load_library`).
        if number > 0
            && let Entry::Vacant(place) = self.files.entry(id)
        {
            place.insert(number);
            self.added_files.push(id);
        }
        if libc == Libc::Musl {
            // Only what was searched for by a short name is known by it.
            if !name.has_slash() {
                self.add_name(&name, number);
            }
        } else {
            self.add_name(&name, number);
            self.add_name(&opened, number);
            if let Some(soname) = soname {
                self.add_name(&soname, number);
            }
        }
        number
    }

    /// glibc: the requester and its loaders up to the top, then the program, each once.
    pub(super) fn rpath_chain(&self, requester: Option<usize>) -> Vec<usize> {
        let mut chain = self.ancestors(requester);
        if !self.loads.is_empty() && !chain.contains(&0) {
            chain.push(0);
        }
        chain
    }

    /// The requester and its loaders up to the top.
    pub(super) fn ancestors(&self, requester: Option<usize>) -> Vec<usize> {
        std::iter::successors(requester, |&number| self.loads[number].loader).collect()
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            has_lists: self.has_lists,
            loads: self.loads.len(),
            names: self.added_names.len(),
            files: self.added_files.len(),
        }
    }

    /// Forgets everything since `mark`; returns the loads.
    pub(super) fn forget(&mut self, mark: Mark) -> Vec<Load> {
        self.has_lists = mark.has_lists;
        for name in self.added_names.drain(mark.names..) {
            self.names.remove(&name);
        }
        for id in self.added_files.drain(mark.files..) {
            self.files.remove(&id);
        }
        self.loads.drain(mark.loads..).map(|loaded| loaded.load).collect()
    }

    /// Begins another namespace (`dlmopen(3)`): of all that is loaded, only the interpreter is known there.
    pub(super) fn begin_namespace(&mut self) -> Known {
        let known = Known {
            names: std::mem::take(&mut self.names),
            files: std::mem::take(&mut self.files),
        };
        let shared = |number: &usize| self.load(*number).relation == Relation::Interpreter;
        let names = known.names.iter().filter(|(_, number)| shared(number));
        let names = names.map(|(name, &number)| (name.clone(), number)).collect();
        let files = known.files.iter().filter(|(_, number)| shared(number));
        let files = files.map(|(&id, &number)| (id, number)).collect();
        (self.names, self.files) = (names, files);
        known
    }

    /// Goes back to the namespace before.
    pub(super) fn end_namespace(&mut self, known: Known) {
        (self.names, self.files) = (known.names, known.files);
    }

    /// Copies of all loads.
    pub(super) fn loads(&self) -> Vec<Load> {
        self.loads.iter().map(|loaded| loaded.load.clone()).collect()
    }
}
