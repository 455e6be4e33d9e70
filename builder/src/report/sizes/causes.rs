//! Reasons as a graph. An entry is there while one of its reasons holds: somebody asked for it, or what
//! led to it is there itself, and the rule that says so is on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Share;
use crate::image::provenance::Provenance;

/// Entries by number, and what follows from each being there.
pub(super) struct Causes<'p> {
    paths: Vec<&'p str>,
    /// Bytes of files.
    bytes: Vec<Option<u64>>,
    /// Entries that are there by themselves, and what for.
    starts: Vec<(usize, Start<'p>)>,
    /// For each entry those that it leads to, by which rule.
    leads: Vec<Vec<(usize, Option<&'p str>)>>,
    /// For each rule what leads to what.
    rules: BTreeMap<&'p str, Vec<(usize, usize)>>,
}

/// Stands for all profiles among the rules, none of which is called so.
const PROFILE: &str = "/profiles";

/// What a rule is called in a report.
pub(super) fn label(rule: &str) -> String {
    if rule == PROFILE { "profiles".to_owned() } else { format!("rule {rule}") }
}

/// Why an entry is there by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start<'p> {
    Asked,
    Recipe(&'p str),
    /// Of a rule whose trigger is no entry.
    Rule(&'p str),
    /// Everything else: every image has it, the loader reads it.
    Other,
}

/// What is thought away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Without<'p> {
    /// Everything that a rule of this name brings.
    Rule(&'p str),
    /// This entry.
    Entry(usize),
}

/// Steps of all questions together: whoever wrote an image does not decide how long we count.
const MOST_STEPS: usize = 50_000_000;
/// Rules that fire on what another rule brings, one after the other.
const MOST_ROUNDS: usize = 20;
/// Rules of an image; those after them, by name, are not told of.
const MOST_RULES: usize = 1000;

impl<'p> Causes<'p> {
    pub(super) fn new(provenance: &'p Provenance) -> Self {
        let numbers: BTreeMap<&str, usize> = provenance
            .entries
            .keys()
            .enumerate()
            .map(|(number, path)| (path.as_str(), number))
            .collect();
        let mut causes = Self {
            paths: provenance.entries.keys().map(String::as_str).collect(),
            bytes: Vec::new(),
            starts: Vec::new(),
            leads: vec![Vec::new(); numbers.len()],
            rules: BTreeMap::new(),
        };
        for (number, known) in provenance.entries.values().enumerate() {
            let is_file = known.kind == "file";
            causes.bytes.push(is_file.then_some(known.size.unwrap_or(0)));
            for why in &known.why {
                causes.reason(number, why, &numbers);
            }
        }
        causes
    }

    fn reason(&mut self, number: usize, why: &'p Value, numbers: &BTreeMap<&str, usize>) {
        let field = |key: &str| why.get(key).and_then(Value::as_str);
        let rule = match field("reason") {
            Some("traced") => Some(PROFILE),
            _ => field("rule"),
        };
        let edges = rule.map(|rule| self.rules.entry(rule).or_default());
        match (field("reason"), field("by").or(field("trigger")), rule) {
            (Some("asked"), ..) => self.starts.push((number, Start::Asked)),
            (Some("recipe"), ..) => {
                self.starts.push((number, Start::Recipe(field("source").unwrap_or_default())));
            }
            (_, Some(by), rule) => match (numbers.get(by), rule) {
                (Some(by), rule) => {
                    self.leads[*by].push((number, rule));
                    if let Some(edges) = edges {
                        edges.push((*by, number));
                    }
                }
                (None, Some(rule)) => self.starts.push((number, Start::Rule(rule))),
                (None, None) => self.starts.push((number, Start::Other)),
            },
            (_, None, Some(rule)) => self.starts.push((number, Start::Rule(rule))),
            (_, None, None) => self.starts.push((number, Start::Other)),
        }
    }

    /// Names of all rules.
    pub(super) fn rules(&self) -> impl Iterator<Item = &'p str> {
        self.rules.keys().copied().take(MOST_RULES)
    }

    /// Entries that others are there for.
    pub(super) fn parents(&self) -> impl Iterator<Item = (usize, &'p str)> {
        let edges: usize = self.leads.iter().map(Vec::len).sum();
        let affordable = MOST_STEPS / (edges + self.paths.len() + 1);
        let parents = self.leads.iter().enumerate().filter(|(_, leads)| !leads.is_empty());
        parents.map(|(number, _)| (number, self.paths[number])).take(affordable)
    }

    /// The files that would not be there.
    pub(super) fn lost(&self, without: Without<'_>) -> Share {
        let mut there = vec![false; self.paths.len()];
        let holds = |rule: Option<&str>| rule.is_none_or(|rule| without != Without::Rule(rule));
        if let Without::Entry(number) = without {
            // As if it had been there before: nothing follows from it then.
            there[number] = true;
        }
        let starts = self.starts.iter().filter(|(_, start)| match start {
            Start::Rule(rule) => holds(Some(rule)),
            _ => true,
        });
        self.follow(starts.map(|(number, _)| *number), &mut there, holds);
        if let Without::Entry(number) = without {
            there[number] = false;
        }
        let gone = there.iter().zip(&self.bytes).filter(|(there, _)| !**there);
        gone.filter_map(|(_, bytes)| *bytes).collect()
    }

    /// Marks what follows from entries being there, and returns what was not marked before.
    fn follow(
        &self,
        starts: impl Iterator<Item = usize>,
        there: &mut [bool],
        holds: impl Fn(Option<&str>) -> bool,
    ) -> Vec<usize> {
        let mut new = Vec::new();
        let mut open: Vec<usize> = starts.collect();
        while let Some(number) = open.pop() {
            if !std::mem::replace(&mut there[number], true) {
                new.push(number);
                let leads = self.leads[number].iter().filter(|(_, rule)| holds(*rule));
                open.extend(leads.map(|(next, _)| *next));
            }
        }
        new
    }

    /// Each file once, by what it is there for.
    pub(super) fn reasons(&self) -> BTreeMap<String, Share> {
        let mut there = vec![false; self.paths.len()];
        let mut shares: BTreeMap<String, Share> = BTreeMap::new();
        let mut count = |what: String, new: &[usize]| {
            for bytes in new.iter().filter_map(|number| self.bytes[*number]) {
                shares.entry(what.clone()).or_default().add(bytes);
            }
        };
        let by_itself = |rule: Option<&str>| rule.is_none();
        let of = |wanted: Start<'p>| {
            let starts = self.starts.iter().filter(move |(_, start)| *start == wanted);
            starts.map(|(number, _)| *number)
        };
        let asked: BTreeSet<usize> = of(Start::Asked).collect();
        let new = self.follow(asked.iter().copied(), &mut there, by_itself);
        let (programs, libraries): (Vec<usize>, Vec<usize>) =
            new.into_iter().partition(|number| asked.contains(number));
        count("programs".to_owned(), &programs);
        count("their libraries".to_owned(), &libraries);
        let sources: BTreeSet<&str> = self
            .starts
            .iter()
            .filter_map(
                |(_, start)| if let Start::Recipe(source) = start { Some(*source) } else { None },
            )
            .collect();
        for source in sources {
            let new = self.follow(of(Start::Recipe(source)), &mut there, by_itself);
            count(format!("files of the recipe: {source}"), &new);
        }
        // A rule may fire on what another one brings.
        for _ in 0..MOST_ROUNDS {
            let mut progress = false;
            for (&rule, edges) in self.rules.iter().take(MOST_RULES) {
                let fired = edges.iter().filter(|(by, _)| there[*by]).map(|(_, next)| *next);
                let starts: Vec<usize> = fired.chain(of(Start::Rule(rule))).collect();
                let holds = |by: Option<&str>| by.is_none_or(|by| by == rule);
                let new = self.follow(starts.into_iter(), &mut there, holds);
                progress |= !new.is_empty();
                count(label(rule), &new);
            }
            if !progress {
                break;
            }
        }
        let rest = self.follow(0..self.paths.len(), &mut there, |_| false);
        count("every image".to_owned(), &rest);
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sizes::{Sizes, sizes};

    /// A program with two libraries, of which one has a third; a rule that fires on that one, and opens a
    /// module with a library of its own; a rule that fires on the module.
    const IMAGE: &str = r#"{"version":1,"entries":{
        "/app":{"kind":"file","size":1,"why":[{"reason":"asked"}]},
        "/a":{"kind":"file","size":10,"why":[{"reason":"loaded","by":"/app"},{"reason":"loaded","by":"/b"}]},
        "/b":{"kind":"file","size":100,"why":[{"reason":"loaded","by":"/app"}]},
        "/c":{"kind":"file","size":1000,"why":[{"reason":"loaded","by":"/b"}]},
        "/m":{"kind":"file","size":10000,"why":[{"reason":"rule","rule":"two","trigger":"/b"}]},
        "/ml":{"kind":"file","size":100000,"why":[{"reason":"loaded","by":"/m"},{"reason":"loaded","by":"/ml"}]},
        "/data":{"kind":"file","size":1000000,"why":[{"reason":"rule","rule":"one","trigger":"/m"}]},
        "/conf":{"kind":"file","size":5,"why":[
            {"reason":"recipe","source":"conf"},{"reason":"rule","rule":"one","trigger":"/m"}]},
        "/seen":{"kind":"file","size":50,"why":[{"reason":"traced","by":"/app"}]},
        "/etc/passwd":{"kind":"file","size":7,"why":[{"reason":"always"}]},
        "/link":{"kind":"link","target":"a","why":[{"reason":"on-the-way"}]}
    }}"#;

    fn of(image: &str) -> Sizes {
        sizes(&serde_json::from_str(image).unwrap())
    }

    fn lines(named: &[crate::report::sizes::Named]) -> Vec<String> {
        let line = |named: &crate::report::sizes::Named| {
            format!("{} {} {}", named.what, named.share.bytes, named.share.files)
        };
        named.iter().map(line).collect()
    }

    #[test]
    fn each_file_counts_once_for_the_strongest_reason() {
        let sizes = of(IMAGE);
        assert_eq!((sizes.total.bytes, sizes.total.files), (1_111_173, 10));
        assert_eq!(
            lines(&sizes.reasons),
            [
                "rule one 1000000 1",
                "rule two 110000 2",
                "their libraries 1110 3",
                "profiles 50 1",
                "every image 7 1",
                "files of the recipe: conf 5 1",
                "programs 1 1",
            ]
        );
        assert_eq!(sizes.reasons.iter().map(|part| part.share.bytes).sum::<u64>(), 1_111_173);
    }

    #[test]
    fn what_would_go_with_a_rule_or_a_file_is_what_nothing_else_holds() {
        assert_eq!(
            lines(&of(IMAGE).only_for),
            [
                "/app 1111161 8",
                "/b 1111100 5",
                "/m 1110000 3",
                "rule two 1110000 3",
                "rule one 1000000 1",
                "profiles 50 1",
            ]
        );
    }

    #[test]
    fn reasons_in_circles_and_without_sense_end() {
        let image = r#"{"version":1,"entries":{
            "/a":{"kind":"file","size":1,"why":[{"reason":"loaded","by":"/b"}]},
            "/b":{"kind":"file","size":2,"why":[{"reason":"rule","rule":"x","trigger":"/a"}]},
            "/c":{"kind":"file","why":[{},7,{"reason":"rule","rule":"y","trigger":"/gone"},{"by":"/gone"}]},
            "/d":{"kind":"file","size":18446744073709551615,"why":[]}
        }}"#;
        assert_eq!(lines(&of(image).reasons), ["every image 18446744073709551615 3", "rule y 0 1"]);
        assert_eq!(of(r#"{"version":1,"entries":{}}"#).total, Share::default());
    }
}
