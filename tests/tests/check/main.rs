//! `coracle check`: versions and symbols as the real loaders bind them, images, and the loader asked.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod hostile;
mod image;
mod linked;
mod machine;
mod processors;
mod rules;

use std::collections::BTreeSet;

use builder::check::{Notice, Problem, Report};
use builder::resolve::{Options, Request, Sysroot, closure};
use common::tree::ImagePath;
use tests::loader::Fault;

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";

/// What the check says of programs of a root.
fn check(sysroot: &Sysroot, programs: &[&str]) -> Report {
    let request = |program: &&str| Request::Program(ImagePath::new(program).unwrap());
    let requests: Vec<Request> = programs.iter().map(request).collect();
    let closure = closure(&requests, sysroot, &Options::default()).unwrap();
    builder::check::check(&closure, sysroot, &BTreeSet::new())
}

/// The same in the words of the loaders.
fn faults(report: &Report) -> BTreeSet<Fault> {
    let problems = report.problems.iter().map(|finding| match finding.problem.clone() {
        Problem::Version { object, provider, version, .. } => Fault::Version {
            provider: provider.to_string(),
            version: version.to_string(),
            object: object.to_string(),
        },
        Problem::Undefined { object, symbol, version } => Fault::Undefined {
            symbol: symbol.to_string(),
            version: version.map(|version| version.to_string()).unwrap_or_default(),
            object: object.to_string(),
        },
        Problem::NotInFile { object, symbol, version, .. } => Fault::NotInFile {
            symbol: symbol.to_string(),
            version: version.to_string(),
            object: object.to_string(),
        },
        Problem::NotLoaded { .. } | Problem::Unversioned { .. } => Fault::Stops,
        other => panic!("no loader says: {other}"),
    });
    let notices = report.notices.iter().filter_map(|notice| match notice.clone() {
        Notice::WeakVersion { object, provider, version } => Some(Fault::WeakVersion {
            provider: provider.to_string(),
            version: version.to_string(),
            object: object.to_string(),
        }),
        Notice::NoVersions { object, provider } => {
            Some(Fault::NoVersions { provider: provider.to_string(), object: object.to_string() })
        }
        Notice::Isa { .. } | Notice::Stranger(_) => None,
    });
    problems.chain(notices).collect()
}
