//! `Library`: the folders of a root in which an interpreter finds modules. Everything is looked at once, and
//! what is read is bounded: sources of a root are as hostile as anything in it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::rc::Rc;

use common::tree::ImagePath;

use super::{Import, Unit};
use crate::resolve::expand;
use crate::resolve::sysroot::{Sysroot, Target};

/// Sources and objects above this are shipped and not read: the largest of Python's own has 0.7 MB.
pub(super) const MAX_SOURCE: u64 = 16 << 20;
/// So many names of a folder are looked at.
const MAX_NAMES: usize = 1 << 16;

/// What was found out in one round of a build, for the next.
#[derive(Debug, Default)]
pub(in crate::resolve) struct Memory {
    /// What files import, by path and name of the module.
    imports: RefCell<BTreeMap<Key, Rc<[Import]>>>,
    /// By folder.
    names: RefCell<BTreeMap<Vec<u8>, Names>>,
}

/// A file, and the module that it is read as.
type Key = (ImagePath, String);

/// Names in a folder.
pub(super) type Names = Rc<BTreeSet<Vec<u8>>>;

impl Memory {
    /// What a module's file imports, found out the first time.
    pub(super) fn imports(&self, unit: &Unit, read: impl FnOnce() -> Vec<Import>) -> Rc<[Import]> {
        let key = (unit.path.clone(), unit.name.clone());
        if let Some(known) = self.imports.borrow().get(&key) {
            return Rc::clone(known);
        }
        let imports: Rc<[Import]> = read().into();
        self.imports.borrow_mut().insert(key, Rc::clone(&imports));
        imports
    }
}

/// Where modules are looked for.
#[derive(Debug)]
pub(in crate::resolve) struct Library<'a> {
    sysroot: &'a Sysroot,
    memory: &'a Memory,
    /// Folders of the standard library.
    pub(super) standard: Vec<ImagePath>,
    /// Folders of other modules, in the order of the search.
    pub(super) site: Vec<ImagePath>,
    /// Folders of the scripts: each is the first place for what its own script imports.
    pub(super) own: Vec<ImagePath>,
}

impl<'a> Library<'a> {
    pub(super) fn new(sysroot: &'a Sysroot, memory: &'a Memory) -> Self {
        Self { sysroot, memory, standard: Vec::new(), site: Vec::new(), own: Vec::new() }
    }

    /// Whether a path lies in the standard library (and in no folder of other modules inside of it).
    pub(super) fn is_standard(&self, path: &ImagePath) -> bool {
        let longest = |folders: &[ImagePath]| {
            folders
                .iter()
                .filter(|folder| path.starts_with(folder))
                .map(|folder| folder.as_bytes().len())
                .max()
        };
        longest(&self.standard) > longest(&self.site)
    }

    /// The path, where a regular file is there, links followed.
    pub(super) fn file(&self, path: &[u8]) -> Option<ImagePath> {
        let found = matches!(self.sysroot.lookup(path), Ok((_, Target::File(_))));
        if found { ImagePath::new(path).ok() } else { None }
    }

    /// Whether a folder is there, links followed.
    pub(super) fn is_folder(&self, path: &[u8]) -> bool {
        self.sysroot.is_folder(path)
    }

    /// A path with all links resolved.
    pub(super) fn real(&self, path: &ImagePath) -> ImagePath {
        self.sysroot.walk(path.as_bytes()).map_or_else(|_| path.clone(), |walk| walk.real)
    }

    /// Names in a folder; none where there is no folder, or it cannot be read.
    pub(super) fn names(&self, folder: &[u8]) -> Names {
        let known = self.memory.names.borrow().get(folder).cloned();
        known.unwrap_or_else(|| {
            let names = self.sysroot.root().read_dir(folder).unwrap_or_default();
            let names: Names = Rc::new(names.into_iter().take(MAX_NAMES).collect());
            self.memory.names.borrow_mut().insert(folder.to_vec(), Rc::clone(&names));
            names
        })
    }

    /// The bytes of a regular file that is no larger than `limit`. What cannot be read is told by the
    /// survey, which opens everything that is packed.
    pub(super) fn read(&self, path: &ImagePath, limit: u64) -> Option<Vec<u8>> {
        let (walk, target) = self.sysroot.lookup(path.as_bytes()).ok()?;
        let Target::File(id) = target else { return None };
        if id.size > limit {
            return None;
        }
        let mut bytes = Vec::new();
        let file = self.sysroot.open_file(&walk.real).ok()?;
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Everything below a folder that is a file, links not entered; at most as many as a folder may have
    /// names.
    pub(super) fn files_below(&self, folder: &ImagePath) -> Vec<ImagePath> {
        let mut found = Vec::new();
        let mut keep = |_: &[u8]| true;
        if expand::tree(self.sysroot.root(), folder.as_bytes(), &mut keep, &mut found).is_err() {
            return Vec::new();
        }
        found
            .into_iter()
            .filter(|(_, kind)| matches!(kind, expand::Kind::File | expand::Kind::Link))
            .take(MAX_NAMES)
            .filter_map(|(path, _)| ImagePath::new(path).ok())
            .collect()
    }
}
