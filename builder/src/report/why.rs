//! Why a file belongs to an executable: the chains of who needs whom, as text and as JSON.
//!
//! ```text
//! the loads of every scope -> entries (objects, scripts, links, missing names) with reasons -> plan::chains
//! ```
//! Who asks for what is loaded already needs it as much as who asked first, so both are reasons.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;

use common::tree::ImagePath;
use serde::Serialize;

use crate::elf::Name;
use crate::plan::chains::{Chains, Leads, Total, chains};
use crate::resolve::shebang::{HEAD, shebang};
use crate::resolve::{Closure, Origin, Program, Relation, Sysroot};

/// A closure and what it was asked for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// What is loaded.
    pub closure: &'a Closure,
    /// The root that it was found in.
    pub sysroot: &'a Sysroot,
    /// Programs and scripts that were named, as they were resolved.
    pub programs: &'a [ImagePath],
}

/// One file, and why it is needed.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The path with all links above it resolved; of a missing library the name.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// What it says, if it is a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Name>,
    /// Some chains, the shortest first.
    pub chains: Vec<Vec<Step>>,
    /// Number of all chains.
    pub total: u64,
    /// Whether `total` was counted to the end; else there are at least so many.
    pub exact: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An ELF object.
    Object,
    /// A script.
    Script,
    /// A file that the loader reads.
    Configuration,
    /// A symbolic link on the way to a file.
    Link,
    /// A name that no place had, or whose file cannot be loaded.
    Missing,
}

/// One step of a chain.
#[derive(Debug, Serialize)]
pub struct Step {
    /// The entry.
    pub path: String,
    /// Why it is needed.
    #[serde(flatten)]
    pub why: Why,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Why {
    /// A person named it.
    Asked,
    /// An object asks for it.
    Loaded {
        /// That object.
        by: String,
        /// The name it asks for.
        name: Name,
        /// As what.
        relation: &'static str,
        /// The rule that found it; nothing where it was loaded already, or was not found.
        #[serde(skip_serializing_if = "Option::is_none")]
        how: Option<String>,
        /// Whether it was loaded already.
        already: bool,
    },
    /// The `#!` line of a script starts it, itself or by `env`.
    Script {
        /// The script.
        by: String,
    },
    /// The loader reads it, or is told to load it first.
    LoaderConfiguration,
    /// It is a link by way of which this path is opened.
    OnTheWay {
        /// The path.
        to: Name,
    },
}

/// The files that `what` means, and at most `limit` chains for each: a path with a slash in it (made
/// absolute), else everything that is called so, was asked for by that name, or has it as its
/// soname. Empty where the executable needs nothing of that name.
pub fn why(asked: &Asked<'_>, what: &Name, limit: usize) -> Vec<Answer> {
    let mut graph = Graph::new(asked);
    let found = if what.has_slash() { graph.at(asked, what) } else { graph.called(asked, what) };
    found.into_iter().map(|entry| graph.answer(entry, limit)).collect()
}

/// Names like this one that the executable asks for, at most five: for somebody who mistyped.
pub fn similar(closure: &Closure, what: &Name) -> Vec<String> {
    let base = what.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let stem = base.split(|&byte| byte == b'.').next().unwrap_or_default();
    let loads = closure.programs.iter().flat_map(|program| &program.loads);
    let names = loads.flat_map(|load| &load.dependencies).map(|dependency| &dependency.name);
    let like = |name: &&Name| {
        stem.len() > 1 && name.as_bytes().windows(stem.len()).any(|part| part == stem)
    };
    let mut names: Vec<String> = names.filter(like).map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    names.truncate(5);
    names
}

struct Entry {
    path: String,
    kind: Kind,
    target: Option<Name>,
    reasons: Vec<(Why, Leads)>,
}

/// Objects first, with the numbers that the closure gives them; then scripts, then the rest.
struct Graph {
    entries: Vec<Entry>,
    scripts: BTreeMap<ImagePath, usize>,
    missing: BTreeMap<Name, usize>,
    configuration: BTreeMap<ImagePath, usize>,
}

impl Graph {
    fn new(asked: &Asked<'_>) -> Self {
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
        for loaded in &program.loads {
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
                Relation::Preload => (Why::LoaderConfiguration, Leads::Ends),
                Relation::Interpreter => {
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
    fn at(&mut self, asked: &Asked<'_>, what: &Name) -> Vec<usize> {
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
        let loads = asked.closure.programs.iter().flat_map(|program| {
            program
                .loads
                .iter()
                .flat_map(|load| [(&load.opened, load.object), (&load.name, load.object)])
        });
        let objects = loads.map(|(path, object)| (path.clone(), object));
        let scripts =
            self.scripts.iter().map(|(path, &entry)| (Name::from(path.as_bytes()), entry));
        let ways: Vec<(Name, usize)> = objects.chain(scripts).collect();
        let named = asked.programs.iter().map(|path| (Name::from(path.as_bytes()), usize::MAX));
        for (to, leads) in ways.into_iter().chain(named) {
            let through = to.has_slash()
                && asked
                    .sysroot
                    .walk(to.as_bytes())
                    .is_ok_and(|walk| walk.links.contains_key(link));
            if through {
                let leads = if leads == usize::MAX { Leads::Ends } else { Leads::To(leads) };
                self.reason(entry, Why::OnTheWay { to }, leads);
            }
        }
        let reasons = &mut self.entries[entry].reasons;
        reasons.sort_by(|one, other| one.0.cmp(&other.0));
        reasons.dedup_by(|one, other| one.0 == other.0);
    }

    /// What a name without a slash means.
    fn called(&self, asked: &Asked<'_>, what: &Name) -> Vec<usize> {
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

    fn answer(&self, entry: usize, limit: usize) -> Answer {
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

/// The file, and below it each chain, one level of indentation a step.
///
/// ```text
/// /usr/lib/libz.so.1.3
///   needed `libz.so.1` of /usr/bin/app (ld.so.cache)
///     /usr/bin/app: asked for by name
///   needed `libz.so.1` of /usr/lib/libpng16.so.16 (loaded already)
///     /usr/lib/libpng16.so.16: needed `libpng16.so.16` of /usr/bin/app (ld.so.cache)
///       /usr/bin/app: asked for by name
/// ```
pub fn text(answer: &Answer) -> String {
    // Writing to a string cannot fail.
    let mut text = answer.path.clone();
    if let Some(target) = &answer.target {
        let _ = write!(text, " -> {target}");
    }
    text.push_str(if answer.kind == Kind::Missing { " is missing\n" } else { "\n" });
    for chain in &answer.chains {
        for (depth, step) in chain.iter().enumerate() {
            let at = if depth == 0 { String::new() } else { format!("{}: ", step.path) };
            let _ = writeln!(text, "{}{at}{}", "  ".repeat(depth + 1), words(&step.why));
        }
    }
    text + &more(answer.chains.len(), answer.total, answer.exact)
}

/// A line for the chains that were not told; nothing where all were.
pub fn more(told: usize, total: u64, exact: bool) -> String {
    if exact && told as u64 == total {
        return String::new();
    }
    format!("{told} of {}{total} chains\n", if exact { "" } else { "at least " })
}

fn words(why: &Why) -> String {
    match why {
        Why::Asked => "asked for by name".to_owned(),
        Why::Loaded { by, name, relation, how, already } => {
            let how = match how {
                _ if *already => " (loaded already)".to_owned(),
                Some(how) => format!(" ({how})"),
                None => String::new(),
            };
            format!("{relation} `{name}` of {by}{how}")
        }
        Why::Script { by } => format!("interpreter of the script {by}"),
        Why::LoaderConfiguration => "the loader reads it first".to_owned(),
        Why::OnTheWay { to } => format!("on the way to {to}"),
    }
}
