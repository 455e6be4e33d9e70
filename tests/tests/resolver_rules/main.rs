//! Each rule of the search, on tiny objects in a root of their own. The expected answer is what the
//! real loader says in a chroot of that root; nothing is written down.
//!
//! ```text
//! search_paths  names  tokens  candidates  cache  preload  interpreters    glibc, traced
//! hwcaps                                                                   glibc, on several processors
//! audit                                                                    glibc, as it debugs itself
//! started                                                                  glibc, programs that really start
//! musl                                                                     musl
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::too_many_lines, reason = "the tests are tables")]

mod audit;
mod cache;
mod candidates;
mod hwcaps;
mod interpreters;
mod musl;
mod names;
mod preload;
mod search_paths;
mod started;
mod tokens;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use builder::elf::Name;
use builder::resolve::{Options, Request, Sysroot, closure};
use common::tree::ImagePath;
use tests::chroot::as_user;
use tests::elf::{Elf, program};
use tests::loader::{Answer, Loader};

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";
const NODEFLIB: u64 = 0x800;
const NOBODY: u32 = 65534;

/// A root to be made, and a program in it.
#[derive(Default)]
struct Case {
    objects: Vec<(&'static str, Elf)>,
    files: Vec<(&'static str, &'static [u8])>,
    links: Vec<(&'static str, &'static str)>,
    /// A new name, and the file that gets it too.
    hard_links: Vec<(&'static str, &'static str)>,
    folders: Vec<&'static str>,
    /// Files and folders that only root may read or enter; an ordinary user asks then.
    denied: Vec<&'static str>,
    library_path: Option<&'static str>,
    preload: Vec<&'static str>,
    /// Where the loader is, if it is not at its usual path.
    loader: Option<&'static str>,
    /// Folders that ldconfig scans; the cache is made when there are any.
    cached: Vec<&'static str>,
    /// More options of ldconfig.
    ldconfig: &'static [&'static str],
    /// What becomes of the bytes of the cache.
    damage: Option<fn(&mut Vec<u8>)>,
    /// Removed after the cache is made.
    removed: Vec<&'static str>,
}

/// The program is always this.
const PROGRAM: &str = "/app/bin/program";

fn case(objects: Vec<(&'static str, Elf)>) -> Case {
    Case { objects, ..Case::default() }
}

fn glibc_program(needed: &[&str]) -> Elf {
    program(GLIBC, needed)
}

impl Case {
    fn make(&self, root: &Path, loader: &str) {
        let inside = |path: &str| root.join(path.trim_start_matches('/'));
        let parent = |path: &str| {
            fs::create_dir_all(inside(path).parent().unwrap()).unwrap();
        };
        let at = self.loader.unwrap_or(loader);
        parent(at);
        fs::copy(loader, inside(at)).unwrap();
        for folder in &self.folders {
            fs::create_dir_all(inside(folder)).unwrap();
        }
        for (path, object) in &self.objects {
            object.write(&inside(path));
        }
        for (path, text) in &self.files {
            parent(path);
            fs::write(inside(path), text).unwrap();
        }
        for (path, target) in &self.links {
            parent(path);
            symlink(target, inside(path)).unwrap();
        }
        for (path, file) in &self.hard_links {
            parent(path);
            fs::hard_link(inside(file), inside(path)).unwrap();
        }
        if !self.cached.is_empty() {
            self.make_cache(root);
        }
        for path in &self.denied {
            fs::set_permissions(inside(path), fs::Permissions::from_mode(0o700)).unwrap();
        }
        for path in &self.removed {
            fs::remove_file(inside(path)).unwrap();
        }
    }

    fn make_cache(&self, root: &Path) {
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(root.join("etc/ld.so.conf"), self.cached.join("\n")).unwrap();
        let mut ldconfig = Command::new("/sbin/ldconfig");
        let made = ldconfig.arg("-X").args(self.ldconfig).arg("-r").arg(root).status();
        assert!(made.unwrap().success(), "ldconfig");
        if let Some(damage) = self.damage {
            let cache = root.join("etc/ld.so.cache");
            let mut bytes = fs::read(&cache).unwrap();
            damage(&mut bytes);
            fs::write(cache, bytes).unwrap();
        }
    }

    fn ask_loader(&self, root: &Path, path: &str) -> Answer {
        let preload = (!self.preload.is_empty()).then(|| self.preload.join(":"));
        let (library_path, preload) = (self.library_path, preload.as_deref());
        let path = self.loader.unwrap_or(path);
        let user = (!self.denied.is_empty()).then_some(NOBODY);
        let loader = Loader { library_path, preload, user, ..Loader::new(root, path) };
        loader.list(OsStr::new(PROGRAM))
    }

    fn resolve(&self, root: &Path) -> Answer {
        let sysroot = Sysroot::open(root).unwrap();
        let options = Options {
            library_path: self.library_path.map(Name::from),
            preload: self.preload.iter().copied().map(Name::from).collect(),
            ..Options::default()
        };
        let request = [Request::Program(ImagePath::new(PROGRAM).unwrap())];
        Answer::of(&closure(&request, &sysroot, &options).unwrap())
    }
}

/// Runs a table against a loader.
fn check(loader: &str, cases: Vec<(&str, Case)>) {
    let mut wrong = Vec::new();
    for (rule, case) in cases {
        let root = tempfile::tempdir().unwrap();
        case.make(root.path(), loader);
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let expected = case.ask_loader(root.path(), loader);
        let got = if case.denied.is_empty() {
            case.resolve(root.path())
        } else {
            as_user(NOBODY, || case.resolve(root.path()))
        };
        if expected != got {
            wrong.push(format!("{rule}\n  loader:   {expected}\n  resolver: {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn glibc(cases: Vec<(&str, Case)>) {
    if tests::require::root() && tests::require::file(GLIBC).is_some() {
        check(GLIBC, cases);
    }
}

fn musl(cases: Vec<(&str, Case)>) {
    if tests::require::root() && tests::require::file(MUSL).is_some() {
        check(MUSL, cases);
    }
}
