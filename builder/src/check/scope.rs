//! `Scope`: which objects are asked for a symbol, in which order, and under which names they answer.
//!
//! glibc asks the program, its preloads, and what they need, breadth first; a module asks all of those
//! first, and then itself and what it needs (glibc `elf/dl-deps.c`, `l_searchlist`; `elf/dl-open.c`).
//! What an object names as auxiliary or filter is asked before itself. The loader is asked where
//! somebody needs it. Auditors live in a namespace of their own and are not looked at.

use std::collections::{BTreeSet, HashMap};

use common::tree::ImagePath;

use crate::resolve::{Closure, Libc, Load, Program, Relation};

/// One program, or one module behind its program.
pub(super) struct Scope<'c> {
    pub(super) closure: &'c Closure,
    pub(super) libc: Libc,
    /// Objects in the order in which they are asked; a module's own ones may come twice.
    pub(super) order: Vec<usize>,
    /// Objects whose symbols are to be bound, each once: in a module's scope, those that it loads.
    pub(super) bound: Vec<usize>,
    /// The first place of each object in `order`.
    places: HashMap<usize, usize>,
    /// Objects by every name that they were asked for.
    names: HashMap<&'c [u8], usize>,
    /// Names that were asked for and not found.
    pub(super) missing: BTreeSet<&'c [u8]>,
    /// The loader.
    pub(super) interpreter: Option<usize>,
}

impl<'c> Scope<'c> {
    pub(super) fn new(closure: &'c Closure, number: usize) -> Self {
        let program = &closure.programs[number];
        let base = program.context.and_then(|at| closure.programs.get(at));
        let mut scope = Self {
            closure,
            libc: program.libc,
            order: Vec::new(),
            bound: Vec::new(),
            places: HashMap::new(),
            names: HashMap::new(),
            missing: BTreeSet::new(),
            interpreter: None,
        };
        let loads = Loads { base, own: program };
        scope.learn_names(&loads);
        // A static program binds nothing; only what it opens at run time does.
        let linked = |program: &&Program| program.libc != Libc::Static || program.context.is_some();
        let chains = base.filter(linked).into_iter().chain(Some(program).filter(linked));
        for chain in chains {
            for load in loads.breadth_first(chain) {
                let place = scope.order.len();
                scope.order.push(load.object);
                scope.places.entry(load.object).or_insert(place);
            }
        }
        let own: BTreeSet<usize> = program.loads.iter().map(|load| load.object).collect();
        let mut seen = BTreeSet::new();
        let bound = scope.order.iter().copied().filter(|object| {
            own.contains(object) && Some(*object) != scope.interpreter && seen.insert(*object)
        });
        scope.bound = bound.collect();
        scope
    }

    fn learn_names(&mut self, loads: &Loads<'c>) {
        for (_, load) in loads.all() {
            if load.relation == Relation::Interpreter {
                self.interpreter = Some(load.object);
            }
            for name in [&load.name, &load.opened] {
                self.names.entry(name.as_bytes()).or_insert(load.object);
            }
        }
        for (_, load) in loads.all() {
            for dependency in &load.dependencies {
                let name = dependency.name.as_bytes();
                match dependency.load.and_then(|number| loads.get(number)) {
                    Some(found) => drop(self.names.entry(name).or_insert(found.object)),
                    None => drop(self.missing.insert(name)),
                }
            }
        }
    }

    /// Where in the order an object is asked first.
    pub(super) fn place(&self, object: usize) -> Option<usize> {
        self.places.get(&object).copied()
    }

    /// The object that answers to a name (glibc `_dl_name_match_p`).
    pub(super) fn named(&self, name: &[u8]) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn path(&self, object: usize) -> ImagePath {
        self.closure.objects[object].path.clone()
    }
}

/// The loads of a scope by their numbers.
struct Loads<'c> {
    base: Option<&'c Program>,
    own: &'c Program,
}

impl<'c> Loads<'c> {
    fn get(&self, number: usize) -> Option<&'c Load> {
        match number.checked_sub(self.own.first) {
            Some(own) => self.own.loads.get(own),
            None => self.base?.loads.get(number),
        }
    }

    fn all(&self) -> impl Iterator<Item = (usize, &'c Load)> {
        let base = self.base.map_or(&[][..], |base| &base.loads);
        base.iter().enumerate().chain((self.own.first..).zip(&self.own.loads))
    }

    /// What `program` loads, as its searchlist has it.
    fn breadth_first(&self, program: &'c Program) -> Vec<&'c Load> {
        let Some(_first) = program.loads.first() else { return Vec::new() };
        let preloads = (program.first..)
            .zip(&program.loads)
            .filter_map(|(number, load)| (load.relation == Relation::Preload).then_some(number));
        let mut list: Vec<usize> = [program.first].into_iter().chain(preloads).collect();
        let mut listed: BTreeSet<usize> = list.iter().copied().collect();
        let mut done = BTreeSet::new();
        let mut at = 0;
        while let Some(&number) = list.get(at) {
            if !done.insert(number) {
                at += 1;
                continue;
            }
            let Some(load) = self.get(number) else { continue };
            // Where the next auxiliary goes: just before the object itself.
            let mut before = at;
            for dependency in &load.dependencies {
                let Some(answer) = dependency.load else { continue };
                match dependency.relation {
                    Relation::Needed if listed.insert(answer) => list.push(answer),
                    Relation::Auxiliary | Relation::Filter => {
                        let known = list.iter().position(|&other| other == answer);
                        if known.is_some_and(|known| known <= before) {
                            continue;
                        }
                        // What is asked later is moved to here.
                        known.map(|known| list.remove(known));
                        listed.insert(answer);
                        list.insert(before, answer);
                        before += 1;
                    }
                    _ => {}
                }
            }
        }
        list.into_iter().filter_map(|number| self.get(number)).collect()
    }
}
