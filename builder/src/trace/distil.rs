//! What of a run is worth keeping: without the machine that it ran on, what it made itself, and what every
//! build finds without being told.
//!
//! Pure: which files a loader finds by itself, and where homes are, is told. Nothing is dropped that is
//! not counted.

use std::collections::{BTreeMap, BTreeSet};

use common::tree::ImagePath;

use super::record::Record;
use crate::spec::glob::Glob;
use crate::spec::profile::{OWN, Profile, Seen};

/// The machine's, not the application's: made anew at each start, or gone at its end.
const MACHINE: &[&str] =
    &["/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/run", "/var/lock"];
/// Where caches are that programs make for themselves.
const CACHES: &[&str] = &["/var/cache/fontconfig", "/var/cache/ldconfig"];

/// What is known besides the run itself.
#[derive(Debug, Default)]
pub struct Facts {
    /// The program that was asked for, whose place it is not to judge.
    pub main: Option<ImagePath>,
    /// Home folders.
    pub homes: Vec<ImagePath>,
    /// Folders that the run was started in, or told of.
    pub folders: Vec<ImagePath>,
    /// What is kept wherever it lies.
    pub keep: Vec<Glob>,
    /// By program, what of it was opened that its loader finds by itself.
    pub found: BTreeMap<ImagePath, BTreeSet<ImagePath>>,
}

/// How many paths were dropped, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Below /proc, /tmp and the like, and files that every image has.
    pub machine: usize,
    /// Below a home folder.
    pub home: usize,
    /// Made by the run.
    pub made: usize,
    /// Caches.
    pub cache: usize,
    /// Found by the loader without being told.
    pub found: usize,
    /// Folders of something else that is kept.
    pub folders: usize,
    /// Looked for in several places, and found in another.
    pub searched: usize,
}

/// Why a path is dropped.
#[derive(Clone, Copy)]
enum Why {
    Machine,
    Home,
    Made,
    Cache,
}

/// What is worth keeping.
#[must_use]
pub fn distil(record: &Record, facts: &Facts) -> (Profile, Dropped) {
    let sieve = Sieve::new(record, facts);
    let mut dropped = Dropped::default();
    let mut profile = Profile::default();
    for (program, seen) in &record.profile.programs {
        let is_main = facts.main.as_ref() == Some(program);
        // A program of a home is one that a person wrote: what is executed is never junk there.
        match sieve.judge(program).filter(|why| !is_main && !matches!(why, Why::Home)) {
            Some(why) => dropped.count(why),
            None => drop(
                profile.programs.insert(program.clone(), sieve.seen(program, seen, &mut dropped)),
            ),
        }
    }
    drop_folders(&mut profile, &mut dropped);
    (profile, dropped)
}

struct Sieve<'f> {
    record: &'f Record,
    facts: &'f Facts,
    /// Last components of everything that was found.
    names: BTreeSet<&'f [u8]>,
    machine: Vec<ImagePath>,
    caches: Vec<ImagePath>,
}

impl<'f> Sieve<'f> {
    fn new(record: &'f Record, facts: &'f Facts) -> Self {
        let programs = &record.profile.programs;
        let opened = programs.values().flat_map(|seen| &seen.opened);
        let names = programs.keys().chain(opened).filter_map(ImagePath::file_name).collect();
        let paths =
            |all: &[&str]| all.iter().filter_map(|path| ImagePath::new(path).ok()).collect();
        Self { record, facts, names, machine: paths(MACHINE), caches: paths(CACHES) }
    }

    fn seen(&self, program: &ImagePath, seen: &Seen, dropped: &mut Dropped) -> Seen {
        let mut kept = Seen::default();
        let found = self.facts.found.get(program);
        for path in &seen.opened {
            match self.judge(path) {
                Some(why) => dropped.count(why),
                None if found.is_some_and(|found| found.contains(path)) && !self.is_kept(path) => {
                    dropped.found += 1;
                }
                None => drop(kept.opened.insert(path.clone())),
            }
        }
        for path in &seen.listed {
            match self.judge(path) {
                Some(why) => dropped.count(why),
                None => drop(kept.listed.insert(path.clone())),
            }
        }
        for path in &seen.missing {
            match self.judge(path) {
                Some(why) => dropped.count(why),
                None if self.was_searched(path) && !self.is_kept(path) => dropped.searched += 1,
                None => drop(kept.missing.insert(path.clone())),
            }
        }
        kept
    }

    fn is_kept(&self, path: &ImagePath) -> bool {
        self.facts.keep.iter().any(|glob| glob.matches(path.as_bytes()).is_some())
    }

    fn judge(&self, path: &ImagePath) -> Option<Why> {
        let below = |folders: &[ImagePath]| folders.iter().any(|folder| path.starts_with(folder));
        if self.is_kept(path) {
            return None;
        }
        if path.parent().is_none()
            || below(&self.machine)
            || self.facts.folders.contains(path)
            || OWN.iter().any(|every| every.as_bytes() == path.as_bytes())
        {
            return Some(Why::Machine);
        }
        let made = &self.record.made;
        if made.contains(path) || path.ancestors().iter().any(|folder| made.contains(folder)) {
            return Some(Why::Made);
        }
        if below(&self.facts.homes) {
            return Some(Why::Home);
        }
        let is_cache = below(&self.caches) || path.components().any(|name| name == b"__pycache__");
        is_cache.then_some(Why::Cache)
    }

    /// Whether a path was only one of several places that something was looked for in. A library's
    /// variants for processors (`ld.so(8)`) always are, and a locale's archive is where its own folder was
    /// found (`locale/findlocale.c` of glibc).
    fn was_searched(&self, path: &ImagePath) -> bool {
        let is_locales = path.as_bytes().ends_with(b"/locale/locale-archive");
        path.file_name().is_some_and(|name| self.names.contains(name))
            || path.components().any(|name| name == b"glibc-hwcaps")
            || (is_locales && self.names.contains(&b"LC_CTYPE"[..]))
    }
}

impl Dropped {
    fn count(&mut self, why: Why) {
        *match why {
            Why::Machine => &mut self.machine,
            Why::Home => &mut self.home,
            Why::Made => &mut self.made,
            Why::Cache => &mut self.cache,
        } += 1;
    }

    /// All of them.
    #[must_use]
    pub fn sum(&self) -> usize {
        let Self { machine, home, made, cache, found, folders, searched } = self;
        machine + home + made + cache + found + folders + searched
    }
}

/// A folder that was only asked about says nothing where something in it is kept.
fn drop_folders(profile: &mut Profile, dropped: &mut Dropped) {
    let mut folders: BTreeSet<ImagePath> = BTreeSet::new();
    for (program, seen) in &profile.programs {
        for path in seen.opened.iter().chain(&seen.listed).chain([program]) {
            folders.extend(path.ancestors());
        }
    }
    for seen in profile.programs.values_mut() {
        let before = seen.opened.len();
        let Seen { opened, listed, .. } = seen;
        opened.retain(|path| !folders.contains(path) && !listed.contains(path));
        dropped.folders += before - opened.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).unwrap()
    }

    /// What is left of one path that a program opened, or missed.
    fn left(opened: &[&str], missing: &[&str], facts: &Facts) -> (Vec<String>, Dropped) {
        let mut record = Record { made: [path("/srv/made")].into(), ..Record::default() };
        let seen = record.profile.seen(path("/bin/p"));
        seen.opened.extend(opened.iter().map(|text| path(text)));
        seen.missing.extend(missing.iter().map(|text| path(text)));
        let (profile, dropped) = distil(&record, facts);
        let seen = &profile.programs[&path("/bin/p")];
        (seen.opened.iter().chain(&seen.missing).map(ToString::to_string).collect(), dropped)
    }

    fn facts() -> Facts {
        Facts {
            homes: vec![path("/home/me")],
            folders: vec![path("/srv/here")],
            keep: vec![Glob::parse(b"/home/me/app/**").unwrap()],
            found: [(path("/bin/p"), [path("/lib/libc.so.6")].into())].into(),
            ..Facts::default()
        }
    }

    #[test]
    fn the_machine_and_what_the_run_made_are_dropped() {
        for (opened, kept) in [
            ("/proc/self/maps", false),
            ("/tmp", false),
            ("/tmpfiles", true),
            ("/var/run/x.pid", false),
            ("/", false),
            ("/etc/hosts", false),
            ("/etc/ld.so.cache", false),
            ("/etc/app.conf", true),
            ("/srv/here", false),
            ("/srv/here/data", true),
            ("/home/me/.bashrc", false),
            ("/home/me/app/a.py", true),
            ("/home/you/a.py", true),
            ("/srv/made", false),
            ("/srv/made/below", false),
            ("/usr/lib/python3/__pycache__/a.pyc", false),
            ("/usr/lib/python3/a.py", true),
            ("/lib/libc.so.6", false),
        ] {
            let (left, dropped) = left(&[opened], &[], &facts());
            assert_eq!((left.len(), dropped.sum()), (kept.into(), (!kept).into()), "{opened}");
        }
    }

    #[test]
    fn places_of_a_search_that_ended_elsewhere_are_dropped() {
        let opened = ["/usr/share/perl/strict.pm", "/usr/lib/locale/C.utf8/LC_CTYPE"];
        for (missing, kept) in [
            ("/etc/perl/strict.pm", false),
            ("/etc/perl/other.pm", true),
            ("/usr/bin/p", false),
            ("/lib/glibc-hwcaps/x86-64-v3/libx.so", false),
            ("/usr/lib/locale/locale-archive", false),
            ("/usr/lib/locale/C.UTF-8/LC_CTYPE", false),
            ("/srv/made", false),
        ] {
            let (left, _) = left(&opened, &[missing], &facts());
            assert_eq!(left.len() - opened.len(), usize::from(kept), "{missing}");
        }
    }

    #[test]
    fn folders_of_what_is_kept_are_dropped() {
        let (left, dropped) = left(&["/usr", "/usr/share", "/usr/share/x", "/opt"], &[], &facts());
        assert_eq!(left, ["/opt", "/usr/share/x"]);
        assert_eq!(dropped.folders, 2);
    }

    #[test]
    fn programs_of_the_machine_are_dropped_unless_they_were_asked_for() {
        let mut record = Record::default();
        for program in ["/tmp/main", "/tmp/other", "/home/me/tool", "/bin/p"] {
            record.profile.seen(path(program));
        }
        let facts = Facts { main: Some(path("/tmp/main")), ..facts() };
        let (profile, _) = distil(&record, &facts);
        let left: Vec<String> = profile.programs.keys().map(ToString::to_string).collect();
        assert_eq!(left, ["/bin/p", "/home/me/tool", "/tmp/main"]);
    }
}
