//! Requests to scopes: what each starts with, and whose rules hold in it.
//!
//! A program's preloads come behind it and before its dependencies. A module starts in the scope that
//! its program has left.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use common::tree::ImagePath;

use super::probe::{Candidate, Files, Opened};
use super::root_facts::RootFacts;
use super::scope::Scope;
use super::search::Rules;
use super::sysroot::{FileId, Sysroot, Walk};
use super::walk::{Ask, Walking};
use super::{
    Closure, Found, How, Libc, Link, Load, Options, Origin, Program, Relation, Request,
    ResolveError, Warning,
};
use crate::elf::{ElfError, Name, Object};

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
    /// Tried places that will still be told.
    pub(super) untold: usize,
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

impl<'a> Engine<'a> {
    pub(super) fn new(sysroot: &'a Sysroot, options: &'a Options) -> Self {
        Self {
            files: Files::new(sysroot),
            options,
            closure: Closure::default(),
            facts: RootFacts::default(),
            configured: None,
            untold: MAX_TOLD,
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
