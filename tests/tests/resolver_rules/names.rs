//! glibc: when a name or a file is loaded already.

use tests::elf::{Elf, library, tag};

use super::{Case, GLIBC, PROGRAM, case, glibc, glibc_program};

#[test]
fn glibc_names_and_identity() {
    let a = || library("liba.so", &[]);
    glibc(vec![
        (
            "a soname that is loaded answers",
            case(vec![
                (PROGRAM, glibc_program(&["real.so", "liba.so"]).runpath("/u")),
                ("/u/real.so", a()),
                ("/u/liba.so", library("other", &[])),
            ]),
        ),
        (
            "breadth first: the nearer request decides",
            case(vec![
                (PROGRAM, glibc_program(&["libb.so", "liba.so"]).runpath("/u")),
                ("/u/libb.so", library("libb.so", &["liba.so"]).runpath("/v")),
                ("/u/liba.so", a()),
                ("/v/liba.so", a()),
            ]),
        ),
        (
            "the same file under two names is one object",
            Case {
                links: vec![("/u/two.so", "one.so")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["one.so", "two.so"]).runpath("/u")),
                    ("/u/one.so", library("soname.so", &["two.so"])),
                ])
            },
        ),
        (
            "a name with a slash is a path",
            case(vec![(PROGRAM, glibc_program(&["/x/liba.so", "liba.so"])), ("/x/liba.so", a())]),
        ),
        (
            "a name with a slash that is missing",
            case(vec![(PROGRAM, glibc_program(&["/x/liba.so"]))]),
        ),
        (
            "names are bytes",
            case(vec![
                (PROGRAM, glibc_program(&[]).needed(b"lib\xff new.so").runpath("/u \u{fc}")),
                ("/u \u{fc}/other.so", a()),
            ]),
        ),
        (
            "names with blanks and letters",
            case(vec![
                (PROGRAM, glibc_program(&["lib \u{fc} new.so"]).runpath("/u \u{fc}")),
                ("/u \u{fc}/lib \u{fc} new.so", a()),
            ]),
        ),
        (
            "an auxiliary object that exists, and one that does not",
            case(vec![
                (PROGRAM, glibc_program(&["libf.so"]).rpath("/u")),
                (
                    "/u/libf.so",
                    library("libf.so", &["liba.so"])
                        .text(tag::AUXILIARY, "aux.so")
                        .text(tag::AUXILIARY, "gone.so"),
                ),
                ("/u/aux.so", library("aux.so", &["libz.so"])),
                ("/u/libz.so", library("libz.so", &[])),
                ("/u/liba.so", a()),
            ]),
        ),
        (
            "a filter",
            case(vec![
                (PROGRAM, glibc_program(&["libf.so"]).rpath("/u")),
                ("/u/libf.so", library("libf.so", &[]).text(tag::FILTER, "liba.so")),
                ("/u/liba.so", a()),
            ]),
        ),
        (
            "the program's own soname answers",
            case(vec![
                (PROGRAM, glibc_program(&["libb.so"]).text(tag::SONAME, "liba.so").runpath("/u")),
                ("/u/libb.so", library("libb.so", &["liba.so"]).runpath("/u")),
                ("/u/liba.so", a()),
            ]),
        ),
        (
            "another hard link of a file is the same object",
            Case {
                hard_links: vec![("/v/two.so", "/u/one.so")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["one.so", "two.so"]).runpath("/u:/v")),
                    ("/u/one.so", library("soname.so", &["liba.so"]).runpath("$ORIGIN")),
                    ("/u/liba.so", a()),
                    ("/v/liba.so", a()),
                ])
            },
        ),
        (
            "the program by another hard link is the program",
            Case {
                hard_links: vec![("/u/same.so", PROGRAM)],
                ..case(vec![(PROGRAM, glibc_program(&["same.so", "liba.so"]).runpath("/u"))])
            },
        ),
        (
            "a path does not answer to its last component",
            case(vec![
                (PROGRAM, glibc_program(&["/x/liba.so", "liba.so"]).runpath("/u")),
                ("/x/liba.so", library("other.so", &[])),
                ("/u/liba.so", a()),
            ]),
        ),
        (
            "a path answers to its soname",
            case(vec![
                (PROGRAM, glibc_program(&["/x/real.so", "liba.so"]).runpath("/u")),
                ("/x/real.so", a()),
                ("/u/liba.so", a()),
            ]),
        ),
        (
            "a path through links is what was asked for",
            Case {
                links: vec![("/x/link", "/y/real"), ("/y/real/liba.so", "liba.so.1")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["/x/link/liba.so", "libb.so"])),
                    ("/y/real/liba.so.1", library("liba.so", &["libc.so"]).runpath("$ORIGIN")),
                    ("/y/real/libc.so", library("libc.so", &[])),
                    ("/usr/lib/libb.so", library("libb.so", &["/y/real/liba.so.1"])),
                ])
            },
        ),
        (
            "of two with one soname the first answers",
            case(vec![
                (PROGRAM, glibc_program(&["one.so", "two.so", "liba.so"]).runpath("/u")),
                ("/u/one.so", library("same.so", &[])),
                ("/u/two.so", library("same.so", &["same.so"])),
                ("/u/same.so", library("same.so", &[])),
                ("/u/liba.so", library("liba.so", &["same.so"])),
            ]),
        ),
        (
            "what was asked for twice, and circles",
            case(vec![
                (PROGRAM, glibc_program(&["liba.so", "liba.so", "libb.so"]).runpath("/u")),
                ("/u/liba.so", library("liba.so", &["libb.so"]).runpath("/u")),
                ("/u/libb.so", library("libb.so", &["liba.so", "libb.so"]).runpath("/u")),
            ]),
        ),
        (
            "the loader by its soname and by its path",
            case(vec![
                (PROGRAM, glibc_program(&["ld-linux-x86-64.so.2", "libb.so", GLIBC])),
                ("/usr/lib/libb.so", library("libb.so", &["ld-linux-x86-64.so.2"])),
            ]),
        ),
        (
            "an object without a soname",
            case(vec![
                (PROGRAM, glibc_program(&["liba.so", "libb.so"]).runpath("/u")),
                ("/u/liba.so", Elf::default().needed("libb.so")),
                ("/u/libb.so", Elf::default().needed("liba.so")),
            ]),
        ),
    ]);
}
