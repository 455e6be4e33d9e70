//! Breadth first through what a program loads, and what its names mean on the way.
//!
//! What an object names as auxiliary or filter is walked before whatever else waits (glibc
//! `elf/dl-deps.c`).

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use common::tree::ImagePath;

use super::probe::{Candidate, loadable};
use super::scope::Scope;
use super::search::{Hit, Outcome, Rules, Search};
use super::state::{Engine, Known};
use super::{Attempt, Dependency, How, Libc, Load, Missing, Reason, Refused, Relation};
use crate::elf::{ElfError, Name, has_token};

/// A walk under way.
pub(super) struct Walking {
    pub(super) rules: Rc<Rules>,
    pub(super) scope: Scope,
    /// Path of the program, for reports.
    pub(super) program: ImagePath,
    pub(super) queue: VecDeque<usize>,
}

/// Something that is asked for.
pub(super) struct Ask<'n> {
    pub(super) name: &'n [u8],
    pub(super) relation: Relation,
    /// Whose search paths apply.
    pub(super) requester: Option<usize>,
    /// Who counts as the loader of what is found.
    pub(super) loader: Option<usize>,
}

impl<'a> Engine<'a> {
    pub(super) fn walk(&mut self, walking: &mut Walking) {
        while let Some(number) = walking.queue.pop_front() {
            let object = walking.scope.object(number);
            let filters = walking.rules.facts.libc == Libc::Glibc;
            let mut wanted: Vec<(Name, Relation)> =
                object.needed.iter().map(|name| (name.clone(), Relation::Needed)).collect();
            if filters {
                wanted.extend(object.auxiliary.iter().map(|n| (n.clone(), Relation::Auxiliary)));
                wanted.extend(object.filter.iter().map(|n| (n.clone(), Relation::Filter)));
            }
            let mut first = Vec::new();
            for (name, relation) in wanted {
                let answer = self.dependency(walking, number, &name, relation);
                walking.record(number, name, relation, answer);
                match (answer, relation) {
                    (Some((new, false)), Relation::Needed) => walking.queue.push_back(new),
                    (Some((new, false)), _) => first.push(new),
                    _ => {}
                }
            }
            for new in first.into_iter().rev() {
                walking.queue.push_front(new);
            }
        }
    }

    /// One name that the object of load `number` asks for.
    fn dependency(
        &mut self,
        walking: &mut Walking,
        number: usize,
        name: &Name,
        relation: Relation,
    ) -> Option<(usize, bool)> {
        let requester = Some(number);
        if !has_token(name.as_bytes()) {
            let name = name.as_bytes();
            return self.ask(walking, &Ask { name, relation, requester, loader: requester });
        }
        let expanded = self.search(walking, &mut Vec::new()).expand_name(name.as_bytes(), number);
        let Some(expanded) = expanded else {
            let attempt = Attempt { path: name.clone(), how: How::Path, reason: Reason::Token };
            self.missing(walking, name.as_bytes(), relation, Some(number), vec![attempt]);
            return None;
        };
        self.ask(walking, &Ask { name: &expanded, relation, requester, loader: requester })
    }

    /// The load that answers, and whether it was there before.
    pub(super) fn ask(&mut self, walking: &mut Walking, ask: &Ask<'_>) -> Option<(usize, bool)> {
        if let Some(number) = walking.known(ask.name) {
            return Some((number, true));
        }
        let (outcome, mut tried) = self.find(walking, ask);
        tried.truncate(self.untold);
        self.untold -= tried.len();
        match outcome {
            Outcome::Found(hit) => {
                let Hit { candidate, opened, how, variant } = &*hit;
                if let Some(number) = walking.scope.by_file(candidate.id) {
                    walking.also_known_as(number, ask.name);
                    return Some((number, true));
                }
                if walking.rules.facts.libc != Libc::Musl
                    && let Err(error) = loadable(&candidate.object)
                {
                    self.refused(walking, ask, opened.clone(), &error);
                    return None;
                }
                let name = Name::from(ask.name);
                let (opened, how) = (opened.clone(), how.clone());
                let mut load = self.load(candidate, name, opened, ask.relation, ask.requester, how);
                (load.tried, load.variant) = (tried, variant.clone());
                Some((walking.push(load, candidate, ask.loader), false))
            }
            Outcome::Refused { path, error } => {
                self.refused(walking, ask, path, &error);
                None
            }
            Outcome::Nothing => {
                self.missing(walking, ask.name, ask.relation, ask.requester, tried);
                None
            }
        }
    }

    /// Searches, unless the same was found before: where no object's own lists are part of it, only rules
    /// and the name decide.
    fn find(&mut self, walking: &Walking, ask: &Ask<'_>) -> (Outcome, Vec<Attempt>) {
        let rules = &walking.rules;
        let tokens = rules.library_path.as_ref().is_some_and(|list| has_token(list.as_bytes()));
        let plain = walking.scope.is_plain() && !tokens && !ask.name.contains(&b'/');
        let rules = self.number_of_rules(rules);
        let known = self.found.get(&rules).and_then(|found| found.get(ask.name));
        if let (true, Some(known)) = (plain, known) {
            return (Outcome::Found(Rc::clone(&known.hit)), known.tried.clone());
        }
        let mut tried = Vec::new();
        let outcome = self.search(walking, &mut tried).find(ask.name, ask.requester);
        if let (true, Outcome::Found(hit)) = (plain, &outcome) {
            let known = Known { hit: Rc::clone(hit), tried: tried.clone() };
            self.found.entry(rules).or_default().insert(ask.name.into(), known);
        }
        (outcome, tried)
    }

    pub(super) fn search<'b>(
        &'b mut self,
        walking: &'b Walking,
        tried: &'b mut Vec<Attempt>,
    ) -> Search<'b, 'a> {
        let cache = match walking.rules.facts.libc {
            Libc::Musl => None,
            Libc::Glibc | Libc::Static => {
                self.facts.cache(&self.files, &walking.rules, &mut self.closure)
            }
        };
        Search {
            files: &mut self.files,
            scope: &walking.scope,
            rules: &walking.rules,
            cache,
            tried,
            warnings: &mut self.closure.warnings,
            noted: None,
        }
    }

    fn missing(
        &mut self,
        walking: &Walking,
        name: &[u8],
        relation: Relation,
        requester: Option<usize>,
        tried: Vec<Attempt>,
    ) {
        // What may be missing is missed by nobody.
        if relation == Relation::Auxiliary {
            return;
        }
        let clue = self.clue(&walking.rules, name, relation);
        self.closure.missing.push(Missing {
            name: name.into(),
            needed_by: requester.map(|load| self.real_path(walking, load)),
            relation,
            program: walking.program.clone(),
            request: self.request,
            tried,
            clue,
        });
    }

    fn refused(&mut self, walking: &Walking, ask: &Ask<'_>, path: Name, error: &ElfError) {
        self.closure.refused.push(Refused {
            name: ask.name.into(),
            path,
            needed_by: ask.requester.map(|load| self.real_path(walking, load)),
            program: walking.program.clone(),
            request: self.request,
            why: error.to_string(),
        });
    }

    fn real_path(&self, walking: &Walking, load: usize) -> ImagePath {
        self.closure.objects[walking.scope.load(load).object].path.clone()
    }
}

impl Walking {
    pub(super) fn push(
        &mut self,
        load: Load,
        candidate: &Candidate,
        loader: Option<usize>,
    ) -> usize {
        let opened = load.opened.as_bytes();
        let slash = opened.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let origin = if slash == 0 { b"/".to_vec() } else { opened[..slash].to_vec() };
        let object = Arc::clone(&candidate.object);
        self.scope.push(load, object, candidate.id, loader, self.rules.facts.libc, origin)
    }

    /// A load that answers to `name` without any search.
    fn known(&self, name: &[u8]) -> Option<usize> {
        if self.rules.facts.libc != Libc::Musl {
            return self.scope.by_name(name);
        }
        let loader = (0..self.scope.len())
            .find(|&number| self.scope.load(number).relation == Relation::Interpreter);
        if is_musl_itself(name) && loader.is_some() {
            return loader;
        }
        (!name.contains(&b'/')).then(|| self.scope.by_name(name)).flatten()
    }

    fn also_known_as(&mut self, number: usize, name: &[u8]) {
        // musl gives a short name only to what has none yet.
        let named = !self.scope.load(number).name.has_slash();
        if self.rules.facts.libc != Libc::Musl || (!named && !name.contains(&b'/')) {
            self.scope.add_name(&Name::from(name), number);
        }
    }

    pub(super) fn record(
        &mut self,
        number: usize,
        name: Name,
        relation: Relation,
        answer: Option<(usize, bool)>,
    ) {
        self.scope.load_mut(number).dependencies.push(Dependency {
            name,
            relation,
            load: answer.map(|(load, _)| load),
            already: answer.is_some_and(|(_, already)| already),
        });
    }
}

/// Names that musl's loader keeps for itself (`ldso/dynlink.c`, `load_library`).
fn is_musl_itself(name: &[u8]) -> bool {
    const RESERVED: [&[u8]; 7] = [b"c", b"pthread", b"rt", b"m", b"dl", b"util", b"xnet"];
    name.strip_prefix(b"lib").is_some_and(|rest| {
        rest.iter()
            .position(|&byte| byte == b'.')
            .is_some_and(|dot| RESERVED.contains(&&rest[..dot]))
    })
}
