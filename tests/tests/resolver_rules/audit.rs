//! glibc: `DT_AUDIT` and `DT_DEPAUDIT`. Auditors live in namespaces of their own, which tracing does not list: the
//! loader's debugging output (`LD_DEBUG`) tells what it opens there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use builder::resolve::{Options, Relation, Request, Sysroot, closure};
use common::tree::ImagePath;
use tests::chroot::inside;
use tests::elf::{library, tag};

use super::{Case, GLIBC, PROGRAM, case, glibc_program};

/// Paths of the objects that the loader opens in other namespaces than the first.
///
/// ```text
///      2:      file=libdep.so [1];  needed by /x/audit.so [1]
///      2:        trying file=/u/libdep.so
///      2:      file=libdep.so [1];  generating link map
/// ```
fn ask_loader(root: &Path) -> BTreeSet<String> {
    let mut command = Command::new(GLIBC);
    command.env("LD_TRACE_LOADED_OBJECTS", "1").env("LD_DEBUG", "libs,files");
    command.arg(PROGRAM).stdin(Stdio::inherit());
    let output = inside(root, || command.output().unwrap());
    let text = String::from_utf8(output.stderr).unwrap();
    let (mut tried, mut opened) = ("", BTreeSet::new());
    for line in text.lines() {
        let line = line.split_once(':').map_or("", |(_, line)| line.trim());
        if let Some(path) = line.strip_prefix("trying file=") {
            tried = path;
        } else if let Some(named) = line.strip_prefix("file=")
            && let Some((name, what)) = named.split_once(" [")
            && what.ends_with("generating link map")
            && !what.starts_with("0]")
        {
            opened.insert(if name.contains('/') { name } else { tried }.to_owned());
        }
    }
    opened
}

/// What the resolver loads for auditors: them, and what they and theirs ask for first.
fn resolve(root: &Path) -> BTreeSet<String> {
    let sysroot = Sysroot::open(root).unwrap();
    let request = [Request::Program(ImagePath::new(PROGRAM).unwrap())];
    let closure = closure(&request, &sysroot, &Options::default()).unwrap();
    let loads = &closure.programs[0].loads;
    let first = loads.iter().position(|load| load.relation == Relation::Audit);
    let auditors = &loads[first.unwrap_or(loads.len())..];
    auditors.iter().map(|load| load.opened.to_string()).collect()
}

#[test]
fn glibc_auditors() {
    if !tests::require::root() || tests::require::file(GLIBC).is_none() {
        return;
    }
    let audit = |needed: &[&str]| library("audit.so", needed);
    let a = || library("liba.so", &[]);
    let mut wrong = Vec::new();
    let cases: Vec<(&str, Case)> = vec![
        (
            "by path, with what it needs",
            case(vec![
                (PROGRAM, glibc_program(&[]).text(tag::AUDIT, "/x/audit.so")),
                ("/x/audit.so", audit(&["liba.so"]).runpath("$ORIGIN")),
                ("/x/liba.so", a()),
            ]),
        ),
        (
            "several, of both tags",
            case(vec![
                (
                    PROGRAM,
                    glibc_program(&[])
                        .text(tag::DEPAUDIT, "/x/three.so")
                        .text(tag::AUDIT, "/x/audit.so:/x/gone.so:/x/two.so"),
                ),
                ("/x/audit.so", audit(&[])),
                ("/x/two.so", library("two.so", &[])),
                ("/x/three.so", library("three.so", &[])),
            ]),
        ),
        (
            "by name, in a system directory",
            case(vec![
                (PROGRAM, glibc_program(&[]).text(tag::AUDIT, "audit.so")),
                ("/usr/lib/audit.so", audit(&["liba.so"])),
                ("/usr/lib/liba.so", a()),
            ]),
        ),
        (
            "by name, with the program's RPATH",
            case(vec![
                (PROGRAM, glibc_program(&[]).text(tag::AUDIT, "audit.so").rpath("/r")),
                ("/r/audit.so", audit(&["liba.so"])),
                ("/r/liba.so", a()),
            ]),
        ),
        (
            "by name, with the program's RUNPATH",
            case(vec![
                (PROGRAM, glibc_program(&[]).text(tag::AUDIT, "audit.so").runpath("/r")),
                ("/r/audit.so", audit(&[])),
            ]),
        ),
        (
            "nothing of the program is loaded already for it",
            case(vec![
                (
                    PROGRAM,
                    glibc_program(&["liba.so"]).text(tag::AUDIT, "/x/audit.so").runpath("/u"),
                ),
                ("/u/liba.so", a()),
                ("/x/audit.so", audit(&["liba.so"]).runpath("$ORIGIN")),
                ("/x/liba.so", a()),
            ]),
        ),
    ];
    for (rule, case) in cases {
        let root = tempfile::tempdir().unwrap();
        case.make(root.path(), GLIBC);
        let (expected, got) = (ask_loader(root.path()), resolve(root.path()));
        if expected != got {
            wrong.push(format!("{rule}\n  loader:   {expected:?}\n  resolver: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
