//! The resolver against the machine's own loader: for every program in /usr/bin and /usr/sbin, and
//! every library beside libc, both must name the same files under the same names.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use builder::elf::{Machine, Object, undefined_symbols};
use builder::resolve::{Closure, Load, Options, Program, Request, Sysroot, closure};
use builder::spec::search::Cpus;
use common::tree::ImagePath;
use tests::comparison::resolve;
use tests::loader::Loader;

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";

/// ELF files of this machine with a dynamic section, by real path.
fn objects(folders: &[&str], keep: impl Fn(&Path, &Object) -> bool) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Ok(real) = path.canonicalize() else { continue };
            if !real.is_file() {
                continue;
            }
            let file = std::fs::File::open(&real).unwrap();
            let Ok(object) = Object::parse(&file) else { continue };
            let host =
                if cfg!(target_arch = "x86_64") { Machine::X86_64 } else { Machine::AARCH64 };
            if object.machine == host && object.dynamic && keep(&real, &object) {
                files.insert(real);
            }
        }
    }
    files
}

fn compare(files: &BTreeSet<PathBuf>) {
    let sysroot = Sysroot::open(Path::new("/")).unwrap();
    let files: Vec<_> = files.iter().collect();
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for part in files.chunks(files.len().div_ceil(2).max(1)) {
            let (wrong, sysroot) = (&wrong, &sysroot);
            scope.spawn(move || {
                for file in part {
                    let expected = Loader::new(Path::new("/"), GLIBC).list(OsStr::new(file));
                    let got = resolve(sysroot, file, &Options::default());
                    if expected != got {
                        wrong.lock().unwrap().push(format!(
                            "{}\n  loader:   {expected}\n  resolver: {got}",
                            file.display()
                        ));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

#[test]
fn every_program_of_this_machine_resolves_as_its_loader_does() {
    if tests::require::file(GLIBC).is_none() {
        return;
    }
    let programs = objects(&["/usr/bin", "/usr/sbin"], |_, object| {
        object.interpreter.as_ref().is_some_and(|name| !name.to_string().contains("musl"))
    });
    assert!(programs.len() > 50, "only {} programs", programs.len());
    compare(&programs);
}

/// What one program has found, the next need not search for again; the answer is the same.
#[test]
fn programs_that_are_resolved_together_are_resolved_as_alone() {
    let programs = objects(&["/usr/bin", "/usr/sbin"], |_, object| object.interpreter.is_some());
    let request =
        |file: &PathBuf| Request::Program(ImagePath::new(file.as_os_str().as_bytes()).unwrap());
    let requests: Vec<Request> = programs.iter().map(request).collect();
    let sysroot = Sysroot::open(Path::new("/")).unwrap();
    let options = Options { cpus: Cpus::All, ..Options::default() };
    let loads = |closure: &Closure, program: &Program| -> Vec<String> {
        let load = |load: &Load| {
            let path = &closure.objects[load.object].path;
            format!("{:?} {:?} {path} {:?} {:?}", load.name, load.opened, load.how, load.tried)
        };
        program.loads.iter().map(load).collect()
    };
    let together = closure(&requests, &sysroot, &options).unwrap();
    let mut rest = together.programs.iter();
    for request in requests {
        let alone = closure(&[request], &sysroot, &options).unwrap();
        for program in &alone.programs {
            let same = rest.next().unwrap();
            assert_eq!((&same.path, same.processor), (&program.path, program.processor));
            assert_eq!(loads(&together, same), loads(&alone, program), "{}", program.path);
        }
    }
    assert!(rest.next().is_none());
}

#[test]
fn every_library_of_this_machine_resolves_as_its_loader_does() {
    if tests::require::file(GLIBC).is_none() {
        return;
    }
    let libraries = objects(&["/usr/lib/x86_64-linux-gnu"], |path, object| {
        object.interpreter.is_none()
            && !object.needed.is_empty()
            && path.to_string_lossy().contains(".so")
    });
    compare(&libraries);
}

#[test]
fn undefined_symbols_are_those_that_nm_names() {
    let Some(nm) = tests::require::program("nm") else { return };
    for file in ["/bin/bash", "/bin/ls", "/lib/x86_64-linux-gnu/libc.so.6", GLIBC] {
        let Some(file) = tests::require::file(file) else { return };
        let output = Command::new(&nm).args(["-D", "-u"]).arg(&file).output().unwrap();
        let expected: BTreeSet<String> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter_map(|line| line.split_whitespace().last())
            .map(|name| name.split('@').next().unwrap_or(name).to_owned())
            .collect();
        let got: BTreeSet<String> = undefined_symbols(&std::fs::File::open(&file).unwrap())
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(got, expected, "{}", file.display());
    }
}
