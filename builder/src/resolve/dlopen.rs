//! What a program opens at run time: modules by path, libraries by name, and what its objects say in
//! `.note.dlopen`.
//!
//! Each is opened in the scope that its program has left, and what it loads is forgotten before the next:
//! nobody knows in which order a program opens things (but see `companions.rs`). What the notes of an opened object name is
//! opened in the same scope as that object.

use std::collections::VecDeque;
use std::rc::Rc;

use common::tree::ImagePath;

use super::search::Rules;
use super::state::{Engine, Loaded};
use super::walk::{Ask, Walking};
use super::{Libc, Origin, Program, Relation, ResolveError, Warning};
use crate::elf::{DlopenFeature, Name, Priority};
use crate::spec::search::DlopenPolicy;

/// Something to be opened in the scope of a program.
pub(super) struct Opening<'o> {
    /// A name or path for `dlopen`.
    pub(super) name: &'o Name,
    /// Real path of the object that calls it; `None`: the program.
    pub(super) caller: Option<&'o ImagePath>,
    /// Not finding it is no failure.
    pub(super) optional: bool,
    pub(super) origin: Origin,
}

impl Engine<'_> {
    /// An object that `program` opens, on each of its processors.
    pub(super) fn open(
        &mut self,
        program: &ImagePath,
        opening: &Opening<'_>,
    ) -> Result<(), ResolveError> {
        let contexts = self.contexts(program);
        if contexts.is_empty() {
            let module = opening.name.clone();
            return Err(ResolveError::NoProgram { module, program: program.clone() });
        }
        for context in contexts {
            let ask = |engine: &mut Self, walking: &mut Walking| {
                let caller = opening
                    .caller
                    .and_then(|path| engine.number_of(path))
                    .and_then(|object| walking.scope.by_object(object))
                    .unwrap_or(0);
                let (missing, refused) =
                    (engine.closure.missing.len(), engine.closure.refused.len());
                let answer = engine.ask(walking, &asked(walking, opening.name, caller));
                if opening.optional && answer.is_none() {
                    engine.closure.missing.truncate(missing);
                    engine.closure.refused.truncate(refused);
                }
                answer
            };
            self.open_in(context, opening.origin.clone(), ask);
        }
        Ok(())
    }

    /// What the notes of all programs' own objects name.
    pub(super) fn follow_notes(&mut self) {
        if self.options.dlopen == DlopenPolicy::none() {
            return;
        }
        for context in 0..self.closure.programs.len() {
            let program = &self.closure.programs[context];
            if program.context.is_some() {
                continue;
            }
            self.request = program.request;
            let callers: Vec<(usize, usize)> =
                program.loads.iter().map(|load| load.object).enumerate().collect();
            for (caller, object) in callers {
                for feature in self.closure.objects[object].object.dlopen.clone() {
                    self.see(&feature);
                    if !self.options.dlopen.follows(&feature) {
                        continue;
                    }
                    let origin = Origin::Note {
                        by: self.closure.objects[object].path.clone(),
                        feature: feature.feature.clone(),
                        priority: feature.priority,
                    };
                    self.open_in(context, origin, |engine, walking| {
                        engine.feature(walking, caller, &feature)
                    });
                }
            }
        }
        let named = self.options.dlopen.on.union(&self.options.dlopen.off);
        let unseen: Vec<String> =
            named.filter(|name| !self.features.contains(*name)).cloned().collect();
        for name in unseen {
            self.warn(Warning::NoSuchFeature { name });
        }
    }

    /// Opens something in the scope of a program, with all that it loads, and leaves the scope as it was.
    fn open_in(
        &mut self,
        context: usize,
        origin: Origin,
        mut ask: impl FnMut(&mut Self, &mut Walking) -> Option<(usize, bool)>,
    ) {
        let Some(loaded) = self.scopes[context].take() else { return };
        let rules = self.rules_for_modules(&loaded);
        let program = self.closure.programs[context].path.clone();
        let (libc, folders) = (rules.facts.libc, rules.facts.folders.clone());
        let mut walking = Walking {
            rules,
            scope: loaded.scope,
            program: program.clone(),
            queue: VecDeque::new(),
        };
        let mark = walking.scope.mark();
        let first = walking.scope.len();
        let (missing, refused) = (self.closure.missing.len(), self.closure.refused.len());
        let mut answer = ask(self, &mut walking);
        self.walk_opened(&mut walking, answer);
        let companions = self.companions(&walking, missing);
        if !companions.is_empty() {
            walking.scope.forget(mark);
            self.closure.missing.truncate(missing);
            self.closure.refused.truncate(refused);
            for name in &companions {
                let question = asked(&walking, name, 0);
                let opened = self.ask(&mut walking, &question);
                self.walk_opened(&mut walking, opened);
            }
            answer = ask(self, &mut walking);
            self.walk_opened(&mut walking, answer);
        }
        self.notes_of_opened(&mut walking, first);
        let object = answer.map(|(number, _)| walking.scope.load(number).object);
        let path = object.map_or(program, |object| self.closure.objects[object].path.clone());
        self.explain_loads(&walking, first);
        let loads = walking.scope.forget(mark);
        self.scopes[context] = Some(Loaded { rules: loaded.rules, scope: walking.scope });
        self.closure.programs.push(Program {
            path,
            origin,
            request: self.request,
            libc,
            processor: self.closure.programs[context].processor,
            system_folders: folders,
            context: Some(context),
            loads,
            first,
        });
        self.scopes.push(None);
    }

    fn walk_opened(&mut self, walking: &mut Walking, answer: Option<(usize, bool)>) {
        if let Some((number, false)) = answer {
            walking.queue.push_back(number);
            self.walk(walking);
        }
    }

    /// The notes of everything from load `number` on, what they bring included.
    fn notes_of_opened(&mut self, walking: &mut Walking, mut number: usize) {
        while number < walking.scope.len() {
            for feature in walking.scope.object(number).dlopen.clone() {
                self.see(&feature);
                if !self.options.dlopen.follows(&feature) {
                    continue;
                }
                if let Some((new, false)) = self.feature(walking, number, &feature) {
                    walking.queue.push_back(new);
                    self.walk(walking);
                }
            }
            number += 1;
        }
    }

    /// The first of a feature's alternatives that can be opened.
    fn feature(
        &mut self,
        walking: &mut Walking,
        caller: usize,
        feature: &DlopenFeature,
    ) -> Option<(usize, bool)> {
        let (missing, refused) = (self.closure.missing.len(), self.closure.refused.len());
        for name in &feature.sonames {
            if let Some(answer) = self.ask(walking, &asked(walking, name, caller)) {
                self.closure.missing.truncate(missing);
                self.closure.refused.truncate(refused);
                return Some(answer);
            }
        }
        // All alternatives are one thing that is missing: the best, which was tried in all these places.
        let mut alternatives = self.closure.missing.drain(missing..);
        let first = alternatives.next();
        let others: Vec<_> = alternatives.flat_map(|missing| missing.tried).collect();
        let by = self.closure.objects[walking.scope.load(caller).object].path.clone();
        if self.options.dlopen.insists(feature) {
            if self.closure.refused.len() == refused
                && let Some(mut missing) = first
            {
                missing.tried.extend(others);
                self.closure.missing.push(missing);
            }
            return None;
        }
        self.closure.refused.truncate(refused);
        if feature.priority == Priority::Recommended {
            let (feature, names) = (feature.feature.clone(), feature.sonames.clone());
            self.warn(Warning::FeatureAbsent { by, feature, names });
        }
        None
    }

    fn see(&mut self, feature: &DlopenFeature) {
        if !self.features.contains(&feature.feature) {
            self.features.insert(feature.feature.clone());
        }
    }

    /// Numbers of the scopes of a program: one for each processor.
    fn contexts(&self, program: &ImagePath) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        for (number, other) in self.closure.programs.iter().enumerate() {
            let known = |&at: &usize| self.closure.programs[at].processor == other.processor;
            if other.context.is_none() && other.path == *program && !found.iter().any(known) {
                found.push(number);
            }
        }
        found
    }

    /// A static program that opens libraries all the same (NSS in a static glibc) uses the loader that
    /// is usual for it.
    fn rules_for_modules(&mut self, loaded: &Loaded) -> Rc<Rules> {
        if loaded.rules.facts.libc != Libc::Static {
            return Rc::clone(&loaded.rules);
        }
        let program = loaded.scope.object(0).clone();
        let facts = self.facts.usual(&mut self.files, Libc::Glibc, &program, &mut self.closure);
        self.intern(Rules { facts, path_file: None, ..Rules::clone(&loaded.rules) })
    }
}

/// musl does not ask who calls: whatever is opened counts as needed by the program.
fn asked<'n>(walking: &Walking, name: &'n Name, caller: usize) -> Ask<'n> {
    let musl = walking.rules.facts.libc == Libc::Musl;
    Ask {
        name: name.as_bytes(),
        relation: Relation::Module,
        requester: Some(if musl { 0 } else { caller }),
        loader: musl.then_some(0),
    }
}
