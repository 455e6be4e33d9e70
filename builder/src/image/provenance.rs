//! Why each entry is in an image, kept with the image: a blob of canonical JSON beside the layer.
//!
//! ```text
//! {"entries":{"/usr/bin/x":{"kind":"file","size":1,"why":[{"reason":"asked"}]}},"version":1}
//! ```
//! Paths are escaped as [`common::escape::Escaped`] prints them, so that every name can be said in
//! JSON.

use std::collections::{BTreeMap, BTreeSet};

use common::oci::layout::ImageLayout;
use common::oci::{Descriptor, MediaType, json, media_type};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ImageError;
use crate::assemble::generated;
use crate::plan::chains::{Chains, Leads, Total, chains};
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
    /// Bytes that it had before sections were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripped: Option<u64>,
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
            Node::Folder { .. } | Node::Volume { .. } => ("folder", None),
            Node::Link { target } => ("link", Some(target.to_string())),
            Node::HardLink { target } => ("hard-link", Some(target.to_string())),
            Node::File { .. } => ("file", None),
        };
        let (size, source) = match &entry.node {
            Node::File { source, .. } => origin(source),
            _ => (None, None),
        };
        let why = entry.why.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        let stripped = match &entry.node {
            Node::File { source: Source::Stripped { of, .. }, .. } => origin(of).0,
            _ => None,
        };
        let known = Known { kind: kind.to_owned(), size, target, source, stripped, why };
        entries.insert(path.to_string(), known);
    }
    Ok(Provenance { version: VERSION, entries })
}

/// Size, and a source that is worth telling. Files of the root are where they were, except programs
/// that were moved from a folder whose name is nobody's business.
fn origin(source: &Source) -> (Option<u64>, Option<String>) {
    match source {
        Source::Root { size, .. } => (Some(*size), None),
        Source::Part { path, size, .. } => (Some(*size), Some(format!("out of {path}"))),
        Source::Context { path, size } => (Some(*size), Some(format!("recipe: {path}"))),
        Source::Generated { what } => {
            (Some(generated::bytes(what).len() as u64), Some("generated".to_owned()))
        }
        Source::Stripped { of, size, .. } => (Some(*size), origin(of).1),
    }
}

impl Provenance {
    /// Chains of reasons from `path` to something that a person asked for, the shortest first, at most
    /// `limit`; and how many there are.
    pub fn chains(&self, path: &str, limit: usize) -> (Vec<Chain>, Total) {
        let numbers: BTreeMap<&str, usize> =
            self.entries.keys().enumerate().map(|(number, path)| (path.as_str(), number)).collect();
        let leads = |at: &String, known: &Known, why: &Value| match self.next(at, known, why) {
            None => Leads::Ends,
            Some(by) => {
                numbers.get(by.as_str()).map_or(Leads::Nowhere, |number| Leads::To(*number))
            }
        };
        let reasons: Vec<Vec<Leads>> = self
            .entries
            .iter()
            .map(|(at, known)| known.why.iter().map(|why| leads(at, known, why)).collect())
            .collect();
        let Some(&start) = numbers.get(path) else { return (Vec::new(), Total::Exactly(0)) };
        let entries: Vec<(&String, &Known)> = self.entries.iter().collect();
        let Chains { shortest, total } = chains(&reasons, start, limit);
        let step = |(entry, reason): (usize, usize)| {
            let (path, known) = entries[entry];
            Step { path: path.clone(), why: known.why[reason].clone() }
        };
        (shortest.into_iter().map(|chain| chain.into_iter().map(step).collect()).collect(), total)
    }

    /// The entries that a name without a slash can mean: what is called so, and what was loaded under
    /// that name. Of links, what they lead to.
    pub fn called(&self, name: &str) -> Vec<&str> {
        let asked = |why: &Value| why.get("name").and_then(Value::as_str) == Some(name);
        let found: BTreeSet<&str> = self
            .entries
            .iter()
            .filter(|(path, known)| {
                path.rsplit('/').next() == Some(name) || known.why.iter().any(asked)
            })
            .filter_map(|(path, _)| self.follow(path, true))
            .collect();
        found.into_iter().collect()
    }

    /// The entry that a path leads to, links above its last component followed, and that itself too
    /// if `through`. `None` where the image has no such path.
    pub fn follow(&self, path: &str, through: bool) -> Option<&str> {
        let parts = |path: &str| -> Vec<String> {
            path.rsplit('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let mut rest = parts(path);
        let mut at = String::new();
        // As many links as the kernel follows (path_resolution(7)).
        let mut links = 40;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "." => continue,
                ".." => at.truncate(at.rfind('/').unwrap_or(0)),
                name => at = format!("{at}/{name}"),
            }
            let Some(target) = self.entries.get(&at).and_then(|known| match known.kind.as_str() {
                "link" if through || !rest.is_empty() => known.target.as_deref(),
                _ => None,
            }) else {
                continue;
            };
            links -= 1;
            if links == 0 {
                return None;
            }
            let start = if target.starts_with('/') { 0 } else { at.rfind('/').unwrap_or(0) };
            at.truncate(start);
            rest.extend(parts(target));
        }
        let at = if at.is_empty() { "/" } else { &at };
        self.entries.get_key_value(at).map(|(found, _)| found.as_str())
    }

    /// The entry that a reason points to.
    fn next(&self, at: &str, known: &Known, why: &Value) -> Option<String> {
        let field = |key: &str| why.get(key).and_then(Value::as_str).map(str::to_owned);
        match why.get("reason").and_then(Value::as_str)? {
            "loaded" | "script" | "opened" | "imported" | "traced" => field("by"),
            "rule" => field("trigger"),
            // A link is there for what it leads to.
            "on-the-way" if known.kind == "link" => self.follow(at, true).map(str::to_owned),
            _ => None,
        }
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
        "opened" => format!(
            "{} `{}` of {} for its feature `{}`",
            field("priority"),
            field("name"),
            field("by"),
            field("feature")
        ),
        "script" => format!("interpreter of the script {}", field("by")),
        "rule" => {
            format!("rule {}: {} (because of {})", field("rule"), field("why"), field("trigger"))
        }
        "imported" => format!("imported as `{}` by {}", field("name"), field("by")),
        "traced" if why.get("by").is_some() => format!("opened by {} in a run", field("by")),
        "traced" => "executed in a run".to_owned(),
        "loader-configuration" => "the loader reads it".to_owned(),
        "on-the-way" => "on the way to something else".to_owned(),
        "always" => format!("every image has it: {}", field("purpose")),
        "wanted" => format!("{} `{}` was asked for", field("kind"), field("name")),
        "configured" => format!("the configuration's {}", field("key")),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_what_they_are_there_for() {
        let text = r#"{"version":1,"entries":{
            "/":{"kind":"folder","why":[]},
            "/lib":{"kind":"link","target":"usr/lib","why":[{"reason":"always"}]},
            "/loop":{"kind":"link","target":"loop","why":[]},
            "/usr/lib/a.so":{"kind":"link","target":"../lib/./a.so.1","why":[{"reason":"on-the-way"}]},
            "/usr/lib/a.so.1":{"kind":"file","why":[{"reason":"asked"}]},
            "/abs":{"kind":"link","target":"/lib/a.so","why":[]}
        }}"#;
        let provenance: Provenance = serde_json::from_str(text).unwrap();
        for (path, through, found) in [
            ("/", false, Some("/")),
            ("/lib", false, Some("/lib")),
            ("/lib/a.so", false, Some("/usr/lib/a.so")),
            ("/lib/a.so", true, Some("/usr/lib/a.so.1")),
            ("/abs", true, Some("/usr/lib/a.so.1")),
            ("/loop/x", true, None),
            ("/lib/gone", false, None),
        ] {
            assert_eq!(provenance.follow(path, through), found, "{path}");
        }
        let (chains, total) = provenance.chains("/usr/lib/a.so", 10);
        assert_eq!(total, Total::Exactly(1));
        let steps: Vec<&str> = chains[0].iter().map(|step| step.path.as_str()).collect();
        assert_eq!(steps, ["/usr/lib/a.so", "/usr/lib/a.so.1"]);
        assert_eq!(provenance.called("a.so"), ["/usr/lib/a.so.1"]);
        assert!(provenance.called("b.so").is_empty());
    }
}
