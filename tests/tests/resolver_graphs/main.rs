//! Graphs of libraries that nobody would build on purpose: in circles, thousands deep and wide, under names
//! of any bytes; and roots that try to make the resolver wait, or look outside. The expected answer is
//! the real loader's, in a chroot of the same root, wherever it has one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod graphs;
mod names;
mod numbers;
mod roots;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use builder::resolve::{Closure, Options, Request, Sysroot, closure};
use common::tree::ImagePath;
use tempfile::TempDir;
use tests::elf::Elf;
use tests::loader::{Answer, Loader};
use tests::outcome::{Outcome, run};
use tests::scratch::Scratch;

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";
const PROGRAM: &str = "/bin/p";

/// A root that is removed with the value.
struct Root(TempDir);

impl Root {
    /// With a program, and the real loader that it names.
    fn new(program: &Elf, loader: &str) -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        root.put(PROGRAM, program);
        std::fs::create_dir_all(root.inside(loader).parent().unwrap()).unwrap();
        std::fs::copy(loader, root.inside(loader)).unwrap();
        root
    }

    fn inside(&self, path: impl AsRef<[u8]>) -> PathBuf {
        let path = path.as_ref();
        self.0.path().join(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)))
    }

    fn put(&self, path: impl AsRef<[u8]>, object: &Elf) {
        object.write(&self.inside(path));
    }

    fn file(&self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) {
        let path = self.inside(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let path = self.inside(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn resolve(&self) -> Closure {
        let sysroot = Sysroot::open(self.0.path()).unwrap();
        let request = [Request::Program(ImagePath::new(PROGRAM).unwrap())];
        closure(&request, &sysroot, &Options::default()).unwrap()
    }

    fn loader_says(&self, path: &str) -> Answer {
        let loader = Loader::new(self.0.path(), path);
        loader.list(OsStr::new(PROGRAM))
    }

    #[track_caller]
    fn agrees(&self, rule: &str, loader: &str) {
        let (expected, got) = (self.loader_says(loader), Answer::of(&self.resolve()));
        if expected != got {
            let cut = |answer: &Answer| answer.to_string().chars().take(2000).collect::<String>();
            panic!("{rule}\n  loader:   {}\n  resolver: {}", cut(&expected), cut(&got));
        }
    }
}

fn can_ask(loader: &str) -> bool {
    tests::require::root() && tests::require::file(loader).is_some()
}

fn coracle(scratch: &Scratch, root: &Root, arguments: &[&str]) -> Outcome {
    let mut command = scratch.coracle();
    run(command.args(arguments).arg("--sysroot").arg(root.0.path()).arg(PROGRAM))
}
