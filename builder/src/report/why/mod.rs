//! Why a file belongs to an executable: the chains of who needs whom, as text and as JSON.
//!
//! ```text
//! the loads of every scope -> entries (objects, scripts, links, missing names) with reasons -> plan::chains
//! ```
//! Who asks for what is loaded already needs it as much as who asked first, so both are reasons.

use std::fmt::Write as _;

use common::escape::Escaped;
use common::tree::ImagePath;
use serde::Serialize;

use crate::elf::{Name, Priority};
use crate::resolve::{Closure, Sysroot};

mod graph;

use graph::Graph;

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
    /// An object says in its `.note.dlopen` that it opens it.
    Opened {
        /// That object.
        by: String,
        /// The name it asks for.
        name: Name,
        /// What for.
        feature: String,
        /// How much is lost without it.
        priority: Priority,
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
        Why::Opened { by, name, feature, priority } => {
            format!("{priority} `{name}` of {by} for its feature `{}`", Escaped(feature.as_bytes()))
        }
        Why::Script { by } => format!("interpreter of the script {by}"),
        Why::LoaderConfiguration => "the loader reads it first".to_owned(),
        Why::OnTheWay { to } => format!("on the way to {to}"),
    }
}
