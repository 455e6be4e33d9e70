//! The lowest C library, C++ library and kernel that a closure runs on, and who asks for them.

use std::cmp::Reverse;

use common::tree::ImagePath;
use serde::Serialize;

use super::Notice;
use super::facts::Facts;
use super::parts::{is_part, numbers};
use super::scope::Scope;
use crate::elf::{Kernel, Name};
use crate::resolve::{Closure, Processor};

/// What a closure asks of what surrounds it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Floor {
    /// The newest version of each kind that is needed, sorted by kind. Needs of glibc's own parts do not count.
    pub versions: Vec<Bound>,
    /// The lowest kernel, by the notes of all objects.
    pub kernel: Option<KernelBound>,
}

/// The lowest kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelBound {
    /// Its version.
    pub version: Kernel,
    /// The first object that needs it, by path.
    pub needed_by: ImagePath,
}

/// The newest version of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// `GLIBC`, `GLIBCXX`, `CXXABI` or `GCC`.
    pub kind: &'static str,
    /// As it is written behind the kind: `2.34`.
    pub version: String,
    /// The first object that needs it, by path.
    pub needed_by: ImagePath,
}

const KINDS: [&str; 4] = ["GLIBC", "GLIBCXX", "CXXABI", "GCC"];

/// Versions without a number, and the release that brought them (glibc `NEWS`).
const NAMED: [(&[u8], [u32; 2]); 1] = [(b"GLIBC_ABI_DT_RELR", [2, 36])];

pub(super) fn floor(closure: &Closure, facts: &Facts) -> Floor {
    let objects = || closure.objects.iter().map(|found| &found.path).zip(&facts.objects);
    let mut floor = Floor::default();
    for kind in KINDS {
        let prefix = &format!("{kind}_");
        let needed = objects()
            .filter(|(_, facts)| !is_part(&facts.symbols.versions))
            .flat_map(|(path, facts)| {
                let needs = facts.symbols.versions.needs.iter().flat_map(|need| &need.versions);
                needs.filter_map(move |need| Some((number(&need.name, prefix)?, path)))
            })
            .max_by_key(|(version, path)| (version.clone(), Reverse(*path)));
        if let Some((version, path)) = needed {
            let version: Vec<String> = version.iter().map(ToString::to_string).collect();
            floor.versions.push(Bound {
                kind,
                version: version.join("."),
                needed_by: path.clone(),
            });
        }
    }
    floor.kernel = objects()
        .filter_map(|(path, facts)| Some((facts.platform.kernel?, Reverse(path))))
        .max()
        .map(|(version, Reverse(path))| KernelBound { version, needed_by: path.clone() });
    floor
}

fn number(name: &Name, prefix: &str) -> Option<Vec<u32>> {
    let named = NAMED.iter().find(|(named, _)| *named == name.as_bytes());
    named
        .filter(|_| prefix == "GLIBC_")
        .map(|(_, version)| version.to_vec())
        .or_else(|| numbers(name, prefix.as_bytes()))
}

/// Objects that need more of a processor than the one that a scope is for has.
pub(super) fn isa_notices<'a>(
    scope: &'a Scope<'_>,
    facts: &'a Facts,
    processor: Processor,
) -> impl Iterator<Item = Notice> + 'a {
    scope.bound.iter().filter_map(move |&object| {
        let level = facts.objects[object].platform.isa?;
        let more = level as usize > processor.level();
        more.then(|| Notice::Isa { object: scope.path(object), level })
    })
}
