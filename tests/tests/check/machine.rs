//! Every program and library of this machine against its own loader: both must miss the same symbols and
//! versions.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use builder::check::{Finding, Report};
use builder::elf::{Class, Machine, Object};
use builder::resolve::Sysroot;
use tests::loader::{Fault, Loader};

use super::{GLIBC, check, faults};

/// Dynamic objects for this machine's glibc, by real path.
fn objects(folder: &str, keep: impl Fn(&Object) -> bool) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let files = entries.filter_map(|entry| entry.unwrap().path().canonicalize().ok());
    files
        .filter(|file| {
            let object = std::fs::File::open(file).ok().and_then(|f| Object::parse(&f).ok());
            file.is_file()
                && object.is_some_and(|object| {
                    object.machine == Machine::X86_64
                        && object.class == Class::Elf64
                        && object.dynamic
                        && keep(&object)
                })
        })
        .collect()
}

/// The loader names objects by the path that it opened.
fn real(fault: Fault) -> Fault {
    let real = |path: String| match Path::new(&path).canonicalize() {
        Ok(real) => real.to_string_lossy().into_owned(),
        Err(_) => path,
    };
    match fault {
        Fault::Undefined { symbol, version, object } => {
            Fault::Undefined { symbol, version, object: real(object) }
        }
        Fault::NotInFile { symbol, version, object } => {
            Fault::NotInFile { symbol, version, object: real(object) }
        }
        Fault::Version { provider, version, object } => {
            Fault::Version { provider: real(provider), version, object: real(object) }
        }
        Fault::WeakVersion { provider, version, object } => {
            Fault::WeakVersion { provider: real(provider), version, object: real(object) }
        }
        Fault::NoVersions { provider, object } => {
            Fault::NoVersions { provider: real(provider), object: real(object) }
        }
        Fault::Stops => Fault::Stops,
    }
}

/// What the loader says of each file, asked by two threads.
fn asked(files: &[PathBuf]) -> BTreeMap<PathBuf, BTreeSet<Fault>> {
    let answers = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for part in files.chunks(files.len().div_ceil(2).max(1)) {
            let answers = &answers;
            scope.spawn(move || {
                for file in part {
                    let (root, path) = (Path::new("/"), GLIBC);
                    let loader = Loader::new(root, path);
                    let faults = loader.faults(OsStr::new(file)).into_iter().map(real).collect();
                    answers.lock().unwrap().insert(file.clone(), faults);
                }
            });
        }
    });
    answers.into_inner().unwrap()
}

/// All files are checked at once, as those of an image are. (What is no failure is told once for all
/// programs.)
fn compare(files: &BTreeSet<PathBuf>) {
    let files: Vec<PathBuf> = files.iter().cloned().collect();
    let sysroot = Sysroot::open(Path::new("/")).unwrap();
    let programs: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let report = check(&sysroot, &programs);
    let is_notice =
        |fault: &Fault| matches!(fault, Fault::NoVersions { .. } | Fault::WeakVersion { .. });
    let (mut wrong, mut faulty, mut told) = (BTreeMap::new(), 0, BTreeSet::new());
    for (file, mut expected) in asked(&files) {
        faulty += usize::from(!expected.is_empty());
        told.extend(expected.extract_if(.., |fault| is_notice(fault)));
        let got = faults(&of_program(&report, file.to_str().unwrap()));
        if expected != got {
            let only = |one: &BTreeSet<Fault>, other| -> Vec<Fault> {
                one.difference(other).take(5).cloned().collect()
            };
            let (loader, check) = (only(&expected, &got), only(&got, &expected));
            wrong.insert(file, (loader, check));
        }
    }
    let (count, all) = (wrong.len(), files.len());
    assert!(wrong.is_empty(), "{count} of {all} differ ({faulty} have faults): {wrong:#?}");
    let notices = Report { problems: Vec::new(), ..report };
    assert_eq!(faults(&notices), told);
}

/// The problems of one program.
fn of_program(report: &Report, program: &str) -> Report {
    let is_in = |finding: &&Finding| finding.programs.iter().any(|p| p.to_string() == program);
    Report {
        problems: report.problems.iter().filter(is_in).cloned().collect(),
        ..Report::default()
    }
}

#[test]
fn every_program_of_this_machine_binds_as_its_loader_binds_it() {
    if tests::require::file(GLIBC).is_none() {
        return;
    }
    let programs = objects("/usr/bin", |object| {
        object.interpreter.as_ref().is_some_and(|name| !name.to_string().contains("musl"))
    });
    assert!(programs.len() > 50, "only {} programs", programs.len());
    compare(&programs);
}

#[test]
fn every_library_of_this_machine_binds_as_its_loader_binds_it() {
    if tests::require::file(GLIBC).is_none() {
        return;
    }
    compare(&objects("/usr/lib/x86_64-linux-gnu", |object| {
        object.interpreter.is_none() && !object.needed.is_empty()
    }));
}
