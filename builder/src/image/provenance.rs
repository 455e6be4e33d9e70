//! Why each entry is in an image, kept with the image: a blob of canonical JSON beside the layer.
//!
//! ```text
//! {"entries":{"/usr/bin/x":{"kind":"file","size":1,"why":[{"reason":"asked"}]}},"version":1}
//! ```
//! Paths are escaped as [`common::escape::Escaped`] prints them, so that every name can be said in
//! JSON.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common::oci::layout::ImageLayout;
use common::oci::{Descriptor, MediaType, json, media_type};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ImageError;
use crate::assemble::generated;
use crate::plan::{Node, Plan, Source};

/// Version of the form.
const VERSION: u32 = 1;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the form: 1.
    pub version: u32,
    /// Entries by escaped path.
    pub entries: BTreeMap<String, Known>,
}

/// What is known of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// `folder`, `file`, `link` or `hard-link`.
    pub kind: String,
    /// Bytes, of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What a link says, or a hard link is another name of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Where its bytes came from, when not from the same path of the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Every reason, as [`crate::plan::Why`] is written.
    pub why: Vec<Value>,
}

/// One chain of reasons, from an entry to where it starts.
pub type Chain = Vec<Step>;

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The entry, escaped.
    pub path: String,
    /// Why it is there.
    pub why: Value,
}

pub(super) fn write(plan: &Plan, layout: &ImageLayout) -> Result<Descriptor, ImageError> {
    let failed = |source| ImageError::Json { what: "provenance", source };
    let bytes = json::canonical(&provenance(plan).map_err(failed)?).map_err(failed)?;
    Ok(layout.write(MediaType::Other(media_type::PROVENANCE.to_owned()), &bytes)?)
}

/// What a plan knows about its entries, without anything of the machine.
pub fn provenance(plan: &Plan) -> Result<Provenance, serde_json::Error> {
    let mut entries = BTreeMap::new();
    for (path, entry) in &plan.entries {
        let (kind, target) = match &entry.node {
            Node::Folder { .. } => ("folder", None),
            Node::Link { target } => ("link", Some(target.to_string())),
            Node::HardLink { target } => ("hard-link", Some(target.to_string())),
            Node::File { .. } => ("file", None),
        };
        let (size, source) = match &entry.node {
            Node::File { source, .. } => origin(source),
            _ => (None, None),
        };
        let why = entry.why.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        let known = Known { kind: kind.to_owned(), size, target, source, why };
        entries.insert(path.to_string(), known);
    }
    Ok(Provenance { version: VERSION, entries })
}

/// Size, and a source that is worth telling. Files of the root are where they were, except programs
/// that were moved from a folder whose name is nobody's business.
fn origin(source: &Source) -> (Option<u64>, Option<String>) {
    match source {
        Source::Root { size, .. } => (Some(*size), None),
        Source::Context { path, size } => (Some(*size), Some(format!("recipe: {path}"))),
        Source::Generated { what } => {
            (Some(generated::bytes(what).len() as u64), Some("generated".to_owned()))
        }
    }
}

impl Provenance {
    /// Every chain of reasons from `path` to something that a person asked for, shortest first, at
    /// most `limit`. A chain does not pass an entry twice.
    pub fn chains(&self, path: &str, limit: usize) -> Vec<Chain> {
        let mut done = Vec::new();
        let mut open: VecDeque<(String, Chain, BTreeSet<String>)> =
            VecDeque::from([(path.to_owned(), Vec::new(), BTreeSet::from([path.to_owned()]))]);
        // A dense closure has more chains than anybody reads; this bounds the work on a hostile
        // one.
        let mut steps = 0;
        while let Some((at, chain, passed)) = open.pop_front() {
            steps += 1;
            if done.len() >= limit || steps > 100_000 {
                break;
            }
            let Some(known) = self.entries.get(&at) else { continue };
            for why in &known.why {
                let mut longer = chain.clone();
                longer.push(Step { path: at.clone(), why: why.clone() });
                match next(why) {
                    None => done.push(longer),
                    Some(by) if !passed.contains(&by) && self.entries.contains_key(&by) => {
                        let mut passed = passed.clone();
                        passed.insert(by.clone());
                        open.push_back((by, longer, passed));
                    }
                    Some(_) => {}
                }
            }
        }
        done.truncate(limit);
        done
    }

    /// Entries below a folder that are there for their own sake, or that a link leads to; at most
    /// `limit`.
    pub fn reached_through(&self, path: &str, limit: usize) -> Vec<&str> {
        let below = format!("{}/", path.trim_end_matches('/'));
        self.entries
            .iter()
            .filter(|(entry, known)| entry.starts_with(&below) && known.kind == "file")
            .map(|(entry, _)| entry.as_str())
            .take(limit)
            .collect()
    }
}

/// The entry that a reason points to.
fn next(why: &Value) -> Option<String> {
    let field = |key: &str| why.get(key).and_then(Value::as_str).map(str::to_owned);
    match why.get("reason").and_then(Value::as_str)? {
        "loaded" | "script" => field("by"),
        "rule" => field("trigger"),
        _ => None,
    }
}

/// One reason in words.
pub fn words(why: &Value) -> String {
    let field = |key: &str| why.get(key).and_then(Value::as_str).unwrap_or("?");
    match field("reason") {
        "asked" => "asked for by name".to_owned(),
        "recipe" => format!("the recipe's files: {}", field("source")),
        "loaded" => {
            let found = why.get("found");
            let part = |key| found.and_then(|f: &Value| f.get(key)).and_then(Value::as_str);
            let place = match (part("by").unwrap_or("?"), part("folder")) {
                (how, Some(folder)) => format!("{how} {folder}"),
                (how, None) => how.to_owned(),
            };
            format!(
                "{} `{}` of {} (found by {place})",
                field("relation"),
                field("name"),
                field("by")
            )
        }
        "script" => format!("interpreter of the script {}", field("by")),
        "rule" => {
            format!("rule {}: {} (because of {})", field("rule"), field("why"), field("trigger"))
        }
        "loader-configuration" => "the loader reads it".to_owned(),
        "on-the-way" => "on the way to something else".to_owned(),
        "always" => format!("every image has it: {}", field("purpose")),
        "configured" => format!("the configuration's {}", field("key")),
        other => other.to_owned(),
    }
}
