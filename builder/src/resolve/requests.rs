//! `Requests`: what the resolver is asked for, who asked, and what was taken out again.
//!
//! Decides what stays of it after a round. What a person asked for always does.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;

use super::keep::take_unwanted;
use super::{Because, Closure, Refused, Request};
use crate::spec::least::Least;

/// A request, and what asked for it (`None`: a person did).
pub type Asked = (Request, Option<Because>);

/// All of them.
#[derive(Debug)]
pub(super) struct Requests {
    /// In the order in which they were asked, each once.
    pub(super) asked: Vec<Asked>,
    /// Those that were taken out, which nobody brings back.
    out: Vec<Request>,
    /// What those that a person does not want led to.
    pub(super) unwanted: BTreeSet<ImagePath>,
    /// What a person should know.
    pub(super) warnings: BTreeSet<String>,
}

impl Requests {
    /// Programs that a person asked for.
    pub(super) fn new(programs: &[ImagePath]) -> Self {
        let asked = programs.iter().map(|path| (Request::Program(path.clone()), None)).collect();
        let (unwanted, warnings) = (BTreeSet::new(), BTreeSet::new());
        Self { asked, out: Vec::new(), unwanted, warnings }
    }

    /// As the resolver takes them.
    pub(super) fn plain(&self) -> Vec<Request> {
        self.asked.iter().map(|(request, _)| request.clone()).collect()
    }

    /// Whether it is asked for.
    pub(super) fn has(&self, request: &Request) -> bool {
        self.asked.iter().any(|(other, _)| other == request)
    }

    /// Whether it was taken out.
    pub(super) fn is_out(&self, request: &Request) -> bool {
        self.out.contains(request)
    }

    /// Adds what is new; whether anything was.
    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = (Request, Because)>) -> bool {
        let before = self.asked.len();
        for (request, because) in more {
            if !self.has(&request) && !self.is_out(&request) {
                self.asked.push((request, Some(because)));
            }
        }
        self.asked.len() != before
    }

    /// Takes out what no person asked for and leads to something missing, refused or unwanted; whether
    /// there was any.
    pub(super) fn take_out(&mut self, closure: &Closure, least: &Least) -> bool {
        let before = self.asked.len();
        self.take_failures(closure);
        if self.asked.len() != before {
            // The numbers of the closure mean the requests that it was made from.
            return true;
        }
        for (request, path) in take_unwanted(&mut self.asked, closure, least) {
            self.out.push(request);
            self.unwanted.insert(path);
        }
        self.asked.len() != before
    }

    fn take_failures(&mut self, closure: &Closure) {
        let mut failures: BTreeMap<usize, String> = BTreeMap::new();
        for missing in &closure.missing {
            failures.entry(missing.request).or_insert(format!("`{}` is missing", missing.name));
        }
        for Refused { request, path, why, .. } in &closure.refused {
            failures.entry(*request).or_insert(format!("`{path}`: {why}"));
        }
        let mut number = 0;
        self.asked.retain(|(request, because)| {
            let failure = failures.get(&number);
            number += 1;
            let (Some(because), Some(why)) = (because, failure) else { return true };
            // What was executed has to run again.
            if because.is_run() && matches!(request, Request::Program(_)) {
                return true;
            }
            self.out.push(request.clone());
            let what = match request {
                Request::Module { path, .. } | Request::Program(path) => path.to_string(),
                Request::Library { name, .. } => name.to_string(),
            };
            self.warnings.insert(if because.is_run() {
                format!("a profile names `{what}`, which is copied, not resolved: {why}")
            } else {
                format!("{} leaves out `{what}`: {why}", because.who())
            });
            false
        });
    }
}
