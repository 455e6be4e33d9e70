//! Every object of a root: what its own loader would open, against what the resolver says.

use std::fmt;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use builder::elf::{Class, Machine, Object};
use builder::resolve::{Options, Request, Sysroot, closure};
use common::tree::ImagePath;

use crate::loader::{Answer, Loader};
use crate::roots::PackageRoot;

/// Threads that ask loaders: starting processes is what takes the time.
const THREADS: usize = 2;

/// What came of the objects of one root.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Objects with an interpreter.
    pub programs: usize,
    /// Objects without one.
    pub libraries: usize,
    /// Of both, those that miss something.
    pub incomplete: usize,
    /// Of both, those at which the loader stops, or at something that they need.
    pub stopped: usize,
    /// Those of which the resolver says something else than the loader, with both answers.
    pub different: Vec<String>,
}

/// Real paths, inside the root, of all objects that the loader can be asked about: of its class and machine, with
/// a dynamic section, and no other interpreter.
///
/// # Panics
/// When the loader cannot be read.
pub fn objects(loader: Loader<'_>) -> Vec<(PathBuf, Object)> {
    let sysroot = Sysroot::open(loader.root).expect("the root");
    let real = |path: &[u8]| sysroot.walk(path).ok().map(|walk| walk.real);
    let own = real(loader.path.as_bytes()).expect("the loader");
    let file = sysroot.open_file(&own).expect("the loader");
    let fits: (Class, Machine) = {
        let object = Object::parse(&file).expect("the loader");
        (object.class, object.machine)
    };
    let files = walkdir::WalkDir::new(loader.root).same_file_system(true).sort_by_file_name();
    files
        .into_iter()
        .filter_map(|entry| {
            let entry = entry.ok().filter(|entry| entry.file_type().is_file())?;
            let object = Object::parse(&fs::File::open(entry.path()).ok()?).ok()?;
            let interpreter = object.interpreter.as_ref();
            let asked = (object.class, object.machine) == fits
                && object.dynamic
                && interpreter.is_none_or(|name| real(name.as_bytes()).as_ref() == Some(&own));
            let inside = entry.path().strip_prefix(loader.root).ok()?;
            asked.then(|| (Path::new("/").join(inside), object))
        })
        .collect()
}

/// What the resolver says of one file of a root, as if it were a program.
///
/// # Panics
/// When it refuses to read the file itself.
pub fn resolve(sysroot: &Sysroot, file: &Path, options: &Options) -> Answer {
    let path = ImagePath::new(file.as_os_str().as_bytes()).expect("an absolute path");
    let closure = closure(&[Request::Program(path)], sysroot, options);
    Answer::of(&closure.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}

/// Asks both about all objects.
///
/// # Panics
/// When the loader cannot be started, or the resolver refuses an object that is its own request.
pub fn compare(loader: Loader<'_>, objects: &[(PathBuf, Object)]) -> Comparison {
    let sysroot = Sysroot::open(loader.root).expect("the root");
    let total = Mutex::new(Comparison::default());
    std::thread::scope(|scope| {
        for part in objects.chunks(objects.len().div_ceil(THREADS).max(1)) {
            let (sysroot, total) = (&sysroot, &total);
            scope.spawn(move || {
                let files: Vec<&Path> = part.iter().map(|(file, _)| file.as_path()).collect();
                let expected = loader.list_all(&files);
                for ((file, object), expected) in part.iter().zip(expected) {
                    let got = resolve(sysroot, file, &Options::default());
                    total.lock().expect("a sum").add(file, object, &expected, &got);
                }
            });
        }
    });
    total.into_inner().expect("a sum")
}

/// Makes a root, compares all its objects, and tells; skips where it cannot be made.
///
/// # Panics
/// When an answer differs, or there are fewer objects than `least`.
pub fn check(root: PackageRoot, least: usize) {
    let Some(folder) = root.make() else { return };
    let loader = root.loader(&folder);
    compare(loader, &objects(loader)).report(root.name, least);
}

impl Comparison {
    fn add(&mut self, file: &Path, object: &Object, expected: &Answer, got: &Answer) {
        match object.interpreter {
            Some(_) => self.programs += 1,
            None => self.libraries += 1,
        }
        self.incomplete += usize::from(!expected.missing.is_empty());
        self.stopped += usize::from(expected.fatal);
        if expected != got {
            let (expected, got) = (expected.without(got), got.without(expected));
            let file = file.display();
            self.different.push(format!("{file}\n  loader:   {expected}\n  resolver: {got}"));
        }
    }

    /// Prints the figures, and fails where an answer differs.
    ///
    /// # Panics
    /// When an answer differs, or there are fewer objects than `least`.
    #[expect(clippy::print_stdout, reason = "the figures are a result of the comparison")]
    pub fn report(&self, root: &str, least: usize) {
        println!("{root}: {self}");
        assert!(self.programs + self.libraries >= least, "{root}: too few objects: {self}");
        assert!(self.different.is_empty(), "{root}: {self}:\n{}", self.different.join("\n"));
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { programs, libraries, incomplete, stopped, different } = self;
        write!(
            f,
            "{programs} programs and {libraries} libraries compared, of which {incomplete} miss \
             something and {stopped} stop the loader; {} differ",
            different.len()
        )
    }
}
