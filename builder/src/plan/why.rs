//! Why an entry is in the image: provenance as a type.
//!
//! Paths in here are paths of the image, so that nothing of the machine that built it shows.

use std::collections::BTreeMap;

use common::tree::ImagePath;
use serde::Serialize;

use super::place::Placement;
use super::{asked, is_root};
use crate::elf::Priority;
use crate::resolve::Asked;
use crate::resolve::gather::Gathered;
use crate::resolve::{Because, Cause, How, Load, Origin, Program, Relation, Request};

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Why {
    /// A person named it as a program.
    Asked,
    /// A recipe's `files` table.
    Recipe {
        /// Its `source`, as written.
        source: String,
    },
    /// Another object of the image loads it.
    Loaded {
        /// That object.
        by: ImagePath,
        /// The name it asks for.
        name: String,
        /// As what: needed, interpreter, preload ...
        relation: String,
        /// How the name was found.
        found: Found,
    },
    /// An object says in its `.note.dlopen` that it opens it.
    Opened {
        /// That object.
        by: ImagePath,
        /// What for.
        feature: String,
        /// How much is lost without it.
        priority: Priority,
        /// The name that it asks for.
        name: String,
        /// How the name was found.
        found: Found,
    },
    /// A script's `#!` line starts it.
    Script {
        /// The script.
        by: ImagePath,
    },
    /// A rule.
    Rule {
        /// Its name.
        rule: String,
        /// What made it fire.
        trigger: ImagePath,
        /// Why, as the rule says it.
        why: String,
    },
    /// A person asked for a locale or a time zone.
    Wanted {
        /// Which of the two.
        kind: String,
        /// Its name, as it was given.
        name: String,
    },
    /// A source of the image imports it.
    Imported {
        /// That source.
        by: ImagePath,
        /// The module's name.
        name: String,
        /// The rule that knows the language.
        rule: String,
    },
    /// A profile says that it was used in a run.
    Traced {
        /// The program that opened it; `None` if it was itself executed.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<ImagePath>,
    },
    /// The loader reads it.
    LoaderConfiguration,
    /// A link or folder on the way to something else.
    OnTheWay,
    /// Every image has it.
    Always {
        /// What for.
        purpose: String,
    },
    /// A volume or working directory of the configuration.
    Configured {
        /// The key.
        key: String,
    },
}

/// How the loader finds a name inside the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Found {
    /// Its path.
    Path,
    /// A `DT_RPATH`'s folder.
    Rpath {
        /// The folder, expanded.
        folder: String,
    },
    /// A `DT_RUNPATH`'s folder.
    Runpath {
        /// The folder, expanded.
        folder: String,
    },
    /// A folder given by `--library-path`.
    LibraryPath {
        /// The folder.
        folder: String,
    },
    /// `/etc/ld.so.cache`.
    Cache,
    /// A folder of musl's path file.
    PathFile {
        /// The folder.
        folder: String,
    },
    /// A folder compiled into the loader.
    SystemFolder {
        /// The folder.
        folder: String,
    },
}

impl Why {
    /// What the reason of a rule, or of a run, is in the image.
    pub(super) fn of_rule(because: &Because, placement: &Placement) -> Self {
        let by = placement.destination(&because.trigger);
        match because.cause.clone() {
            Cause::Rule { rule, why } => Self::Rule { rule, trigger: by, why },
            Cause::Import { rule, module } => Self::Imported { by, name: module, rule },
            Cause::Run => Self::Traced { by: Some(by) },
        }
    }
}

impl From<&How> for Found {
    fn from(how: &How) -> Self {
        match how {
            How::Path => Self::Path,
            How::Rpath { folder, .. } => Self::Rpath { folder: folder.to_string() },
            How::Runpath { folder, .. } => Self::Runpath { folder: folder.to_string() },
            How::LibraryPath { folder } => Self::LibraryPath { folder: folder.to_string() },
            How::Cache => Self::Cache,
            How::PathFile { folder } => Self::PathFile { folder: folder.to_string() },
            How::SystemFolder { folder } => Self::SystemFolder { folder: folder.to_string() },
        }
    }
}

/// Reasons of every file of the closure, by its real path in the root.
pub(super) fn reasons(gathered: &Gathered, placement: &Placement) -> BTreeMap<ImagePath, Vec<Why>> {
    let mut reasons: BTreeMap<ImagePath, Vec<Why>> = BTreeMap::new();
    let mut add = |path: &ImagePath, why: Why| reasons.entry(path.clone()).or_default().push(why);
    let closure = &gathered.closure;
    for program in &closure.programs {
        for load in &program.loads {
            let Some(found) = closure.objects.get(load.object) else { continue };
            for why in of_load(gathered, program, load, placement) {
                add(&found.path, why);
            }
        }
        // Who asks for what is there already needs it as much as who asked first.
        for load in &program.loads {
            let Some(by) = closure.objects.get(load.object) else { continue };
            for dependency in load.dependencies.iter().filter(|d| d.relation != Relation::Module) {
                let Some(target) =
                    dependency.load.and_then(|number| answer(gathered, program, number))
                else {
                    continue;
                };
                let Some(object) = closure.objects.get(target.object) else { continue };
                add(
                    &object.path,
                    Why::Loaded {
                        by: placement.destination(&by.path),
                        name: dependency.name.to_string(),
                        relation: dependency.relation.word().to_owned(),
                        found: Found::from(&target.how),
                    },
                );
            }
        }
    }
    for script in &closure.scripts {
        for why in of_request(gathered, script, placement) {
            add(script, why);
        }
    }
    for file in &closure.configuration {
        add(file, Why::LoaderConfiguration);
    }
    for whys in reasons.values_mut() {
        whys.sort();
        whys.dedup();
    }
    reasons
}

/// The load that has this number in the scope of `program` (numbers below `first` are its
/// context's).
fn answer<'g>(gathered: &'g Gathered, program: &'g Program, number: usize) -> Option<&'g Load> {
    match number.checked_sub(program.first) {
        Some(own) => program.loads.get(own),
        None => gathered.closure.programs.get(program.context?)?.loads.get(number),
    }
}

fn of_load(gathered: &Gathered, program: &Program, load: &Load, placement: &Placement) -> Vec<Why> {
    // What a rule opens is there because of the rule, although the loader counts its program as the
    // one that asks.
    let by_request = load.relation == Relation::Module || program.context.is_some();
    if let (Some(number), false) = (load.by, by_request && is_first(program, load)) {
        let by = answer(gathered, program, number)
            .and_then(|load| gathered.closure.objects.get(load.object));
        let Some(by) = by else { return Vec::new() };
        return vec![Why::Loaded {
            by: placement.destination(&by.path),
            name: load.name.to_string(),
            relation: load.relation.word().to_owned(),
            found: Found::from(&load.how),
        }];
    }
    if load.relation == Relation::Preload {
        return vec![Why::LoaderConfiguration];
    }
    let mut whys = match &program.origin {
        Origin::Request { index } => gathered
            .requests
            .get(*index)
            .map(|request| of(request, placement))
            .into_iter()
            .collect(),
        Origin::Shebang { script } | Origin::Env { script } => {
            vec![Why::Script { by: placement.destination(script) }]
        }
        Origin::Note { by, feature, priority } => vec![Why::Opened {
            by: placement.destination(by),
            feature: feature.clone(),
            priority: *priority,
            name: load.name.to_string(),
            found: Found::from(&load.how),
        }],
    };
    if !is_root(load.relation) {
        whys.retain(|why| *why != Why::Asked);
    }
    whys
}

/// Whether this is what the scope was made for.
fn is_first(program: &Program, load: &Load) -> bool {
    program.loads.first().is_some_and(|first| std::ptr::eq(first, load))
}

fn of(request: &Asked, placement: &Placement) -> Why {
    match (&request.0, &request.1) {
        (_, None) => Why::Asked,
        (Request::Program(_), Some(because)) if because.is_run() => Why::Traced { by: None },
        (_, Some(because)) => Why::of_rule(because, placement),
    }
}

fn of_request(gathered: &Gathered, script: &ImagePath, placement: &Placement) -> Vec<Why> {
    let named = |request: &&Asked| match &request.0 {
        Request::Program(path) => path == script || path.file_name() == script.file_name(),
        _ => false,
    };
    let mut whys: Vec<Why> =
        gathered.requests.iter().filter(named).map(|request| of(request, placement)).collect();
    if gathered.requests.iter().filter(|request| asked(request)).any(|r| named(&r)) {
        whys.push(Why::Asked);
    }
    whys
}
