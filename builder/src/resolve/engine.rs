//! The walk: requests to scopes, scopes to loads, breadth first.
//!
//! A program's preloads come behind it and before its dependencies; what an object names as
//! auxiliary or filter is walked before whatever else waits (glibc `elf/dl-deps.c`).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use common::tree::ImagePath;

use super::probe::{Candidate, Files, Opened, loadable};
use super::root_facts::RootFacts;
use super::scope::Scope;
use super::search::{Outcome, Rules, Search};
use super::sysroot::{FileId, Sysroot, Walk};
use super::{
    Attempt, Closure, Dependency, Found, How, Libc, Link, Load, Missing, Options, Origin, Program,
    Reason, Refused, Relation, Request, ResolveError, Warning,
};
use crate::elf::{ElfError, Name, Object};

/// The state of one call of [`super::closure`].
pub(super) struct Engine<'a> {
    pub(super) files: Files<'a>,
    pub(super) options: &'a Options,
    pub(super) closure: Closure,
    pub(super) facts: RootFacts,
    /// Numbers of the objects that were taken.
    objects: HashMap<FileId, usize>,
    /// By number of the program; modules leave none.
    scopes: Vec<Option<Loaded>>,
}

/// A program whose closure is done, kept for its modules.
struct Loaded {
    rules: Rc<Rules>,
    scope: Scope,
}

/// A walk under way.
struct Walking {
    rules: Rc<Rules>,
    scope: Scope,
    /// Path of the program, for reports.
    program: ImagePath,
    queue: VecDeque<usize>,
}

/// Something that is asked for.
struct Ask<'n> {
    name: &'n [u8],
    relation: Relation,
    /// Whose search paths apply.
    requester: Option<usize>,
    /// Who counts as the loader of what is found.
    loader: Option<usize>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(sysroot: &'a Sysroot, options: &'a Options) -> Self {
        Self {
            files: Files::new(sysroot),
            options,
            closure: Closure::default(),
            facts: RootFacts::default(),
            objects: HashMap::new(),
            scopes: Vec::new(),
        }
    }

    pub(super) fn run(mut self, requests: &[Request]) -> Result<Closure, ResolveError> {
        for (index, request) in requests.iter().enumerate() {
            let origin = Origin::Request { index };
            match request {
                Request::Program(path) => self.program(path, origin, 0)?,
                Request::Module { path, program } => {
                    let name = Name::from(path.as_bytes());
                    self.module(&name, program, None, false, origin)?;
                }
                Request::Library { name, program, caller, optional } => {
                    self.module(name, program, caller.as_ref(), *optional, origin)?;
                }
            }
        }
        let mut seen = BTreeSet::new();
        self.closure.missing.retain(|m| seen.insert((m.name.clone(), m.needed_by.clone())));
        let mut seen = BTreeSet::new();
        self.closure.refused.retain(|r| seen.insert((r.path.clone(), r.needed_by.clone())));
        for paths in
            [&mut self.closure.scripts, &mut self.closure.folders, &mut self.closure.configuration]
        {
            paths.sort();
            paths.dedup();
        }
        Ok(self.closure)
    }

    /// A file that is executed.
    pub(super) fn program(
        &mut self,
        path: &ImagePath,
        origin: Origin,
        depth: usize,
    ) -> Result<(), ResolveError> {
        match self.files.open(path.as_bytes()) {
            Opened::Object(candidate) => {
                self.elf_program(path, &candidate, origin);
                Ok(())
            }
            Opened::Passed(reason) => {
                Err(ResolveError::Unopened { path: path.as_bytes().into(), reason })
            }
            Opened::Refused(error) if matches!(*error, ElfError::NotElf) => {
                self.script(path, error, depth)
            }
            Opened::Refused(source) => Err(ResolveError::Object { path: path.clone(), source }),
        }
    }

    fn elf_program(&mut self, path: &ImagePath, candidate: &Candidate, origin: Origin) {
        let object = Rc::clone(&candidate.object);
        let loader = self.loader_of(path, &object);
        let rules = Rc::new(self.rules(candidate, loader.as_ref().map(|(_, found)| found)));
        let libc = rules.facts.libc;
        let mut walking = Walking {
            rules,
            scope: Scope::default(),
            program: path.clone(),
            queue: VecDeque::new(),
        };
        let opened = Name::from(candidate.walk.real.as_bytes());
        let name = Name::from(path.as_bytes());
        let load = self.load(candidate, name, opened, Relation::Program, None, How::Path);
        let program = walking.push(load, candidate, None);
        walking.queue.push_back(program);
        if let Some((name, found)) = loader {
            let load =
                self.load(&found, name.clone(), name, Relation::Interpreter, Some(0), How::Path);
            walking.push(load, &found, None);
        }
        if libc != Libc::Static {
            self.preloads(&mut walking);
            self.walk(&mut walking);
            self.audits(&mut walking, &object);
        }
        self.closure.programs.push(Program {
            path: path.clone(),
            origin,
            libc,
            system_folders: walking.rules.facts.folders.clone(),
            context: None,
            loads: walking.scope.loads(),
            first: 0,
        });
        self.scopes.push(Some(Loaded { rules: walking.rules, scope: walking.scope }));
    }

    /// An object that a program opens at run time, by path or by name.
    fn module(
        &mut self,
        name: &Name,
        program: &ImagePath,
        caller: Option<&ImagePath>,
        optional: bool,
        origin: Origin,
    ) -> Result<(), ResolveError> {
        let of = |p: &Program| p.context.is_none() && p.path == *program;
        let Some(context) = self.closure.programs.iter().position(of) else {
            return Err(ResolveError::NoProgram { module: name.clone(), program: program.clone() });
        };
        let Some(loaded) = self.scopes[context].take() else {
            return Err(ResolveError::NoProgram { module: name.clone(), program: program.clone() });
        };
        let rules = self.rules_for_modules(&loaded);
        let mut walking = Walking {
            rules,
            scope: loaded.scope,
            program: program.clone(),
            queue: VecDeque::new(),
        };
        let mark = walking.scope.mark();
        let first = walking.scope.len();
        let caller = caller
            .and_then(|path| self.closure.objects.iter().position(|found| found.path == *path))
            .and_then(|object| walking.scope.by_object(object))
            .unwrap_or(0);
        let (missing, refused) = (self.closure.missing.len(), self.closure.refused.len());
        let ask = Ask {
            name: name.as_bytes(),
            relation: Relation::Module,
            requester: Some(caller),
            loader: None,
        };
        let answer = self.ask(&mut walking, &ask);
        if optional && answer.is_none() {
            self.closure.missing.truncate(missing);
            self.closure.refused.truncate(refused);
        }
        if let Some((number, false)) = answer {
            walking.queue.push_back(number);
            self.walk(&mut walking);
        }
        let path = answer.map(|(number, _)| walking.scope.load(number).object);
        let path = path.map_or_else(|| program.clone(), |at| self.closure.objects[at].path.clone());
        let libc = walking.rules.facts.libc;
        let loads = walking.scope.forget(mark);
        self.scopes[context] = Some(Loaded { rules: loaded.rules, scope: walking.scope });
        self.closure.programs.push(Program {
            path,
            origin,
            libc,
            system_folders: walking.rules.facts.folders.clone(),
            context: Some(context),
            loads,
            first,
        });
        self.scopes.push(None);
        Ok(())
    }

    /// A static program that opens libraries all the same (NSS in a static glibc) uses the loader that
    /// is usual for it.
    fn rules_for_modules(&mut self, loaded: &Loaded) -> Rc<Rules> {
        if loaded.rules.facts.libc != Libc::Static {
            return Rc::clone(&loaded.rules);
        }
        let program = loaded.scope.object(0).clone();
        let facts = self.facts.usual(&mut self.files, Libc::Glibc, &program, &mut self.closure);
        Rc::new(Rules {
            facts,
            wanted: loaded.rules.wanted,
            cache_id: loaded.rules.cache_id,
            secure: loaded.rules.secure,
            library_path: loaded.rules.library_path.clone(),
            path_file: None,
        })
    }

    fn preloads(&mut self, walking: &mut Walking) {
        let glibc = walking.rules.facts.libc == Libc::Glibc;
        let given: &[Name] = if walking.rules.secure { &[] } else { &self.options.preload };
        let requester = glibc.then_some(0);
        for name in given {
            let ask = Ask {
                name: name.as_bytes(),
                relation: Relation::Preload,
                requester,
                loader: requester,
            };
            if let Some((number, false)) = self.ask(walking, &ask) {
                walking.queue.push_back(number);
            }
        }
        if !glibc {
            return;
        }
        for name in self.facts.preload_file(&self.files, &mut self.closure) {
            let missing = self.closure.missing.len();
            let ask = Ask {
                name: name.as_bytes(),
                relation: Relation::Preload,
                requester,
                loader: requester,
            };
            match self.ask(walking, &ask) {
                Some((number, false)) => walking.queue.push_back(number),
                Some(_) => {}
                None => {
                    self.closure.missing.truncate(missing);
                    self.warn(Warning::PreloadIgnored { name });
                }
            }
        }
    }

    /// Auditors of a program come from a list with colons; they are loaded beside it.
    fn audits(&mut self, walking: &mut Walking, program: &Object) {
        if walking.rules.facts.libc != Libc::Glibc {
            return;
        }
        let lists = [program.audit.clone(), program.depaudit.clone()];
        for list in lists.into_iter().flatten() {
            for name in list.as_bytes().split(|&byte| byte == b':').filter(|name| !name.is_empty())
            {
                let relation = Relation::Audit;
                let ask = Ask { name, relation, requester: Some(0), loader: None };
                let answer = self.ask(walking, &ask);
                walking.record(0, name, relation, answer);
                if let Some((number, false)) = answer {
                    walking.queue.push_back(number);
                    self.walk(walking);
                }
            }
        }
    }

    fn walk(&mut self, walking: &mut Walking) {
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
                walking.record(number, name.as_bytes(), relation, answer);
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
        let expanded = self.search(walking, &mut Vec::new()).expand_name(name.as_bytes(), number);
        let Some(expanded) = expanded else {
            let attempt = Attempt { path: name.clone(), how: How::Path, reason: Reason::Token };
            self.missing(walking, name.as_bytes(), relation, Some(number), vec![attempt]);
            return None;
        };
        let requester = Some(number);
        self.ask(walking, &Ask { name: &expanded, relation, requester, loader: requester })
    }

    /// The load that answers, and whether it was there before.
    fn ask(&mut self, walking: &mut Walking, ask: &Ask<'_>) -> Option<(usize, bool)> {
        if let Some(number) = walking.known(ask.name) {
            return Some((number, true));
        }
        let mut tried = Vec::new();
        let outcome = self.search(walking, &mut tried).find(ask.name, ask.requester);
        match outcome {
            Outcome::Found { candidate, opened, how } => {
                if let Some(number) = walking.scope.by_file(candidate.id) {
                    walking.also_known_as(number, ask.name);
                    return Some((number, true));
                }
                if walking.rules.facts.libc != Libc::Musl
                    && let Err(error) = loadable(&candidate.object)
                {
                    self.refused(walking, ask, opened, &error);
                    return None;
                }
                let name = Name::from(ask.name);
                let mut load =
                    self.load(&candidate, name, opened, ask.relation, ask.requester, how);
                load.tried = tried;
                Some((walking.push(load, &candidate, ask.loader), false))
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

    fn search<'b>(
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
        self.closure.missing.push(Missing {
            name: name.into(),
            needed_by: requester.map(|load| self.real_path(walking, load)),
            relation,
            program: walking.program.clone(),
            tried,
        });
    }

    fn refused(&mut self, walking: &Walking, ask: &Ask<'_>, path: Name, error: &ElfError) {
        self.closure.refused.push(Refused {
            name: ask.name.into(),
            path,
            needed_by: ask.requester.map(|load| self.real_path(walking, load)),
            program: walking.program.clone(),
            why: error.to_string(),
        });
    }

    fn real_path(&self, walking: &Walking, load: usize) -> ImagePath {
        self.closure.objects[walking.scope.load(load).object].path.clone()
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if !self.closure.warnings.contains(&warning) {
            self.closure.warnings.push(warning);
        }
    }

    /// Takes a candidate into the closure, with the links that lead to it.
    fn load(
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
                let path = candidate.walk.real.clone();
                let known = self.closure.objects.iter().position(|found| found.path == path);
                known.unwrap_or_else(|| {
                    let object = Object::clone(&candidate.object);
                    self.closure.objects.push(Found { path, object });
                    self.closure.objects.len() - 1
                })
            }
        };
        self.objects.entry(candidate.id).or_insert(object);
        Load { object, name, opened, relation, by, how, tried: vec![], dependencies: vec![] }
    }

    pub(super) fn note_walk(&mut self, walk: &Walk) {
        for (path, target) in &walk.links {
            if !self.closure.links.contains_key(path) {
                self.closure.links.insert(path.clone(), Link { target: target.clone() });
            }
        }
        self.closure.folders.extend(walk.folders.iter().cloned());
    }
}

impl Walking {
    fn push(&mut self, load: Load, candidate: &Candidate, loader: Option<usize>) -> usize {
        let opened = load.opened.as_bytes();
        let slash = opened.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let origin = if slash == 0 { b"/".to_vec() } else { opened[..slash].to_vec() };
        let object = Rc::clone(&candidate.object);
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

    fn record(
        &mut self,
        number: usize,
        name: &[u8],
        relation: Relation,
        answer: Option<(usize, bool)>,
    ) {
        self.scope.load_mut(number).dependencies.push(Dependency {
            name: name.into(),
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
