//! The graph of who needs whom: entries with their reasons, made from the scopes of a closure.

use std::collections::BTreeMap;
use std::io::Read as _;

use common::tree::ImagePath;

use super::{Answer, Asked, Kind, Step, Why};
use crate::elf::Name;
use crate::plan::chains::{Chains, Leads, Total, chains};
use crate::resolve::shebang::{HEAD, shebang};
use crate::resolve::{Origin, Program, Relation, Sysroot};

struct Entry {
    path: String,
    kind: Kind,
    target: Option<Name>,
    reasons: Vec<(Why, Leads)>,
}

/// Objects first, with the numbers that the closure gives them; then scripts, then the rest.
pub(super) struct Graph {
    entries: Vec<Entry>,
    scripts: BTreeMap<ImagePath, usize>,
    missing: BTreeMap<Name, usize>,
    configuration: BTreeMap<ImagePath, usize>,
}

impl Graph {
    pub(super) fn new(asked: &Asked<'_>) -> Self {
        let closure = asked.closure;
        let mut graph = Self {
            entries: Vec::new(),
            scripts: BTreeMap::new(),
            missing: BTreeMap::new(),
            configuration: BTreeMap::new(),
        };
        for found in &closure.objects {
            graph.add(found.path.to_string(), Kind::Object);
        }
        for script in &closure.scripts {
            let entry = graph.add(script.to_string(), Kind::Script);
            graph.scripts.insert(script.clone(), entry);
        }
        for file in &closure.configuration {
            let entry = graph.add(file.to_string(), Kind::Configuration);
            graph.reason(entry, Why::LoaderConfiguration, Leads::Ends);
            graph.configuration.insert(file.clone(), entry);
        }
        for program in &closure.programs {
            graph.program(asked, program);
        }
        graph.scripts(asked);
        for entry in &mut graph.entries {
            entry.reasons.sort_by(|one, other| one.0.cmp(&other.0));
            entry.reasons.dedup_by(|one, other| one.0 == other.0);
        }
        graph
    }

    fn add(&mut self, path: String, kind: Kind) -> usize {
        self.entries.push(Entry { path, kind, target: None, reasons: Vec::new() });
        self.entries.len() - 1
    }

    fn reason(&mut self, entry: usize, why: Why, leads: Leads) {
        if let Some(entry) = self.entries.get_mut(entry) {
            entry.reasons.push((why, leads));
        }
    }

    /// Reasons of all that stands in one scope.
    fn program(&mut self, asked: &Asked<'_>, program: &Program) {
        // A module's numbers go on where those of its program end.
        let base = program.context.and_then(|at| asked.closure.programs.get(at));
        let load = |number: usize| match number.checked_sub(program.first) {
            Some(own) => program.loads.get(own),
            None => base.and_then(|base| base.loads.get(number)),
        };
        for (number, loaded) in program.loads.iter().enumerate() {
            let by = self.entries[loaded.object].path.clone();
            for dependency in &loaded.dependencies {
                let answer = dependency.load.and_then(load);
                let entry = match answer {
                    Some(answer) => answer.object,
                    None => self.missing(&dependency.name),
                };
                let why = Why::Loaded {
                    by: by.clone(),
                    name: dependency.name.clone(),
                    relation: dependency.relation.word(),
                    how: answer.filter(|_| !dependency.already).map(|load| load.how.to_string()),
                    already: dependency.already,
                };
                self.reason(entry, why, Leads::To(loaded.object));
            }
            let outside = match loaded.relation {
                Relation::Program => self.origin(asked, program),
                Relation::Module if number == 0 => self.origin(asked, program),
                Relation::Preload => (Why::LoaderConfiguration, Leads::Ends),
                Relation::Interpreter | Relation::Module => {
                    let Some(by) = loaded.by.and_then(load) else { continue };
                    let why = Why::Loaded {
                        by: self.entries[by.object].path.clone(),
                        name: loaded.name.clone(),
                        relation: loaded.relation.word(),
                        how: Some(loaded.how.to_string()),
                        already: false,
                    };
                    (why, Leads::To(by.object))
                }
                _ => continue,
            };
            self.reason(loaded.object, outside.0, outside.1);
        }
    }

    fn missing(&mut self, name: &Name) -> usize {
        if let Some(&entry) = self.missing.get(name) {
            return entry;
        }
        let entry = self.add(name.to_string(), Kind::Missing);
        self.missing.insert(name.clone(), entry);
        entry
    }

    fn origin(&self, asked: &Asked<'_>, program: &Program) -> (Why, Leads) {
        match &program.origin {
            Origin::Request { .. } => (Why::Asked, Leads::Ends),
            Origin::Shebang { script } | Origin::Env { script } => {
                let real = real(asked.sysroot, script.as_bytes());
                let entry = real.and_then(|real| self.scripts.get(&real));
                let leads = entry.map_or(Leads::Nowhere, |&entry| Leads::To(entry));
                (Why::Script { by: script.to_string() }, leads)
            }
            Origin::Note { by, feature, priority } => {
                let object = asked.closure.objects.iter().position(|found| found.path == *by);
                let name = program.loads.first().map(|load| load.name.clone()).unwrap_or_default();
                let (by, feature) = (by.to_string(), feature.clone());
                let why = Why::Opened { by, name, feature, priority: *priority };
                (why, object.map_or(Leads::Nowhere, Leads::To))
            }
        }
    }

    /// Scripts are named, or interpret other scripts.
    fn scripts(&mut self, asked: &Asked<'_>) {
        for program in asked.programs {
            let real = real(asked.sysroot, program.as_bytes());
            if let Some(&entry) = real.and_then(|real| self.scripts.get(&real)) {
                self.reason(entry, Why::Asked, Leads::Ends);
            }
        }
        for (script, from) in self.scripts.clone() {
            let mut head = Vec::new();
            let read = asked
                .sysroot
                .open_file(&script)
                .and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
            let Some(line) = read.ok().and_then(|_| shebang(&head)) else { continue };
            let interpreter = real(asked.sysroot, &line.interpreter);
            if let Some(&entry) = interpreter.and_then(|real| self.scripts.get(&real)) {
                self.reason(entry, Why::Script { by: script.to_string() }, Leads::To(from));
            }
        }
    }

    /// What stands at a path.
    pub(super) fn at(&mut self, asked: &Asked<'_>, what: &Name) -> Vec<usize> {
        let closure = asked.closure;
        if let Ok(named) = asked.sysroot.locate(what.as_bytes(), b"") {
            if let Some(link) = closure.links.get(&named) {
                let entry = self.add(named.to_string(), Kind::Link);
                self.entries[entry].target = Some(link.target.clone());
                self.ways(asked, &named, entry);
                return vec![entry];
            }
            let object = closure.objects.iter().position(|found| found.path == named);
            let others = self.scripts.get(&named).or_else(|| self.configuration.get(&named));
            if let Some(entry) = object.or(others.copied()) {
                return vec![entry];
            }
        }
        self.missing.get(what).copied().into_iter().collect()
    }

    /// A link is there for everything that is opened by way of it.
    fn ways(&mut self, asked: &Asked<'_>, link: &ImagePath, entry: usize) {
        let loads = asked.closure.programs.iter().flat_map(|program| &program.loads);
        let objects = loads.flat_map(|load| {
            [&load.opened, &load.name].map(|path| (path.clone(), Leads::To(load.object)))
        });
        let scripts = self
            .scripts
            .iter()
            .map(|(path, &entry)| (Name::from(path.as_bytes()), Leads::To(entry)));
        let named = asked.programs.iter().map(|path| (Name::from(path.as_bytes()), Leads::Ends));
        let ways: Vec<(Name, Leads)> = objects.chain(scripts).chain(named).collect();
        for (to, leads) in ways {
            let through = to.has_slash()
                && asked
                    .sysroot
                    .walk(to.as_bytes())
                    .is_ok_and(|walk| walk.links.iter().any(|at| at.path == *link));
            if through {
                let itself = leads == Leads::Ends && to.as_bytes() == link.as_bytes();
                let why = if itself { Why::Asked } else { Why::OnTheWay { to } };
                self.reason(entry, why, leads);
            }
        }
        let reasons = &mut self.entries[entry].reasons;
        reasons.sort_by(|one, other| one.0.cmp(&other.0));
        reasons.dedup_by(|one, other| one.0 == other.0);
    }

    /// What a name without a slash means.
    pub(super) fn called(&self, asked: &Asked<'_>, what: &Name) -> Vec<usize> {
        let wanted = |name: &Name| name == what;
        let is_base =
            |path: &[u8]| path.rsplit(|&byte| byte == b'/').next() == Some(what.as_bytes());
        let mut found: Vec<usize> = Vec::new();
        for (number, object) in asked.closure.objects.iter().enumerate() {
            let asked_for = self.entries[number].reasons.iter().any(|(why, _)| {
                matches!(why, Why::Loaded { name, .. } if wanted(name) || is_base(name.as_bytes()))
            });
            let soname = object.object.soname.as_ref().is_some_and(wanted);
            if asked_for || soname || is_base(object.path.as_bytes()) {
                found.push(number);
            }
        }
        found.extend(
            self.scripts
                .iter()
                .filter(|(path, _)| is_base(path.as_bytes()))
                .map(|(_, &entry)| entry),
        );
        found.extend(self.missing.get(what));
        found
    }

    pub(super) fn answer(&self, entry: usize, limit: usize) -> Answer {
        let reasons: Vec<Vec<Leads>> = self
            .entries
            .iter()
            .map(|entry| entry.reasons.iter().map(|(_, leads)| *leads).collect())
            .collect();
        let Chains { shortest, total } = chains(&reasons, entry, limit);
        let step = |(entry, reason): (usize, usize)| {
            let Entry { path, reasons, .. } = &self.entries[entry];
            Step { path: path.clone(), why: reasons[reason].0.clone() }
        };
        let (total, exact) = match total {
            Total::Exactly(number) => (number, true),
            Total::AtLeast(number) => (number, false),
        };
        let Entry { path, kind, target, .. } = &self.entries[entry];
        Answer {
            path: path.clone(),
            kind: *kind,
            target: target.clone(),
            chains: shortest
                .into_iter()
                .map(|chain| chain.into_iter().map(step).collect())
                .collect(),
            total,
            exact,
        }
    }
}

fn real(sysroot: &Sysroot, path: &[u8]) -> Option<ImagePath> {
    sysroot.walk(path).ok().map(|walk| walk.real)
}
