//! Each rule of binding, on tiny objects in a root of their own. The expected answer is what the real
//! loader says in a chroot of that root; nothing is written down.
#![expect(clippy::too_many_lines, reason = "the tests are tables")]

use std::collections::BTreeSet;
use std::ffi::OsStr;

use builder::resolve::Sysroot;
use tests::elf::{Elf, Symbol, library, program, tag};
use tests::loader::{Fault, Loader};

use super::{GLIBC, MUSL, check, faults};

const PROGRAM: &str = "/app/program";
/// x86-64 relocations.
const ADDRESS: u64 = 1;
const COPY: u64 = 5;
const CALL: u64 = 7;

type Case = (&'static str, Vec<(&'static str, Elf)>);

fn run(loader: &str, cases: &[Case]) {
    let mut wrong = Vec::new();
    let mut silent = 0;
    for (rule, objects) in cases {
        let root = tempfile::tempdir().unwrap();
        let inside = |path: &str| root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(inside(loader).parent().unwrap()).unwrap();
        std::fs::copy(loader, inside(loader)).unwrap();
        for (path, object) in objects {
            object.write(&inside(path));
        }
        let asked = Loader::new(root.path(), loader);
        let expected: BTreeSet<Fault> = asked.faults(OsStr::new(PROGRAM));
        let got = faults(&check(&Sysroot::open(root.path()).unwrap(), &[PROGRAM]));
        silent += usize::from(expected.is_empty());
        if expected != got {
            wrong.push(format!("{rule}\n  loader: {expected:?}\n  check:  {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A loader that says nothing, or complains about everything, would prove nothing.
    assert!(0 < silent && silent < cases.len(), "{silent} of {} rules are silent", cases.len());
}

/// A program that uses `f` of liba.
fn uses(symbol: Symbol, relocation: u64) -> Elf {
    program(GLIBC, &["liba.so"]).uses(symbol, relocation)
}

fn lib(symbol: Symbol) -> Elf {
    library("liba.so", &[]).symbol(symbol)
}

/// A program that uses version `V1` of `f`.
fn uses_version(version: u16) -> Elf {
    uses(Symbol::undefined("f").version(version), CALL).needs_version("liba.so", "V1", version, 0)
}

fn versioned(version: u16, defined: &[&str]) -> Elf {
    let lib = lib(Symbol::defined("f").version(version)).defines_version("liba.so", 1, 1);
    (2..).zip(defined).fold(lib, |lib, (number, name)| lib.defines_version(name, number, 0))
}

const A: &str = "/lib/liba.so";
const B: &str = "/lib/libb.so";

#[test]
fn glibc_symbols_without_versions() {
    if !tests::require::root() || tests::require::file(GLIBC).is_none() {
        return;
    }
    let f = || Symbol::undefined("f");
    let d = || Symbol::defined("f");
    run(
        GLIBC,
        &[
            ("defined", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d()))]),
            ("undefined", vec![(PROGRAM, uses(f(), CALL)), (A, lib(Symbol::defined("g")))]),
            ("undefined data", vec![(PROGRAM, uses(f(), ADDRESS)), (A, library("liba.so", &[]))]),
            (
                "weak reference",
                vec![(PROGRAM, uses(f().binding(2), ADDRESS)), (A, lib(Symbol::defined("g")))],
            ),
            (
                "symbol that nothing uses",
                vec![
                    (PROGRAM, program(GLIBC, &["liba.so"]).symbol(f())),
                    (A, library("liba.so", &[])),
                ],
            ),
            (
                "local reference",
                vec![(PROGRAM, uses(f().binding(0), ADDRESS)), (A, library("liba.so", &[]))],
            ),
            (
                "hidden reference",
                vec![(PROGRAM, uses(f().visibility(2), ADDRESS)), (A, library("liba.so", &[]))],
            ),
            (
                "protected reference",
                vec![(PROGRAM, uses(f().visibility(3), ADDRESS)), (A, library("liba.so", &[]))],
            ),
            ("weak definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().binding(2)))]),
            ("unique definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().binding(10)))]),
            ("local definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().binding(0)))]),
            (
                "definition of another binding",
                vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().binding(5)))],
            ),
            ("hidden definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().visibility(2)))]),
            ("internal definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().visibility(1)))]),
            ("protected definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().visibility(3)))]),
            ("definition without a type", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().kind(0)))]),
            ("section", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().kind(3)))]),
            ("file", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().kind(4)))]),
            ("type of another system", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().kind(13)))]),
            ("definition at 0", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().value(0)))]),
            (
                "own definition at 0",
                vec![(PROGRAM, uses(d().value(0), ADDRESS)), (A, library("liba.so", &[]))],
            ),
            ("own definition", vec![(PROGRAM, uses(d(), ADDRESS)), (A, library("liba.so", &[]))]),
            (
                "own section",
                vec![(PROGRAM, uses(d().kind(3), ADDRESS)), (A, library("liba.so", &[]))],
            ),
            (
                "entry of a program for an undefined function, for an address",
                vec![
                    (PROGRAM, program(GLIBC, &["liba.so"]).symbol(f().value(0x40))),
                    (A, library("liba.so", &[]).uses(f(), ADDRESS)),
                ],
            ),
            (
                "entry of a program for an undefined function, for a call",
                vec![
                    (PROGRAM, program(GLIBC, &["liba.so"]).symbol(f().value(0x40))),
                    (A, library("liba.so", &[]).uses(f(), CALL)),
                ],
            ),
            (
                "copy of what a library defines",
                vec![(PROGRAM, uses(d().kind(1), COPY)), (A, lib(d().kind(1)))],
            ),
            (
                "copy of what the program alone defines",
                vec![(PROGRAM, uses(d().kind(1), COPY)), (A, library("liba.so", &[]))],
            ),
            (
                "defined by what a library needs",
                vec![
                    (PROGRAM, uses(f(), CALL)),
                    (A, library("liba.so", &["libb.so"])),
                    (B, library("libb.so", &[]).symbol(d())),
                ],
            ),
            (
                "defined by the program for its library",
                vec![
                    (PROGRAM, program(GLIBC, &["liba.so"]).symbol(d())),
                    (A, library("liba.so", &[]).uses(f(), CALL)),
                ],
            ),
            ("library is missing", vec![(PROGRAM, uses(f(), CALL))]),
            (
                "auxiliary",
                vec![
                    (PROGRAM, uses(f(), CALL)),
                    (A, library("liba.so", &[]).text(tag::AUXILIARY, "libb.so")),
                    (B, library("libb.so", &[]).symbol(d())),
                ],
            ),
        ],
    );
}

#[test]
fn glibc_versions() {
    if !tests::require::root() || tests::require::file(GLIBC).is_none() {
        return;
    }
    let plain = || uses(Symbol::undefined("f"), CALL);
    run(
        GLIBC,
        &[
            ("met", vec![(PROGRAM, uses_version(2)), (A, versioned(2, &["V1"]))]),
            ("not met", vec![(PROGRAM, uses_version(2)), (A, versioned(2, &["V2"]))]),
            (
                "met, and the symbol is of another",
                vec![(PROGRAM, uses_version(2)), (A, versioned(3, &["V1", "V2"]))],
            ),
            (
                "met by a hidden definition",
                vec![(PROGRAM, uses_version(2)), (A, versioned(0x8002, &["V1"]))],
            ),
            (
                "the symbol has the base version",
                vec![(PROGRAM, uses_version(2)), (A, versioned(1, &["V1"]))],
            ),
            (
                "the symbol has the base version and is hidden",
                vec![(PROGRAM, uses_version(2)), (A, versioned(0x8001, &["V1"]))],
            ),
            (
                "the symbol is local by version",
                vec![(PROGRAM, uses_version(2)), (A, versioned(0, &["V1"]))],
            ),
            (
                "a reference that takes no other version",
                vec![(PROGRAM, uses_version(0x8002)), (A, versioned(1, &["V1"]))],
            ),
            (
                "the base version itself is needed",
                vec![
                    (
                        PROGRAM,
                        uses(Symbol::undefined("f").version(2), CALL)
                            .needs_version("liba.so", "liba.so", 2, 0),
                    ),
                    (A, versioned(2, &["V1"])),
                ],
            ),
            (
                "weak need",
                vec![
                    (PROGRAM, program(GLIBC, &["liba.so"]).needs_version("liba.so", "V1", 2, 2)),
                    (A, versioned(2, &["V2"])),
                ],
            ),
            (
                "a library without versions",
                vec![(PROGRAM, uses_version(2)), (A, lib(Symbol::defined("f")))],
            ),
            (
                "a library without definitions of versions",
                vec![
                    (PROGRAM, uses_version(2)),
                    (
                        A,
                        lib(Symbol::defined("f"))
                            .needed("libb.so")
                            .needs_version("libb.so", "V1", 2, 0),
                    ),
                    (
                        B,
                        library("libb.so", &[])
                            .defines_version("libb.so", 1, 1)
                            .defines_version("V1", 2, 0),
                    ),
                ],
            ),
            (
                "versions of what nothing loads",
                vec![
                    (
                        PROGRAM,
                        uses(Symbol::undefined("f"), CALL).needs_version("libz.so", "V1", 2, 0),
                    ),
                    (A, lib(Symbol::defined("f"))),
                ],
            ),
            (
                "the symbol moved to another library",
                vec![
                    (PROGRAM, uses_version(2).needed("libb.so")),
                    (
                        A,
                        library("liba.so", &[])
                            .defines_version("liba.so", 1, 1)
                            .defines_version("V1", 2, 0),
                    ),
                    (
                        B,
                        library("libb.so", &[])
                            .symbol(Symbol::defined("f").version(2))
                            .defines_version("libb.so", 1, 1)
                            .defines_version("V1", 2, 0),
                    ),
                ],
            ),
            (
                "a weak reference to a version that its library lacks",
                vec![
                    (
                        PROGRAM,
                        uses(Symbol::undefined("f").binding(2).version(2), ADDRESS)
                            .needs_version("liba.so", "V1", 2, 0),
                    ),
                    (A, versioned(2, &["V2"])),
                ],
            ),
            ("no version wanted: the first", vec![(PROGRAM, plain()), (A, versioned(2, &["V1"]))]),
            (
                "no version wanted: the first, hidden",
                vec![(PROGRAM, plain()), (A, versioned(0x8002, &["V1"]))],
            ),
            (
                "no version wanted: a sole later one",
                vec![(PROGRAM, plain()), (A, versioned(3, &["V1", "V2"]))],
            ),
            (
                "no version wanted: a sole later one, hidden",
                vec![(PROGRAM, plain()), (A, versioned(0x8003, &["V1", "V2"]))],
            ),
            (
                "no version wanted: two later ones",
                vec![
                    (PROGRAM, plain()),
                    (A, versioned(3, &["V1", "V2", "V3"]).symbol(Symbol::defined("f").version(4))),
                ],
            ),
            (
                "no version wanted: two later ones, one hidden",
                vec![
                    (PROGRAM, plain()),
                    (
                        A,
                        versioned(3, &["V1", "V2", "V3"])
                            .symbol(Symbol::defined("f").version(0x8004)),
                    ),
                ],
            ),
            (
                "versions of a missing library",
                vec![
                    (
                        PROGRAM,
                        uses_version(2).needed("libb.so").needs_version("libb.so", "V1", 3, 0),
                    ),
                    (
                        B,
                        library("libb.so", &[])
                            .defines_version("libb.so", 1, 1)
                            .defines_version("V1", 2, 0),
                    ),
                ],
            ),
        ],
    );
}

#[test]
fn musl_symbols() {
    if !tests::require::root() || tests::require::file(MUSL).is_none() {
        return;
    }
    let uses = |symbol, relocation| program(MUSL, &["liba.so"]).uses(symbol, relocation);
    let f = || Symbol::undefined("f");
    let d = || Symbol::defined("f");
    let version = |version| {
        lib(d().version(version)).defines_version("liba.so", 1, 1).defines_version("V1", 2, 0)
    };
    run(
        MUSL,
        &[
            ("defined", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d()))]),
            ("undefined", vec![(PROGRAM, uses(f(), CALL)), (A, lib(Symbol::defined("g")))]),
            (
                "weak reference",
                vec![(PROGRAM, uses(f().binding(2), ADDRESS)), (A, lib(Symbol::defined("g")))],
            ),
            ("weak definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().binding(2)))]),
            ("local definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().binding(0)))]),
            ("hidden definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().visibility(2)))]),
            (
                "hidden reference",
                vec![(PROGRAM, uses(f().visibility(2), ADDRESS)), (A, library("liba.so", &[]))],
            ),
            ("indirect definition", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().kind(10)))]),
            ("section", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().kind(3)))]),
            ("definition at 0", vec![(PROGRAM, uses(f(), CALL)), (A, lib(d().value(0)))]),
            (
                "own definition at 0",
                vec![(PROGRAM, uses(d().value(0), ADDRESS)), (A, library("liba.so", &[]))],
            ),
            (
                "of the loader itself",
                vec![(PROGRAM, uses(Symbol::undefined("malloc"), CALL)), (A, lib(d()))],
            ),
            (
                "of no loader",
                vec![(PROGRAM, uses(Symbol::undefined("mallocate"), CALL)), (A, lib(d()))],
            ),
            ("a version", vec![(PROGRAM, uses(f(), CALL)), (A, version(2))]),
            ("a hidden version", vec![(PROGRAM, uses(f(), CALL)), (A, version(0x8002))]),
            (
                "a version that is not there",
                vec![
                    (PROGRAM, uses(f().version(2), CALL).needs_version("liba.so", "V9", 2, 0)),
                    (A, version(2)),
                ],
            ),
            (
                "copy of what a library defines",
                vec![(PROGRAM, uses(d().kind(1), COPY)), (A, lib(d().kind(1)))],
            ),
            (
                "copy of what the program alone defines",
                vec![(PROGRAM, uses(d().kind(1), COPY)), (A, library("liba.so", &[]))],
            ),
            (
                "entry of a program for an undefined function, for an address",
                vec![
                    (PROGRAM, program(MUSL, &["liba.so"]).symbol(f().value(0x40))),
                    (A, library("liba.so", &[]).uses(f(), ADDRESS)),
                ],
            ),
            (
                "entry of a program for an undefined function, for a call",
                vec![
                    (PROGRAM, program(MUSL, &["liba.so"]).symbol(f().value(0x40))),
                    (A, library("liba.so", &[]).uses(f(), CALL)),
                ],
            ),
        ],
    );
}
