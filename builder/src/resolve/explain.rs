//! `Explanation`: what each search met on its way, and what it would have met had it gone on.
//!
//! The search itself stops at the first file that fits; an object that answers to its name already is not
//! searched for at all. Who asks why gets a second search from the same place, which takes nothing and
//! goes on to the end. It is made when a scope is complete, so that the first search costs what it
//! always costs.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use common::tree::ImagePath;
use serde::Serialize;

use super::engine::Engine;
use super::probe::Opened;
use super::scope::Scope;
use super::search::Rules;
use super::sysroot::{FileId, Sysroot, Target};
use super::walk::Walking;
use super::{Attempt, Closure, How, Reason};
use crate::elf::{Name, has_token};

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
    id: FileId,
}

/// What is known besides the [`Closure`] that it was made with.
#[derive(Debug, Default)]
pub struct Explanation {
    /// By program, by its own loads, by their dependencies.
    traces: Vec<Vec<Vec<Rc<Trace>>>>,
    /// Bytes of the closure's files.
    sizes: BTreeMap<ImagePath, u64>,
    /// What tells the closure's objects from others.
    objects: Vec<Option<FileId>>,
    /// Searches that no object's own lists are part of: the same for all programs with the same rules.
    plain: HashMap<(usize, Vec<u8>), Rc<Trace>>,
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

/// What stands at each place that a scope's searches came to, each looked at once: where every object has
/// a search path of its own, they still lead to the same folders.
#[derive(Default)]
pub(super) struct Noted {
    places: HashMap<Name, (Reason, Option<(FileId, ImagePath)>)>,
    /// Whether the search that is under way came to something that fits.
    met: bool,
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
    fn file(&self, path: &Name) -> Option<&(FileId, ImagePath)> {
        self.places.get(path)?.1.as_ref()
    }
}

/// All that a search depends on besides its name: requesters with the same are searched for once.
#[derive(PartialEq, Eq, Hash)]
struct Question {
    name: Vec<u8>,
    /// Loads with search paths: the requester and those above it.
    lists: Vec<usize>,
    /// The requester, where it has a list that is not inherited.
    own: Option<usize>,
    no_default: bool,
}

impl Question {
    fn new(scope: &Scope, name: Vec<u8>, requester: usize) -> Self {
        let has_list = |load: &usize| {
            let object = scope.object(*load);
            object.rpath.is_some() || object.runpath.is_some()
        };
        let object = scope.object(requester);
        Self {
            name,
            lists: scope.rpath_chain(Some(requester)).into_iter().filter(has_list).collect(),
            own: object.runpath.is_some().then_some(requester),
            no_default: object.flags.no_default_directories(),
        }
    }
}

impl Question {
    /// Whether nothing but the rules and the name decides.
    fn is_plain(&self, rules: &Rules) -> bool {
        self.lists.is_empty()
            && self.own.is_none()
            && !self.no_default
            && !rules.library_path.as_ref().is_some_and(|list| has_token(list.as_bytes()))
    }
}

impl Engine<'_> {
    /// Searches again for everything that the loads of a complete scope ask for, from load number
    /// `first` on. Does nothing where nobody asks why.
    pub(super) fn explain_loads(&mut self, walking: &Walking, first: usize) {
        if self.explanation.is_none() {
            return;
        }
        let mut known: HashMap<Question, Rc<Trace>> = HashMap::new();
        let mut noted = Noted::default();
        let rules = self.number_of_rules(&walking.rules);
        // What the second search has to say was said by the first.
        let warnings = self.closure.warnings.len();
        let mut loads = Vec::new();
        for number in first..walking.scope.len() {
            let dependencies = walking.scope.load(number).dependencies.iter();
            let traces = dependencies.map(|dependency| {
                let name = dependency.name.as_bytes();
                let expanded = self.search(walking, &mut Vec::new()).expand_name(name, number);
                let Some(expanded) = expanded else { return Rc::new(dropped(&dependency.name)) };
                let question = Question::new(&walking.scope, expanded, number);
                if let Some(trace) = known.get(&question) {
                    return Rc::clone(trace);
                }
                let plain =
                    question.is_plain(&walking.rules).then(|| (rules, question.name.clone()));
                let trace =
                    plain.as_ref().and_then(|plain| self.plain_trace(plain)).unwrap_or_else(|| {
                        Rc::new(self.trace(walking, &question.name, number, &mut noted))
                    });
                if let (Some(plain), Some(explanation)) = (plain, &mut self.explanation) {
                    explanation.plain.insert(plain, Rc::clone(&trace));
                }
                known.insert(question, Rc::clone(&trace));
                trace
            });
            loads.push(traces.collect());
        }
        self.closure.warnings.truncate(warnings);
        if let Some(explanation) = &mut self.explanation {
            explanation.traces.push(loads);
        }
    }

    fn plain_trace(&self, plain: &(usize, Vec<u8>)) -> Option<Rc<Trace>> {
        self.explanation.as_ref()?.plain.get(plain).map(Rc::clone)
    }

    fn trace(
        &mut self,
        walking: &Walking,
        name: &[u8],
        requester: usize,
        noted: &mut Noted,
    ) -> Trace {
        let mut places = Vec::new();
        noted.met = false;
        let mut search = self.search(walking, &mut places);
        search.noted = Some(noted);
        search.find(name, Some(requester));
        let mut trace = Trace::default();
        for place in places {
            let file = noted.file(&place.path).filter(|_| place.reason == Reason::Fits);
            match file {
                Some((id, path)) if !trace.fits.iter().any(|fit| fit.id == *id) => {
                    let Attempt { path: opened, how, .. } = place;
                    trace.fits.push(Fit { opened, path: path.clone(), how, id: *id });
                }
                None if trace.fits.is_empty() => trace.tried.push(place),
                _ => {}
            }
        }
        trace
    }
}

/// The trace of a name whose tokens have no value.
fn dropped(name: &Name) -> Trace {
    let attempt = Attempt { path: name.clone(), how: How::Path, reason: Reason::Token };
    Trace { tried: vec![attempt], fits: Vec::new() }
}
