//! What one root says besides its objects: loaders' compiled-in facts, the cache, the preload and
//! path files. Each is read once.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;

use common::tree::ImagePath;
use rustix::io::Errno;

use super::ld_cache::LdCache;
use super::preload_file;
use super::probe::{Candidate, Files, Opened};
use super::search::Rules;
use super::sysroot::{FileId, Target};
use super::system_dirs::{self, Facts};
use super::{Closure, Libc, Warning};
use crate::elf::{Endian, Name, Object, read_only_data};

/// Configuration files are read up to this many bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What was read.
#[derive(Default)]
pub(super) struct RootFacts {
    loaders: HashMap<FileId, Option<Facts>>,
    caches: BTreeMap<Endian, Cache>,
    preload: Option<PreloadFile>,
}

/// `/etc/ld.so.preload`, if it is there.
struct PreloadFile {
    path: Option<ImagePath>,
    names: Vec<Name>,
}

enum Cache {
    Absent,
    Broken,
    Whole(LdCache),
}

impl RootFacts {
    /// The cache, as a loader of the program's byte order reads it.
    pub(super) fn cache(
        &mut self,
        files: &Files<'_>,
        rules: &Rules,
        closure: &mut Closure,
    ) -> Option<&LdCache> {
        let endian = rules.wanted.endian;
        let cache =
            self.caches.entry(endian).or_insert_with(|| match read(files, b"/etc/ld.so.cache") {
                Ok((_, bytes)) => LdCache::parse(bytes, endian).map_or(Cache::Broken, Cache::Whole),
                Err(_) => Cache::Absent,
            });
        match cache {
            Cache::Whole(cache) => Some(cache),
            Cache::Absent => None,
            Cache::Broken => {
                if !closure.warnings.contains(&Warning::BrokenCache) {
                    closure.warnings.push(Warning::BrokenCache);
                }
                None
            }
        }
    }

    /// The names in `/etc/ld.so.preload`.
    pub(super) fn preload_file(&mut self, files: &Files<'_>, closure: &mut Closure) -> Vec<Name> {
        let preload =
            self.preload.get_or_insert_with(|| match read(files, b"/etc/ld.so.preload") {
                Ok((path, text)) => {
                    PreloadFile { path: Some(path), names: preload_file::names(text) }
                }
                Err(_) => PreloadFile { path: None, names: Vec::new() },
            });
        closure.configuration.extend(preload.path.clone());
        preload.names.clone()
    }

    /// What the loader has compiled in, or what is usual.
    pub(super) fn of_loader(
        &mut self,
        files: &Files<'_>,
        loader: &Candidate,
        guess: Libc,
        closure: &mut Closure,
    ) -> Facts {
        let facts = self.loaders.entry(loader.id).or_insert_with(|| {
            let file = files.sysroot.open_file(&loader.walk.real).ok()?;
            [false, true].into_iter().find_map(|executable| {
                let data = read_only_data(&file, executable).ok()?;
                system_dirs::from_loader(&data, &loader.object)
            })
        });
        facts.clone().unwrap_or_else(|| {
            let interpreter = loader.walk.real.as_bytes().into();
            let warning = Warning::SystemFoldersGuessed { interpreter };
            if !closure.warnings.contains(&warning) {
                closure.warnings.push(warning);
            }
            system_dirs::table(guess, &loader.object, files.sysroot)
        })
    }

    /// The facts of the loader that is usual for an object which names none.
    pub(super) fn usual(
        &mut self,
        files: &mut Files<'_>,
        libc: Libc,
        object: &Object,
        closure: &mut Closure,
    ) -> Facts {
        for path in system_dirs::usual_loaders(libc, object) {
            if let Opened::Object(loader) = files.open_library(&path, object.into(), libc) {
                return self.of_loader(files, &loader, libc, closure);
            }
        }
        system_dirs::table(libc, object, files.sysroot)
    }
}

/// The real path and contents of a file of the root.
pub(super) fn read(files: &Files<'_>, path: &[u8]) -> Result<(ImagePath, Vec<u8>), Errno> {
    let (walk, target) = files.sysroot.lookup(path)?;
    if !matches!(target, Target::File(_)) {
        return Err(Errno::INVAL);
    }
    let number = |error: std::io::Error| super::sysroot::errno(&error);
    let file = files.sysroot.open_file(&walk.real).map_err(number)?;
    let size = file.metadata().map_err(number)?.len().min(MAX_FILE);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(number)?;
    Ok((walk.real, bytes))
}
