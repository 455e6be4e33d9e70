//! Requests to scopes: what each starts with, and whose rules hold in it.
//!
//! A program's preloads come behind it and before its dependencies. What it opens at run time is
//! `dlopen.rs`'s.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use common::tree::ImagePath;

use super::companions::Companions;
use super::dlopen::Opening;
use super::hwcaps::Processor;
use super::probe::{Candidate, Opened};
use super::scope::Scope;
use super::search::Rules;
use super::state::{Engine, Kept, Loaded, Made};
use super::walk::{Ask, Walking};
use super::{How, Libc, Origin, Program, Relation, Request, ResolveError, Warning};
use crate::elf::{ElfError, Name, Object};

impl<'a> Engine<'a> {
    pub(super) fn run(mut self, requests: &[Request]) -> Result<Made<'a>, ResolveError> {
        self.companions = Companions::of(requests);
        for (index, request) in requests.iter().enumerate() {
            self.request = index;
            let origin = Origin::Request { index };
            match request {
                Request::Program(path) => self.program(path, &origin, 0)?,
                Request::Module { path, program } => {
                    let name = &Name::from(path.as_bytes());
                    self.open(program, &Opening { name, caller: None, optional: false, origin })?;
                }
                Request::Library { name, program, caller, optional } => {
                    let (caller, optional) = (caller.as_ref(), *optional);
                    self.open(program, &Opening { name, caller, optional, origin })?;
                }
            }
        }
        self.follow_notes();
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
        let Self { files, facts, closure, explanation, .. } = self;
        Ok(Made { closure, explanation, kept: Kept { files, facts } })
    }

    /// A file that is executed.
    pub(super) fn program(
        &mut self,
        path: &ImagePath,
        origin: &Origin,
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

    fn elf_program(&mut self, path: &ImagePath, candidate: &Candidate, origin: &Origin) {
        let loader = self.loader_of(path, &candidate.object);
        let rules = self.rules(candidate, loader.as_ref().map(|(_, found)| found));
        let processors = match rules.facts.libc {
            Libc::Glibc => {
                Processor::all(self.options.cpus, rules.wanted.machine, rules.facts.version)
            }
            Libc::Musl | Libc::Static => vec![Processor::default()],
        };
        for processor in processors {
            let rules = self.intern(rules.clone().on(processor));
            self.scope(path, candidate, loader.as_ref(), rules, origin.clone());
        }
    }

    /// What a program loads on one processor.
    fn scope(
        &mut self,
        path: &ImagePath,
        candidate: &Candidate,
        loader: Option<&(Name, Candidate)>,
        rules: Rc<Rules>,
        origin: Origin,
    ) {
        let (libc, processor) = (rules.facts.libc, rules.hwcaps.processor());
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
            let (name, opened) = (name.clone(), name.clone());
            let load = self.load(found, name, opened, Relation::Interpreter, Some(0), How::Path);
            walking.push(load, found, None);
        }
        if libc != Libc::Static {
            self.preloads(&mut walking);
            self.walk(&mut walking);
            self.audits(&mut walking, &candidate.object);
        }
        self.explain_loads(&walking, 0);
        self.closure.programs.push(Program {
            path: path.clone(),
            origin,
            request: self.request,
            libc,
            processor,
            system_folders: walking.rules.facts.folders.clone(),
            context: None,
            loads: walking.scope.loads(),
            first: 0,
        });
        self.scopes.push(Some(Loaded { rules: walking.rules, scope: walking.scope }));
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
            let (missing, refused) = (self.closure.missing.len(), self.closure.refused.len());
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
                    self.closure.refused.truncate(refused);
                    self.warn(Warning::PreloadIgnored { name });
                }
            }
        }
    }

    /// Auditors of a program come from a list with colons; each is loaded in a namespace of its own.
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
                let known = walking.scope.begin_namespace();
                let answer = self.ask(walking, &ask);
                walking.record(0, name.into(), relation, answer);
                if let Some((number, false)) = answer {
                    walking.queue.push_back(number);
                    self.walk(walking);
                }
                walking.scope.end_namespace(known);
            }
        }
    }
}
