//! Opens candidates: each file is read once, whatever its names and however many ask.
//!
//! Decides what a loader does with what it finds: take it, pass over it, or stop there.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;

use super::hwcaps::Hwcaps;
use super::sysroot::{FileId, Sysroot, Target, Walk, errno};
use super::{Libc, Reason};
use crate::elf::{Class, ElfError, Endian, Kind, Machine, Name, Object, architecture};

/// Places that are looked at for one closure. Real ones need thousands; one object of a megabyte can ask for
/// billions, by a search path of all names that it needs.
const MAX_LOOKS: usize = 1 << 26;

/// What libraries must be to fit the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) class: Class,
    pub(super) endian: Endian,
    pub(super) machine: Machine,
}

impl From<&Object> for Wanted {
    fn from(object: &Object) -> Self {
        Self { class: object.class, endian: object.endian, machine: object.machine }
    }
}

/// An object that was opened.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) id: FileId,
    pub(super) walk: Walk,
    pub(super) object: Arc<Object>,
}

/// What became of a path.
pub(super) enum Opened {
    Object(Candidate),
    /// The search goes on.
    Passed(Reason),
    /// The loader stops there.
    Refused(Rc<ElfError>),
}

/// What is known of a file's contents.
#[derive(Clone)]
enum Contents {
    Object(Arc<Object>),
    Unreadable(Reason),
    Broken { error: Rc<ElfError>, architecture: Option<(Class, Machine)> },
}

/// All files that were read.
pub(super) struct Files<'s> {
    pub(super) sysroot: &'s Sysroot,
    read: HashMap<FileId, Contents>,
    /// Of each searched folder, the subdirectories that exist among those of a processor.
    subfolders: HashMap<Hwcaps, HashMap<Name, Rc<[Name]>>>,
    /// Places that were looked at for this closure.
    pub(super) looks: usize,
}

impl<'s> Files<'s> {
    pub(super) fn new(sysroot: &'s Sysroot) -> Self {
        Self { sysroot, read: HashMap::new(), subfolders: HashMap::new(), looks: 0 }
    }

    /// Subdirectories for a processor that exist below `folder`, in the order of the search.
    pub(super) fn subfolders(&mut self, folder: &Name, hwcaps: Hwcaps) -> Rc<[Name]> {
        let known = self.subfolders.entry(hwcaps).or_default();
        if let Some(found) = known.get(folder) {
            return Rc::clone(found);
        }
        let is_there = |name: &String| {
            self.sysroot.is_folder(&[folder.as_bytes(), b"/", name.as_bytes()].concat())
        };
        let found = hwcaps.subfolders().into_iter().filter(is_there).map(Name::from);
        let found: Rc<[Name]> = found.collect();
        known.insert(folder.clone(), Rc::clone(&found));
        found
    }

    /// Whether so many places were looked at that the search has to end.
    pub(super) fn exhausted(&self) -> bool {
        self.looks >= MAX_LOOKS
    }

    /// Opens what stands at `path`, whatever it is.
    pub(super) fn open(&mut self, path: &[u8]) -> Opened {
        self.open_as(path, None)
    }

    /// Opens what stands at `path` as a library of `wanted`, with the strictness of its loader.
    pub(super) fn open_library(&mut self, path: &[u8], wanted: Wanted, libc: Libc) -> Opened {
        self.looks += 1;
        let opened = self.open_as(path, (libc != Libc::Musl).then_some(wanted));
        let Opened::Object(candidate) = opened else { return opened };
        let verdict = match libc {
            Libc::Musl => musl_verdict(&candidate.object, wanted),
            Libc::Glibc | Libc::Static => glibc_verdict(&candidate.object, wanted),
        };
        match verdict {
            Verdict::Fits => Opened::Object(candidate),
            Verdict::Pass(reason) => Opened::Passed(reason),
            Verdict::Stop(error) => Opened::Refused(Rc::new(error)),
        }
    }

    fn open_as(&mut self, path: &[u8], wanted: Option<Wanted>) -> Opened {
        let (walk, target) = match self.sysroot.lookup(path) {
            Ok(found) => found,
            Err(number) => return Opened::Passed(self.reason(path, number)),
        };
        let id = match target {
            Target::File(id) => id,
            Target::Folder => return Opened::Refused(Rc::new(ElfError::Type("a folder"))),
            Target::Special => {
                return Opened::Refused(Rc::new(ElfError::Type("a device, pipe or socket")));
            }
        };
        match self.contents(id, &walk) {
            Contents::Object(object) => Opened::Object(Candidate { id, walk, object }),
            Contents::Unreadable(reason) => Opened::Passed(reason),
            Contents::Broken { error, architecture } => match (wanted, architecture) {
                (Some(wanted), Some((class, _))) if class != wanted.class => {
                    Opened::Passed(Reason::OtherClass)
                }
                (Some(wanted), Some((_, machine))) if machine != wanted.machine => {
                    Opened::Passed(Reason::OtherMachine)
                }
                _ => Opened::Refused(error),
            },
        }
    }

    fn contents(&mut self, id: FileId, walk: &Walk) -> Contents {
        if let Some(contents) = self.read.get(&id) {
            return contents.clone();
        }
        let contents = match self.sysroot.open_file(&walk.real) {
            Err(error) => Contents::Unreadable(plain_reason(errno(&error))),
            Ok(file) => match Object::parse(&file) {
                Ok(object) => Contents::Object(Arc::new(object)),
                Err(error) => {
                    Contents::Broken { error: Rc::new(error), architecture: architecture(&file) }
                }
            },
        };
        self.read.insert(id, contents.clone());
        contents
    }

    /// An absent file is told apart from a link that leads to one.
    fn reason(&self, path: &[u8], number: Errno) -> Reason {
        match plain_reason(number) {
            Reason::Absent if self.sysroot.ends_in_link(path) => Reason::Dangling,
            reason => reason,
        }
    }
}

fn plain_reason(number: Errno) -> Reason {
    match number {
        Errno::NOENT => Reason::Absent,
        Errno::ACCESS => Reason::Denied,
        Errno::NOTDIR => Reason::NotFolder,
        Errno::LOOP => Reason::Loop,
        other => Reason::Errno(other.raw_os_error()),
    }
}

enum Verdict {
    Fits,
    Pass(Reason),
    Stop(ElfError),
}

/// The checks of glibc's `open_verify` and `_dl_map_object_from_fd`, in their order.
fn glibc_verdict(object: &Object, wanted: Wanted) -> Verdict {
    let identity = object.identity;
    if object.class != wanted.class {
        return Verdict::Pass(Reason::OtherClass);
    }
    // The machine is read in the loader's own byte order: of an object of the other order it is another.
    let machine = if object.endian == wanted.endian {
        object.machine
    } else {
        Machine(object.machine.0.swap_bytes())
    };
    if machine != wanted.machine {
        return Verdict::Pass(Reason::OtherMachine);
    }
    if object.endian != wanted.endian {
        return Verdict::Stop(ElfError::OtherEndian);
    }
    if identity.version != 1 {
        return Verdict::Stop(ElfError::Header("its version is not 1"));
    }
    // ELFOSABI_SYSV and ELFOSABI_GNU; LIBC_ABI_MAX is 4 on x86.
    if !matches!(identity.os_abi, 0 | 3) {
        return Verdict::Stop(ElfError::Header("it is for another operating system"));
    }
    if identity.abi_version != 0 && (identity.os_abi != 3 || identity.abi_version > 3) {
        return Verdict::Stop(ElfError::Header("its ABI version is unknown"));
    }
    if !identity.padded {
        return Verdict::Stop(ElfError::Header("its unused bytes are not zero"));
    }
    Verdict::Fits
}

/// What comes after a file is known to be no object that is loaded already.
pub(super) fn loadable(object: &Object) -> Result<(), ElfError> {
    if !object.loadable {
        return Err(ElfError::Header("there is no segment to load"));
    }
    if !object.dynamic {
        return Err(ElfError::Dynamic("there is none"));
    }
    if object.kind == Kind::Fixed || object.flags.position_independent_program() {
        return Err(ElfError::Header("it is a program, which cannot be loaded as a library"));
    }
    Ok(())
}

/// musl compares nothing; what it would map of a foreign object cannot run.
fn musl_verdict(object: &Object, wanted: Wanted) -> Verdict {
    if object.class != wanted.class {
        return Verdict::Stop(ElfError::OtherClass { found: object.class, wanted: wanted.class });
    }
    if object.machine != wanted.machine {
        let (found, wanted) = (object.machine, wanted.machine);
        return Verdict::Stop(ElfError::OtherMachine { found, wanted });
    }
    if object.endian != wanted.endian {
        return Verdict::Stop(ElfError::OtherEndian);
    }
    Verdict::Fits
}
