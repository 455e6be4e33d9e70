//! `Engine`: everything that one call of the resolver knows, and how it is taken into the closure.
//!
//! What the engine does stands in files of its own: `engine.rs` starts scopes, `walk.rs` fills them,
//! `dlopen.rs` opens more in them, `explain.rs` goes over them again.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use common::tree::ImagePath;

use super::companions::Companions;
use super::explanation::Explanation;
use super::probe::{Candidate, Files};
use super::root_facts::RootFacts;
use super::scope::Scope;
use super::search::{Hit, Rules};
use super::sysroot::{FileId, Sysroot, Walk};
use super::{Attempt, Closure, Found, How, Link, Load, Options, Relation, Warning};
use crate::elf::Name;

/// Tried places that a closure tells: more than a person reads, less than memory holds.
const MAX_TOLD: usize = 1 << 18;

/// The state of one call of [`super::closure`].
pub(super) struct Engine<'a> {
    pub(super) files: Files<'a>,
    pub(super) options: &'a Options,
    pub(super) closure: Closure,
    pub(super) facts: RootFacts,
    /// Folders of `/etc/ld.so.conf`, once a hint has asked for them.
    pub(super) configured: Option<Vec<Name>>,
    /// Kept where it was asked for.
    pub(super) explanation: Option<Explanation>,
    /// Tried places that will still be told.
    pub(super) untold: usize,
    /// Numbers of the objects that were taken.
    objects: HashMap<FileId, usize>,
    /// The same by their paths.
    paths: HashMap<ImagePath, usize>,
    /// All that hold in some scope, each once.
    rules: Vec<Rc<Rules>>,
    /// What was found by rules and name alone, by the number of the rules.
    pub(super) found: HashMap<usize, HashMap<Name, Known>>,
    /// By number of the program; modules leave none.
    pub(super) scopes: Vec<Option<Loaded>>,
    /// Modules of all requests.
    pub(super) companions: Companions,
    /// Number of the request that is followed.
    pub(super) request: usize,
    /// Names of features of `.note.dlopen` that were seen.
    pub(super) features: BTreeSet<String>,
}

/// What rules and a name lead to.
pub(super) struct Known {
    pub(super) hit: Rc<Hit>,
    /// Places before it.
    pub(super) tried: Vec<Attempt>,
}

/// What comes of a run.
pub(super) struct Made<'a> {
    pub(super) closure: Closure,
    /// Where it was asked for.
    pub(super) explanation: Option<Explanation>,
    pub(super) kept: Kept<'a>,
}

/// What was read, for the next call.
pub(super) struct Kept<'a> {
    pub(super) files: Files<'a>,
    pub(super) facts: RootFacts,
}

impl<'a> Kept<'a> {
    pub(super) fn new(sysroot: &'a Sysroot) -> Self {
        Self { files: Files::new(sysroot), facts: RootFacts::default() }
    }
}

/// A program whose closure is done, kept for what it opens.
pub(super) struct Loaded {
    pub(super) rules: Rc<Rules>,
    pub(super) scope: Scope,
}

impl<'a> Engine<'a> {
    pub(super) fn new(options: &'a Options, Kept { mut files, facts }: Kept<'a>) -> Self {
        files.looks = 0;
        Self {
            files,
            options,
            closure: Closure::default(),
            facts,
            configured: None,
            explanation: None,
            untold: MAX_TOLD,
            objects: HashMap::new(),
            paths: HashMap::new(),
            rules: Vec::new(),
            found: HashMap::new(),
            scopes: Vec::new(),
            companions: Companions::default(),
            request: 0,
            features: BTreeSet::new(),
        }
    }

    /// The same rules are one value: most programs of a root have them in common.
    pub(super) fn intern(&mut self, rules: Rules) -> Rc<Rules> {
        if let Some(known) = self.rules.iter().find(|known| ***known == rules) {
            return Rc::clone(known);
        }
        let rules = Rc::new(rules);
        self.rules.push(Rc::clone(&rules));
        rules
    }

    /// The number of rules that were interned.
    pub(super) fn number_of_rules(&self, rules: &Rc<Rules>) -> usize {
        self.rules.iter().position(|known| Rc::ptr_eq(known, rules)).unwrap_or(usize::MAX)
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if !self.closure.warnings.contains(&warning) {
            self.closure.warnings.push(warning);
        }
    }

    /// Takes a candidate into the closure, with the links that lead to it.
    pub(super) fn load(
        &mut self,
        candidate: &Candidate,
        name: Name,
        opened: Name,
        relation: Relation,
        by: Option<usize>,
        how: How,
    ) -> Load {
        self.note_walk(&candidate.walk);
        let object = match self.objects.get(&candidate.id) {
            // Another hard link of a file that is there: both names are wanted.
            Some(&object) if self.closure.objects[object].path == candidate.walk.real => object,
            _ => {
                let path = &candidate.walk.real;
                self.number_of(path).unwrap_or_else(|| {
                    let (number, object) =
                        (self.closure.objects.len(), Arc::clone(&candidate.object));
                    self.paths.insert(path.clone(), number);
                    self.closure.objects.push(Found { path: path.clone(), object });
                    number
                })
            }
        };
        self.objects.entry(candidate.id).or_insert(object);
        let (variant, tried, dependencies) = (None, Vec::new(), Vec::new());
        Load { object, name, opened, relation, by, how, variant, tried, dependencies }
    }

    /// The number of an object that was taken, by its real path.
    pub(super) fn number_of(&self, path: &ImagePath) -> Option<usize> {
        self.paths.get(path).copied()
    }

    pub(super) fn note_walk(&mut self, walk: &Walk) {
        for link in &walk.links {
            if !self.closure.links.contains_key(&link.path) {
                let target = link.target.clone();
                self.closure.links.insert(link.path.clone(), Link { target });
            }
        }
        self.closure.folders.extend(walk.folders.iter().cloned());
    }
}
