//! Why a closure is as it is: makes the `Explanation`.
//!
//! The search itself stops at the first file that fits; an object that answers to its name already is not
//! searched for at all. Who asks why gets a second search from the same place, which takes nothing and
//! goes on to the end. It is made when a scope is complete, so that the first search costs what it
//! always costs.

use std::collections::HashMap;
use std::rc::Rc;

use super::explanation::{Fit, Trace};
use super::noted::Noted;
use super::scope::Scope;
use super::search::Rules;
use super::state::Engine;
use super::walk::Walking;
use super::{Attempt, How, Reason};
use crate::elf::{Name, has_token};

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
