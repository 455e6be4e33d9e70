//! Whose rules hold for a program: its loader, what that has compiled in, and whether the program has
//! privileges.

use std::sync::Arc;

use common::tree::ImagePath;
use rustix::io::Errno;

use super::hwcaps::{Hwcaps, Processor};
use super::ld_cache::architecture_id;
use super::probe::{Candidate, Opened, Wanted};
use super::root_facts::read;
use super::search::Rules;
use super::state::Engine;
use super::system_dirs::{self, Facts};
use super::{Attempt, How, Libc, Missing, Refused, Relation};
use crate::elf::{Name, Object};

impl Engine<'_> {
    /// The interpreter of a program: the one it names, or for a library the usual one. Reports one that
    /// is named and cannot be used.
    pub(super) fn loader_of(
        &mut self,
        path: &ImagePath,
        object: &Arc<Object>,
    ) -> Option<(Name, Candidate)> {
        let Some(name) = &object.interpreter else {
            if object.needed.is_empty() {
                return None;
            }
            let libc = guess(object, None);
            return system_dirs::usual_loaders(libc, object).into_iter().find_map(
                |path| match self.files.open_library(&path, Wanted::from(&**object), libc) {
                    Opened::Object(found) => Some((path.into(), found)),
                    _ => None,
                },
            );
        };
        let opened =
            self.files.open_library(name.as_bytes(), Wanted::from(&**object), Libc::Static);
        let needed_by = self.files.sysroot.walk(path.as_bytes()).ok().map(|walk| walk.real);
        match opened {
            Opened::Object(found) => return Some((name.clone(), found)),
            Opened::Passed(reason) => self.closure.missing.push(Missing {
                name: name.clone(),
                needed_by,
                relation: Relation::Interpreter,
                program: path.clone(),
                request: self.request,
                tried: vec![Attempt { path: name.clone(), how: How::Path, reason }],
                clue: None,
            }),
            Opened::Refused(error) => self.closure.refused.push(Refused {
                name: name.clone(),
                path: name.clone(),
                needed_by,
                program: path.clone(),
                request: self.request,
                why: error.to_string(),
            }),
        }
        None
    }

    /// Everything that holds for a program's scope.
    pub(super) fn rules(&mut self, program: &Candidate, loader: Option<&Candidate>) -> Rules {
        let object = &program.object;
        let libc = guess(object, loader);
        let facts = match loader {
            Some(loader) => self.facts.of_loader(&self.files, loader, libc, &mut self.closure),
            None if object.is_static() => {
                Facts { libc: Libc::Static, ..system_dirs::table(libc, object, self.files.sysroot) }
            }
            None => system_dirs::table(libc, object, self.files.sysroot),
        };
        let path_file = match (&facts.path_file, loader, &object.interpreter) {
            (Some(file), Some(_), Some(interpreter)) => self.path_file(interpreter, file),
            (Some(file), ..) => self.path_file(&Name::from(&b"/lib/ld"[..]), file),
            _ => None,
        };
        let (machine, class) = (object.machine, object.class);
        let rules = Rules {
            wanted: Wanted::from(&**object),
            hwcaps: Hwcaps::none(machine, class),
            cache_id: architecture_id(object.machine, object.class, object.header_flags),
            secure: program.id.privileged || self.has_capabilities(program),
            library_path: self.options.library_path.clone(),
            path_file,
            facts,
        };
        rules.on(Processor::default())
    }

    /// musl's own search path: a file below the prefix of the interpreter's path. One that cannot be
    /// read for another reason than its absence leaves no folder at all.
    fn path_file(&mut self, interpreter: &Name, file: &Name) -> Option<Vec<Name>> {
        let mut slashes = interpreter
            .as_bytes()
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at);
        let prefix = slashes.nth(1).unwrap_or(0);
        let path = [&interpreter.as_bytes()[..prefix], file.as_bytes()].concat();
        match read(&self.files, &path) {
            Ok((real, text)) => {
                if let Ok(walk) = self.files.sysroot.walk(&path) {
                    self.note_walk(&walk);
                }
                self.closure.configuration.push(real);
                let folders = text.split(|byte| b":\n".contains(byte));
                Some(folders.filter(|folder| folder.starts_with(b"/")).map(Name::from).collect())
            }
            Err(Errno::NOENT) => None,
            Err(_) => Some(Vec::new()),
        }
    }

    fn has_capabilities(&self, program: &Candidate) -> bool {
        let Ok(file) = self.files.sysroot.open_file(&program.walk.real) else { return false };
        let mut value = [0_u8; 64];
        rustix::fs::fgetxattr(&file, c"security.capability", &mut value).is_ok()
    }
}

/// Whose loader it is, by names alone: what its contents say counts more.
fn guess(object: &Object, loader: Option<&Candidate>) -> Libc {
    let musl = |name: &[u8], part: &[u8]| name.windows(part.len()).any(|window| window == part);
    let named = object.interpreter.as_ref().is_some_and(|n| musl(n.as_bytes(), b"ld-musl-"));
    let real = loader.is_some_and(|found| musl(found.walk.real.as_bytes(), b"musl"));
    let needs = object
        .needed
        .iter()
        .any(|name| name.as_bytes().starts_with(b"libc.musl-") || name.as_bytes() == b"libc.so");
    if named || real || (object.interpreter.is_none() && needs) { Libc::Musl } else { Libc::Glibc }
}
