//! Whether the image needs an `/etc/ld.so.cache`, and what it lists.
//!
//! Libraries in the folders that the loader searches anyway need none, and most images ship none.
//! One that was found through the root's cache or `--library-path` in another folder would not be
//! found in the image, so it is listed. The host's own cache is never copied: it knows libraries
//! that the image does not have.

use std::collections::BTreeSet;

use common::tree::ImagePath;
use serde::Serialize;

use super::conflict::{Draft, Rank};
use super::error::PlanError;
use super::{Generated, Node, Source, Why};
use crate::elf::{Class, Machine, Name};
use crate::resolve::gather::Gathered;
use crate::resolve::{How, Libc, Load};

/// One line of the cache.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CacheEntry {
    /// The name that is asked for.
    pub name: Name,
    /// The path that answers.
    pub path: Name,
    /// Width of the object's addresses.
    pub class: Class,
    /// Its architecture.
    pub machine: Machine,
    /// Its `e_flags`.
    pub header_flags: u32,
    /// For which processors: the subdirectory of the searched folder that it is in.
    pub variant: Option<Name>,
}

pub(super) fn add(draft: &mut Draft, gathered: &Gathered) -> Result<(), PlanError> {
    let mut entries = BTreeSet::new();
    let closure = &gathered.closure;
    for program in closure.programs.iter().filter(|program| program.libc == Libc::Glibc) {
        for load in &program.loads {
            let (How::Cache | How::LibraryPath { .. }) = &load.how else { continue };
            let folder = searched_folder(load);
            if program.system_folders.iter().any(|system| trim(system.as_bytes()) == folder) {
                continue;
            }
            let Some(found) = closure.objects.get(load.object) else { continue };
            entries.insert(CacheEntry {
                name: load.name.clone(),
                path: load.opened.clone(),
                class: found.object.class,
                machine: found.object.machine,
                header_flags: found.object.header_flags,
                variant: load.variant.clone(),
            });
        }
    }
    check_musl(gathered)?;
    if entries.is_empty() {
        return Ok(());
    }
    let path = ImagePath::new("/etc/ld.so.cache")
        .map_err(|source| PlanError::Path { of: ImagePath::root(), source })?;
    let what = Generated::LdSoCache { entries: entries.into_iter().collect() };
    let node = Node::File { mode: 0o644, source: Source::Generated { what } };
    draft.put(path, node, Rank::Closure, &[Why::LoaderConfiguration])
}

/// musl has no cache; its folders are the same on every system (`ldso/dynlink.c`).
fn check_musl(gathered: &Gathered) -> Result<(), PlanError> {
    let programs = &gathered.closure.programs;
    for program in programs.iter().filter(|program| program.libc == Libc::Musl) {
        for load in &program.loads {
            let How::LibraryPath { folder } = &load.how else { continue };
            let folders = [&b"/lib"[..], b"/usr/local/lib", b"/usr/lib"];
            if !folders.contains(&trim(folder.as_bytes())) {
                return Err(PlanError::MuslLibraryPath { path: load.opened.clone() });
            }
        }
    }
    Ok(())
}

/// The folder that was searched: without the subdirectory of a variant.
fn searched_folder(load: &Load) -> &[u8] {
    let parent = |path: &'_ [u8]| path.iter().rposition(|&b| b == b'/').unwrap_or(0);
    let path = load.opened.as_bytes();
    let parts = load.variant.iter().flat_map(|variant| variant.as_bytes().split(|&b| b == b'/'));
    parts.fold(&path[..parent(path)], |folder, _| &folder[..parent(folder)])
}

fn trim(folder: &[u8]) -> &[u8] {
    folder.strip_suffix(b"/").unwrap_or(folder)
}
