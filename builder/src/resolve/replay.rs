//! What runs have shown, asked for again: programs that were executed and modules that were opened become
//! requests, everything else is copied.
//!
//! Decides as what each path of a [`Profile`] belongs to an image. What stands there is asked of the root
//! once; so the same profile and the same root give the same image. Refuses to know how runs are watched.

use std::collections::BTreeSet;
use std::io;

use common::report::Diagnostic;
use common::tree::ImagePath;
use rustix::io::Errno;

use super::requests::{Asked, Requests};
use super::ship::{Added, Addition, Shipped};
use super::{Because, Cause, Closure, Libc, Origin, Request, Sysroot, Target};
use crate::spec::profile::{OWN, Profile};

/// A profile cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A program that was executed is not in the root.
    #[error("a profile says that `{program}` was executed, and it cannot be opened")]
    Program {
        /// The program.
        program: ImagePath,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Diagnostic for ReplayError {
    fn hint(&self) -> Option<String> {
        Some(
            "install what it belongs to, or take its `[[program]]` table out of the profile"
                .to_owned(),
        )
    }
}

/// As what a path of a profile is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An object: a module of its program.
    Object,
    /// A folder, or a file that is no object.
    Copied,
}

/// One program of a profile.
#[derive(Debug)]
struct Executed {
    /// As it was executed.
    path: ImagePath,
    /// With all links resolved.
    real: ImagePath,
    /// Whether it has a loader or an interpreter that can be followed.
    runs: bool,
    opened: Vec<(ImagePath, Kind)>,
}

/// A profile, looked up in a root.
#[derive(Debug)]
pub(super) struct Replay {
    programs: Vec<Executed>,
    warnings: BTreeSet<String>,
}

/// The kernel's: what a run found there says nothing to another.
const KERNEL: &[&str] = &["/proc", "/sys", "/dev"];
/// As many of a kind are named in a warning.
const NAMED: usize = 5;

impl Replay {
    /// Looks everything up.
    pub(super) fn new(profile: &Profile, sysroot: &Sysroot) -> Result<Self, ReplayError> {
        let never: Vec<ImagePath> =
            KERNEL.iter().chain(OWN).filter_map(|path| ImagePath::new(path).ok()).collect();
        let (mut absent, mut special) = (BTreeSet::new(), BTreeSet::new());
        let mut unreadable = BTreeSet::new();
        let mut programs = Vec::new();
        for (path, seen) in &profile.programs {
            let failed = |source| ReplayError::Program { program: path.clone(), source };
            let real = sysroot.walk(path.as_bytes()).map_err(failed)?.real;
            sysroot.root().open_file(real.as_bytes()).map_err(failed)?;
            let runs = sysroot.starts_with(&real, b"\x7fELF") || sysroot.starts_with(&real, b"#!");
            let mut opened = Vec::new();
            for file in seen.opened.iter().chain(&seen.listed) {
                if file.parent().is_none() || never.iter().any(|never| file.starts_with(never)) {
                    continue;
                }
                match look(sysroot, file) {
                    Ok(Some(kind)) => opened.push((file.clone(), kind)),
                    Ok(None) => drop(special.insert(file)),
                    Err(Errno::NOENT | Errno::NOTDIR) => drop(absent.insert(file)),
                    Err(_) => drop(unreadable.insert(file)),
                }
            }
            programs.push(Executed { path: path.clone(), real, runs, opened });
        }
        let warnings = [
            (absent, "which the root does not have"),
            (special, "where a device, socket or pipe stands"),
            (unreadable, "which cannot be read"),
        ];
        let warnings = warnings.iter().filter_map(|(paths, what)| warning(paths, what)).collect();
        Ok(Self { programs, warnings })
    }

    /// The programs, as requests.
    pub(super) fn requests(&self) -> impl Iterator<Item = (Request, Because)> {
        let run = self.programs.iter().filter(|program| program.runs);
        run.map(|program| (Request::Program(program.path.clone()), program.because()))
    }

    /// Adds what the programs opened to what rules ask for. `requests` are those that led to `closure`.
    pub(super) fn add(
        &self,
        closure: &Closure,
        sysroot: &Sysroot,
        requests: &Requests,
        shipped: &mut Shipped,
    ) {
        let files: BTreeSet<&ImagePath> = closure.files().into_iter().collect();
        let has = |path: &ImagePath| {
            sysroot.walk(path.as_bytes()).is_ok_and(|walk| {
                files.contains(&walk.real)
                    && walk.links.iter().all(|link| closure.links.contains_key(&link.path))
            })
        };
        for program in &self.programs {
            let because = program.because();
            if !program.runs {
                shipped.copy(&program.path, &because);
            }
            let opener = program.opener(closure, &requests.asked);
            for (path, kind) in &program.opened {
                let Some(opener) = opener.filter(|_| *kind == Kind::Object) else {
                    shipped.copy(path, &because);
                    continue;
                };
                let module = Request::Module { path: path.clone(), program: opener.clone() };
                if requests.is_out(&module) {
                    // It was read as any file is, by a program that cannot load it.
                    shipped.copy(path, &because);
                } else if !requests.has(&module) && !has(path) {
                    shipped.requests.push((Request::Program(opener.clone()), because.clone()));
                    shipped.requests.push((module, because.clone()));
                }
            }
        }
        shipped.warnings.extend(self.warnings.iter().cloned());
    }
}

impl Executed {
    fn because(&self) -> Because {
        Because { trigger: self.real.clone(), cause: Cause::Run }
    }

    /// The path of the program that opens modules: itself, or the last of those that interpret it. `None`
    /// if it has no loader.
    fn opener<'c>(&self, closure: &'c Closure, requests: &[Asked]) -> Option<&'c ImagePath> {
        let wanted = Request::Program(self.path.clone());
        let number = requests.iter().position(|(request, _)| *request == wanted)?;
        let scope = closure.programs.iter().rfind(|scope| {
            scope.request == number
                && scope.context.is_none()
                && !matches!(scope.origin, Origin::Note { .. })
                && scope.processor.is_baseline()
        })?;
        (scope.libc != Libc::Static).then_some(&scope.path)
    }
}

impl Shipped {
    fn copy(&mut self, path: &ImagePath, because: &Because) {
        let what = Added::Copy;
        // A rule knows better what stands there.
        if !self.additions.iter().any(|other| other.path == *path && other.what != what) {
            self.additions.push(Addition { path: path.clone(), what, because: because.clone() });
        }
    }
}

/// As what a path is asked for; `None` for what no image has.
fn look(sysroot: &Sysroot, path: &ImagePath) -> Result<Option<Kind>, Errno> {
    let (walk, target) = sysroot.lookup(path.as_bytes())?;
    Ok(match target {
        Target::Folder => Some(Kind::Copied),
        Target::Special => None,
        Target::File(_) => {
            sysroot
                .root()
                .open_file(walk.real.as_bytes())
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            let object = sysroot.starts_with(&walk.real, b"\x7fELF");
            Some(if object { Kind::Object } else { Kind::Copied })
        }
    })
}

fn warning(paths: &BTreeSet<&ImagePath>, what: &str) -> Option<String> {
    let named: Vec<String> = paths.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
    let more = match paths.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    (!named.is_empty()).then(|| format!("a profile names {}{more}, {what}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_a_few_and_counts_the_others() {
        let paths: Vec<ImagePath> =
            (0..7).map(|number| ImagePath::new(format!("/{number}")).unwrap()).collect();
        let text = |count: usize| warning(&paths.iter().take(count).collect(), "gone");
        assert_eq!(text(0), None);
        assert_eq!(text(1).unwrap(), "a profile names `/0`, gone");
        assert!(text(5).unwrap().ends_with("`/4`, gone"));
        assert!(text(7).unwrap().ends_with("`/4` and 2 more, gone"));
    }
}
