//! Libraries linked by gcc with version scripts, one of them replaced by another afterwards: what `ldd -r`
//! says, what the check says, and what a build says.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use builder::elf::Name;
use builder::resolve::{Options, Request, Sysroot, closure};
use common::tree::ImagePath;
use tests::loader::{Fault, Loader};
use tests::outcome::run;
use tests::samples::compile_c;
use tests::scratch::Scratch;

use super::{GLIBC, MUSL, faults};

const OLD: &str = "int f(void) { return 1; }\n";
const NEW: &str = "int f(void) { return 1; }\nint g(void) { return 2; }\nint data = 3;\n";
const USER: &str =
    "int f(void); int g(void); extern int data; int main(void) { return f() + g() + data; }\n";
const OLD_MAP: &str = "V1 { global: f; local: *; };\n";
const NEW_MAP: &str = "V1 { global: f; local: *; };\nV2 { global: g; data; } V1;\n";

/// Makes `NAME/libv.so.1`.
fn library(
    scratch: &Scratch,
    compiler: &str,
    name: &str,
    source: &str,
    map: Option<&str>,
) -> Option<()> {
    let folder = scratch.subfolder(name);
    let map = map.map(|map| scratch.file(&format!("{name}.map"), map));
    let script = map.map(|map| format!("-Wl,--version-script={}", map.display()));
    let mut options = vec!["-shared", "-fPIC", "-Wl,-soname,libv.so.1"];
    options.extend(script.as_deref());
    compile_c(compiler, &options, source, &folder.join("libv.so.1"))
}

fn user(scratch: &Scratch, compiler: &str, pie: &str) -> Option<()> {
    let lib = scratch.path().join("new/libv.so.1");
    let options = [lib.to_str().unwrap(), pie, "-Wl,--no-as-needed"];
    compile_c(compiler, &options, USER, &scratch.path().join("user"))
}

fn differ(scratch: &Scratch, loader: &str, folder: &str) -> BTreeSet<Fault> {
    let program = scratch.path().join("user");
    let library_path = scratch.path().join(folder);
    let library_path = library_path.to_str();
    let asked = Loader { root: Path::new("/"), path: loader, library_path, preload: None };
    // Of libc, the loader names the link by which it opened it.
    let expected = asked.faults(OsStr::new(&program));
    let sysroot = Sysroot::open(Path::new("/")).unwrap();
    let request = Request::Program(ImagePath::new(program.to_str().unwrap()).unwrap());
    let options = Options { library_path: library_path.map(Name::from), ..Options::default() };
    let closure = closure(&[request], &sysroot, &options).unwrap();
    let report = builder::check::check(&closure, &sysroot, &BTreeSet::new());
    assert_eq!(faults(&report), expected, "{folder} with {loader}");
    expected
}

fn compare(compiler: &str, loader: &str) {
    if tests::require::file(loader).is_none() {
        return;
    }
    let scratch = Scratch::new("check-linked");
    let lib = |name, source, map| library(&scratch, compiler, name, source, map);
    if lib("new", NEW, Some(NEW_MAP)).is_none() {
        return;
    }
    lib("old", OLD, Some(OLD_MAP)).unwrap();
    lib("plain", NEW, None).unwrap();
    lib("other", NEW, Some("W { global: f; g; data; };\n")).unwrap();
    lib("lost", "int f(void) { return 1; }\nint h;\n", Some("V1 { f; };\nV2 { h; };\n")).unwrap();
    for pie in ["-pie", "-no-pie"] {
        user(&scratch, compiler, pie).unwrap();
        assert_eq!(differ(&scratch, loader, "new"), BTreeSet::new());
        for folder in ["old", "lost"] {
            assert!(!differ(&scratch, loader, folder).is_empty(), "{folder}");
        }
        for folder in ["plain", "other"] {
            differ(&scratch, loader, folder);
        }
    }
}

#[test]
fn a_replaced_library_misses_what_ldd_says_it_misses() {
    compare("gcc", GLIBC);
}

#[test]
fn a_replaced_library_misses_what_musl_says_it_misses() {
    compare("musl-gcc", MUSL);
}

#[test]
fn a_build_refuses_a_library_of_another_version() {
    let scratch = Scratch::new("check-build");
    if library(&scratch, "gcc", "new", NEW, Some(NEW_MAP)).is_none() {
        return;
    }
    library(&scratch, "gcc", "old", OLD, Some(OLD_MAP)).unwrap();
    user(&scratch, "gcc", "-pie").unwrap();
    let build = |folder: &str| {
        let folder = scratch.path().join(folder);
        run(scratch.coracle().args(["build", "./user", "--library-path"]).arg(folder))
    };
    build("new").ok();
    let outcome = build("old").exits(1).says(&[
        "needs version `V2` of `libv.so.1`",
        "/old/libv.so.1` does not define it",
        "hint: take a libv.so.1 that defines V2",
    ]);
    assert_eq!(outcome.text(), "");
    run(scratch.coracle().args(["check", "user"])).ok();
}
