//! glibc: `LD_PRELOAD` and `/etc/ld.so.preload`.

use tests::elf::{library, machine};

use super::{Case, PROGRAM, case, glibc, glibc_program};

#[test]
fn glibc_preloads() {
    let a = || library("liba.so", &[]);
    let listed = |text: &'static [u8]| Case {
        files: vec![("/etc/ld.so.preload", text), ("/x/text.so", b"no object")],
        ..case(vec![
            (PROGRAM, glibc_program(&["libb.so"]).runpath("/u")),
            ("/x/one.so", library("one.so", &[])),
            ("/x/two.so", library("two.so", &[])),
            ("/x/other.so", a().for_machine(false, false, machine::I386)),
            ("/opt/lib/x86_64-linux-gnu/three.so", library("three.so", &[])),
            ("/u/four.so", library("four.so", &["liba.so"])),
            ("/u/liba.so", a()),
            ("/u/libb.so", library("libb.so", &[])),
        ])
    };
    glibc(vec![
        (
            "the preload comes before the dependencies",
            Case {
                preload: vec!["/x/pre.so"],
                ..case(vec![
                    (PROGRAM, glibc_program(&["libb.so", "liba.so"]).runpath("/u")),
                    ("/x/pre.so", library("liba.so", &["libb.so"]).runpath("/x")),
                    ("/x/libb.so", library("libb.so", &[])),
                    ("/u/libb.so", library("libb.so", &[])),
                    ("/u/liba.so", a()),
                ])
            },
        ),
        (
            "ld.so.preload with comments",
            Case {
                files: vec![("/etc/ld.so.preload", b"# /x/no.so\n/x/pre.so:liba.so # gone\n")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["libb.so"]).runpath("/u")),
                    ("/x/pre.so", library("libb.so", &[])),
                    ("/u/liba.so", a()),
                ])
            },
        ),
        (
            "several, by path and by name",
            Case {
                preload: vec!["/x/one.so", "two.so", "/x/one.so"],
                ..case(vec![
                    (PROGRAM, glibc_program(&["liba.so"]).runpath("/u")),
                    ("/x/one.so", library("liba.so", &[])),
                    ("/u/two.so", library("two.so", &["liba.so"])),
                    ("/u/liba.so", a()),
                ])
            },
        ),
        (
            "what is given comes before what is listed",
            Case {
                preload: vec!["/x/one.so"],
                files: vec![("/etc/ld.so.preload", b"/x/two.so\n")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["liba.so"]).runpath("/u")),
                    ("/x/one.so", library("liba.so", &["libb.so"]).runpath("/x")),
                    ("/x/two.so", library("liba.so", &["libb.so"]).runpath("/u")),
                    ("/x/libb.so", library("libb.so", &[])),
                    ("/u/libb.so", library("libb.so", &[])),
                ])
            },
        ),
        ("listed without a line's end", listed(b"/x/one.so /x/two.so")),
        ("one alone, without a line's end", listed(b"/x/one.so")),
        ("listed with blanks, tabs and colons", listed(b"  :/x/one.so\t\t/x/two.so: \n\n")),
        ("a list of nothing", listed(b" \n\t:\n")),
        ("an empty list", listed(b"")),
        ("a comment at the end of a name", listed(b"/x/one.so#/x/two.so\n")),
        ("a comment without a line's end", listed(b"/x/one.so # /x/two.so")),
        ("several comments", listed(b"# one\n/x/one.so\n# two\n/x/two.so # three\n# four\n")),
        ("comments that name objects", listed(b"# a\n# b\n# /x/one.so\n# /x/two.so\n")),
        ("a list that ends with a carriage return", listed(b"/x/one.so\r\n/x/two.so\n")),
        ("a zero byte ends the list", listed(b"/x/one.so\0/x/two.so\nfour.so\n")),
        ("a zero byte, and a last name without a line's end", listed(b"/x/one.so\n\0\n/x/two.so")),
        ("what is not there is left out", listed(b"/x/gone.so gone.so\n/x/two.so\n")),
        ("what is no object is left out", listed(b"/x/text.so\n/x/two.so\n")),
        ("what is of another class is left out", listed(b"/x/other.so\n/x/two.so\n")),
        ("a token", listed(b"/opt/$LIB/three.so\n")),
        ("a name is searched as the program's own", listed(b"four.so\n")),
    ]);
}
