//! What `coracle tree` and `coracle why` say, on tiny objects in roots of their own: every rule that
//! finds, what is passed over on the way, what a found file hides, and who needs it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod graph;
mod text;
mod why;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::elf::Name;
use builder::report::tree::Explained;
use builder::resolve::{Options, Request, Sysroot, explain};
use common::tree::ImagePath;
use tests::elf::{Elf, library};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";
/// Type of `.note.package` (UAPI group, "Package Metadata for Executable Files").
const PACKAGE: u32 = 0xcafe_1a7e;

/// A root to be made; the program is always `/app/run`.
#[derive(Default)]
struct Case {
    objects: Vec<(&'static str, Elf)>,
    links: Vec<(&'static str, &'static str)>,
    /// Second names of files: the new one, the old one.
    hard: Vec<(&'static str, &'static str)>,
    files: Vec<(&'static str, &'static [u8])>,
    /// Folders that ldconfig scans; the cache is made when there are any.
    cached: Vec<&'static str>,
    library_path: Option<&'static str>,
    preload: Option<&'static str>,
}

fn case(objects: Vec<(&'static str, Elf)>) -> Case {
    Case { objects, ..Case::default() }
}

fn below(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)))
}

impl Case {
    /// A merged-usr root with loaders that are no real ones, so that usual directories are guessed.
    fn root(&self) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = below(root.path(), path.as_bytes());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        std::fs::create_dir_all(root.path().join("usr/lib/x86_64-linux-gnu")).unwrap();
        std::fs::create_dir_all(root.path().join("usr/lib64")).unwrap();
        for (name, target) in [("lib", "usr/lib"), ("lib64", "usr/lib64")] {
            symlink(target, root.path().join(name)).unwrap();
        }
        library("ld-linux-x86-64.so.2", &[]).write(&make(LOADER));
        library("libc.so", &[]).write(&make(MUSL));
        for (path, object) in &self.objects {
            object.write(&make(path));
        }
        for (path, target) in &self.links {
            symlink(target, make(path)).unwrap();
        }
        for (path, old) in &self.hard {
            std::fs::hard_link(below(root.path(), old.as_bytes()), make(path)).unwrap();
        }
        for (path, bytes) in &self.files {
            std::fs::write(make(path), bytes).unwrap();
        }
        if !self.cached.is_empty() {
            std::fs::write(make("/etc/ld.so.conf"), self.cached.join("\n")).unwrap();
            let made = Command::new("/sbin/ldconfig").arg("-X").arg("-r").arg(root.path()).status();
            assert!(made.unwrap().success(), "ldconfig");
        }
        root
    }

    fn explained(&self) -> Explained {
        let options = Options {
            library_path: self.library_path.map(Name::from),
            preload: self.preload.into_iter().map(Name::from).collect(),
            ..Options::default()
        };
        explained(self.root().path(), &options)
    }
}

/// What is known of the program of a root.
fn explained(root: &Path, options: &Options) -> Explained {
    let request = [Request::Program(ImagePath::new("/app/run").unwrap())];
    let sysroot = Sysroot::open(root).unwrap();
    let (closure, explanation) = explain(&request, &sysroot, options).unwrap();
    Explained { closure, explanation }
}
