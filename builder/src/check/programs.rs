//! What of an image's files is a program, what is opened by one, and what cannot be told.
//!
//! Decides the requests of a check: every executable object is a program. A shared object that the
//! image's builder put there for programs to open is a module of the programs that the image is for. Any
//! other is resolved as if it were the program, as `ld.so --list` does it, and is a stranger: its own
//! program may define what it misses.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;

use crate::elf::{Kind, Object};
use crate::resolve::{Closure, Options, Request, ResolveError, Sysroot, closure};

/// Requests for all of an image.
#[derive(Debug, Default)]
pub struct Requests {
    /// The requests.
    pub requests: Vec<Request>,
    /// Requested objects whose program is not known.
    pub strangers: BTreeSet<ImagePath>,
}

/// Modules are tried in this many programs at most.
const MOST_OPENERS: usize = 16;

impl Requests {
    /// What to ask for: `files` are the image's, and whether each may be executed; `asked` are the
    /// programs that it is for; `opened` tells whether a file is there to be opened by them.
    ///
    /// # Errors
    /// Where one of `asked` cannot be resolved.
    pub fn of(
        sysroot: &Sysroot,
        files: &BTreeMap<ImagePath, bool>,
        asked: &[ImagePath],
        options: &Options,
        opened: impl Fn(&ImagePath) -> bool,
    ) -> Result<Self, ResolveError> {
        let request = |path: &ImagePath| Request::Program(path.clone());
        let mut seen = BTreeSet::new();
        // A program and a link that leads to it are one.
        let real = |path: &ImagePath| sysroot.walk(path.as_bytes()).map(|walk| walk.real).ok();
        let once = asked.iter().filter(|path| seen.insert(real(path)));
        let mut requests: Vec<Request> = once.map(request).collect();
        // Scripts' interpreters are programs too.
        let first = closure(&requests, sysroot, options)?;
        let mut known = BTreeSet::new();
        for program in &first.programs {
            let object = program.loads.first().and_then(|load| first.objects.get(load.object));
            known.extend(object.map(|found| &found.path));
        }
        let (programs, libraries) = objects(sysroot, files);
        requests.extend(programs.iter().filter(|path| known.insert(path)).map(request));
        let found = closure(&requests, sysroot, options)?;
        let openers = if asked.is_empty() { started(&found) } else { started(&first) };
        let openers: Vec<&ImagePath> = openers.into_iter().take(MOST_OPENERS).collect();
        let loaded: BTreeSet<&ImagePath> = found.objects.iter().map(|o| &o.path).collect();
        let mut strangers = BTreeSet::new();
        for path in libraries.into_iter().filter(|path| !loaded.contains(path)) {
            if opened(&path) && !openers.is_empty() {
                requests.extend(openers.iter().map(|&program| Request::Module {
                    path: path.clone(),
                    program: program.clone(),
                }));
            } else {
                requests.push(request(&path));
                strangers.insert(path);
            }
        }
        Ok(Self { requests, strangers })
    }
}

/// Paths of all programs of a closure.
fn started(closure: &Closure) -> BTreeSet<&ImagePath> {
    closure.programs.iter().map(|program| &program.path).collect()
}

/// Programs, and shared objects. Of the names that one file has in one folder, the first.
fn objects(
    sysroot: &Sysroot,
    files: &BTreeMap<ImagePath, bool>,
) -> (Vec<ImagePath>, Vec<ImagePath>) {
    let (mut programs, mut libraries) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (path, &executable) in files {
        let identity = sysroot.root().symlink_metadata(path.as_bytes()).map(|s| s.st_ino);
        if identity.is_ok_and(|inode| !seen.insert((path.parent(), inode))) {
            continue;
        }
        match sysroot.open_file(path).ok().and_then(|file| Object::parse(&file).ok()) {
            Some(object) if executable && is_program(&object) => programs.push(path.clone()),
            Some(object) if object.dynamic && !is_program(&object) => libraries.push(path.clone()),
            // Scripts and data; and what is broken, which matters where something loads it.
            _ => {}
        }
    }
    (programs, libraries)
}

/// glibc's library can be executed too, but others load it: what has a soname is no program.
fn is_program(object: &Object) -> bool {
    let starts = object.interpreter.is_some() || object.kind == Kind::Fixed;
    let starts = starts || object.flags.position_independent_program() || object.is_static();
    starts && object.soname.is_none()
}
