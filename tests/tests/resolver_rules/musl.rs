//! musl: another order, another identity, no soname, no cache.

use tests::elf::{library, program, tag};

use super::{Case, MUSL, PROGRAM, case, musl};

#[test]
fn musl_rules() {
    let a = || library("liba.so", &[]);
    let prog = |needed: &[&str]| program(MUSL, needed);
    let path_file = |text: &'static [u8]| Case {
        files: vec![("/etc/ld-musl-x86_64.path", text)],
        ..case(vec![
            (PROGRAM, prog(&["liba.so"])),
            ("/opt/x/liba.so", a()),
            ("/usr/lib/liba.so", a()),
        ])
    };
    musl(vec![
        ("missing", case(vec![(PROGRAM, prog(&["liba.so"]))])),
        (
            "its folders in order",
            case(vec![
                (PROGRAM, prog(&["liba.so"])),
                ("/usr/lib/liba.so", a()),
                ("/usr/local/lib/liba.so", a()),
            ]),
        ),
        ("a path file", path_file(b"/none\n/opt/x:/y\n")),
        ("an empty path file", path_file(b"")),
        (
            "its own names are the loader",
            case(vec![
                (PROGRAM, prog(&["libc.so", "libm.so.6", "libpthread.so.0", "libcrypt.so.1"])),
                ("/lib/libm.so.6", a()),
                ("/lib/libcrypt.so.1", a()),
            ]),
        ),
        (
            "no matching by soname",
            case(vec![
                (PROGRAM, prog(&["real.so", "liba.so"]).runpath("/u")),
                ("/u/real.so", a()),
                ("/u/liba.so", library("other", &[])),
            ]),
        ),
        (
            "RUNPATH is inherited, and replaces RPATH",
            case(vec![
                (PROGRAM, prog(&["libb.so"]).rpath("/r").runpath("/u")),
                ("/u/libb.so", library("libb.so", &["liba.so", "libr.so"])),
                ("/u/liba.so", a()),
                ("/r/libr.so", a()),
            ]),
        ),
        (
            "library path first",
            Case {
                library_path: Some("/l"),
                ..case(vec![
                    (PROGRAM, prog(&["liba.so"]).rpath("/r")),
                    ("/l/liba.so", a()),
                    ("/r/liba.so", a()),
                ])
            },
        ),
        (
            "another token voids the whole rpath",
            case(vec![(PROGRAM, prog(&["liba.so"]).rpath("/u:/opt/$LIB")), ("/u/liba.so", a())]),
        ),
        (
            "origin",
            case(vec![
                (PROGRAM, prog(&["liba.so"]).rpath("$ORIGIN/../lib")),
                ("/app/lib/liba.so", a()),
            ]),
        ),
        (
            "the first file wins, right or wrong",
            Case {
                files: vec![("/u/liba.so", b"text")],
                ..case(vec![(PROGRAM, prog(&["liba.so"]).rpath("/u:/v")), ("/v/liba.so", a())])
            },
        ),
        (
            "auxiliary objects and filters are nothing to it",
            case(vec![
                (PROGRAM, prog(&["libf.so"]).rpath("/u")),
                (
                    "/u/libf.so",
                    library("libf.so", &[])
                        .text(tag::AUXILIARY, "liba.so")
                        .text(tag::FILTER, "gone.so"),
                ),
                ("/u/liba.so", a()),
            ]),
        ),
    ]);
}
