//! `Facts`: what is read of each object of a closure, once.

use std::fs::File;

use common::tree::ImagePath;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::elf::{ElfError, Name, Platform, Symbols, read_only_data};
use crate::resolve::{Closure, Found, Relation, Sysroot};

/// Of all objects, by their numbers in the closure.
pub(super) struct Facts {
    pub(super) objects: Vec<ObjectFacts>,
    /// What could not be read, and why.
    pub(super) unreadable: Vec<(ImagePath, String)>,
}

#[derive(Default)]
pub(super) struct ObjectFacts {
    pub(super) symbols: Symbols,
    pub(super) platform: Platform,
    /// Of a C library and a loader: what it says of its build.
    pub(super) build: Option<Name>,
}

impl Facts {
    pub(super) fn of(closure: &Closure, sysroot: &Sysroot) -> Self {
        let loads = closure.programs.iter().flat_map(|program| &program.loads);
        let mut built: Vec<bool> = closure.objects.iter().map(is_libc).collect();
        for load in loads.filter(|load| load.relation == Relation::Interpreter) {
            built[load.object] = true;
        }
        let objects: Vec<(&Found, bool)> = closure.objects.iter().zip(built).collect();
        let read: Vec<Result<ObjectFacts, ElfError>> = objects
            .par_iter()
            .map(|&(found, built)| {
                let file = sysroot.open_file(&found.path).map_err(ElfError::Read)?;
                Ok(ObjectFacts {
                    symbols: Symbols::read(&file)?,
                    platform: Platform::read(&file)?,
                    build: if built { build(&file)? } else { None },
                })
            })
            .collect();
        let mut facts = Self { objects: Vec::new(), unreadable: Vec::new() };
        for (found, read) in closure.objects.iter().zip(read) {
            facts.objects.push(read.unwrap_or_else(|error| {
                facts.unreadable.push((found.path.clone(), error.to_string()));
                ObjectFacts::default()
            }));
        }
        facts
    }
}

pub(super) fn is_libc(found: &Found) -> bool {
    found.object.soname.as_ref().is_some_and(|name| name.as_bytes().starts_with(b"libc.so.6"))
}

/// What stands behind the name in the line by which glibc's library and loader introduce themselves
/// (glibc `csu/version.c`, and `elf/dl-usage.c` since 2.33), to the end of the line:
///
/// ```text
/// GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.
/// ld.so (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.
/// ```
fn build(file: &File) -> Result<Option<Name>, ElfError> {
    for executable in [false, true] {
        if let Some(line) = introduction(&read_only_data(file, executable)?) {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

fn introduction(segments: &[Vec<u8>]) -> Option<Name> {
    segments.iter().flat_map(|data| data.split(|&byte| matches!(byte, 0 | b'\n'))).find_map(
        |line| {
            let rest = [&b"GNU C Library ("[..], b"ld.so ("]
                .iter()
                .find_map(|start| line.strip_prefix(*start))?;
            // `ld.so (...)` stands in other lines too.
            let release = b" release version ";
            rest.windows(release.len())
                .any(|part| part == release)
                .then(|| Name::from([b"(", rest].concat()))
        },
    )
}
