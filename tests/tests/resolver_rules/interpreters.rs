//! glibc: where the loader is, and what it does with programs that name none.

use tests::elf::{Elf, library, program, tag};

use super::{Case, GLIBC, PROGRAM, case, glibc, glibc_program};

#[test]
fn glibc_interpreters() {
    let a = || library("liba.so", &[]);
    let system = || ("/usr/lib/liba.so", a());
    glibc(vec![
        (
            "under another name",
            Case {
                loader: Some("/opt/start"),
                ..case(vec![
                    (PROGRAM, program("/opt/start", &["ld-linux-x86-64.so.2", "liba.so"])),
                    ("/usr/lib/liba.so", library("liba.so", &["ld-linux-x86-64.so.2"])),
                ])
            },
        ),
        (
            "through a chain of links",
            Case {
                loader: Some("/opt/glibc/ld-2.36.so"),
                links: vec![
                    (GLIBC, "../etc/alternatives/ld.so"),
                    ("/etc/alternatives/ld.so", "/opt/current/ld-2.36.so"),
                    ("/opt/current", "glibc"),
                ],
                ..case(vec![(PROGRAM, glibc_program(&["liba.so"])), system()])
            },
        ),
        (
            "a library as the program",
            case(vec![(PROGRAM, library("own.so", &["liba.so"]).rpath("/r")), ("/r/liba.so", a())]),
        ),
        ("a library that needs nothing", case(vec![(PROGRAM, a())])),
        (
            "a static position independent program",
            case(vec![(PROGRAM, Elf::default().number(tag::FLAGS_1, 0x0800_0000))]),
        ),
        (
            "a position independent program that needs the loader only",
            case(vec![(PROGRAM, glibc_program(&["ld-linux-x86-64.so.2"]))]),
        ),
    ]);
}
