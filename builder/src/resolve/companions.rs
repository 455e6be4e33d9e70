//! Modules that load only in the company of others.
//!
//! A module may need a name that no searched folder has, because its program always opens another module
//! first, which bears that name: java opens `libjvm.so` by its path, and every other of its libraries
//! needs `libjvm.so`. The loader knows a loaded object by its soname (glibc `elf/dl-load.c`,
//! `_dl_map_object`). Decides which modules are opened before one that would lack something alone. Of
//! musl's rules none helps: it knows by name only what was searched for.

use common::tree::ImagePath;

use super::probe::Opened;
use super::state::Engine;
use super::walk::Walking;
use super::{Relation, Request};
use crate::elf::Name;

/// Modules by the program that opens them.
#[derive(Debug, Default)]
pub(super) struct Companions {
    modules: Vec<(ImagePath, ImagePath)>,
}

impl Companions {
    pub(super) fn of(requests: &[Request]) -> Self {
        let module = |request: &Request| match request {
            Request::Module { path, program } => Some((program.clone(), path.clone())),
            _ => None,
        };
        Self { modules: requests.iter().filter_map(module).collect() }
    }

    /// Modules of `program` whose file has this name.
    fn named<'c>(
        &'c self,
        program: &ImagePath,
        name: &'c [u8],
    ) -> impl Iterator<Item = &'c ImagePath> {
        self.modules
            .iter()
            .filter(move |(of, path)| of == program && path.file_name() == Some(name))
            .map(|(_, path)| path)
    }
}

impl Engine<'_> {
    /// Paths of other modules of the walk's program that bear the names which its closure has lacked from
    /// number `missing` on. Each once, in the order in which they were missed.
    pub(super) fn companions(&mut self, walking: &Walking, missing: usize) -> Vec<Name> {
        let lacking = self.closure.missing.iter().skip(missing);
        let lacking: Vec<Name> = lacking
            .filter(|missing| missing.relation == Relation::Needed && !missing.name.has_slash())
            .map(|missing| missing.name.clone())
            .collect();
        let mut found = Vec::new();
        for name in lacking {
            let modules: Vec<ImagePath> =
                self.companions.named(&walking.program, name.as_bytes()).cloned().collect();
            let bears = |path: &ImagePath| match self.files.open(path.as_bytes()) {
                Opened::Object(candidate) => candidate.object.soname.as_ref() == Some(&name),
                Opened::Passed(_) | Opened::Refused(_) => false,
            };
            found.extend(modules.into_iter().find(bears).map(|path| Name::from(path.as_bytes())));
        }
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|path: &Name| seen.insert(path.clone()));
        found
    }
}
