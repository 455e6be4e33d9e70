//! musl: another order, another identity, no soname, no cache.

use tests::elf::{library, program, tag};

use super::{Case, MUSL, NODEFLIB, PROGRAM, case, musl};

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
        (
            "auditors are nothing to it",
            case(vec![
                (PROGRAM, prog(&["liba.so"]).text(tag::AUDIT, "/u/gone.so").rpath("/u")),
                ("/u/liba.so", a().number(tag::FLAGS_1, NODEFLIB)),
            ]),
        ),
    ]);
}

#[test]
fn musl_search_paths() {
    let a = || library("liba.so", &[]);
    let b = || library("libb.so", &["liba.so"]);
    let prog = |needed: &[&str]| program(MUSL, needed);
    let long = format!("/{}", "a-folder-of-a-long-path/".repeat(22));
    let longer = format!("{long}liba.so");
    musl(vec![
        (
            "the rpath of every ancestor, the nearest first",
            case(vec![
                (PROGRAM, prog(&["libc1.so"]).rpath("/p")),
                ("/p/libc1.so", library("libc1.so", &["libc2.so"]).rpath("/q")),
                ("/q/libc2.so", library("libc2.so", &["liba.so", "libb.so"])),
                ("/p/liba.so", a()),
                ("/q/liba.so", a()),
                ("/p/libb.so", library("libb.so", &[])),
            ]),
        ),
        (
            "an empty RUNPATH replaces RPATH",
            case(vec![
                (PROGRAM, prog(&["liba.so"]).rpath("/r").runpath("")),
                ("/r/liba.so", a()),
                ("/usr/lib/liba.so", a()),
            ]),
        ),
        (
            "empty elements are left out, lines divide",
            Case {
                library_path: Some(":/k::\n/l:"),
                ..case(vec![
                    (PROGRAM, prog(&["liba.so", "libb.so"]).rpath("::/r\n/s")),
                    ("/l/liba.so", a()),
                    ("/s/libb.so", b()),
                ])
            },
        ),
        (
            "semicolons do not divide, tokens are no tokens",
            Case {
                library_path: Some("/k;/l:$ORIGIN/../lib"),
                ..case(vec![
                    (PROGRAM, prog(&["liba.so"])),
                    ("/l/liba.so", a()),
                    ("/app/lib/liba.so", a()),
                    ("/k;/l/liba.so", a()),
                ])
            },
        ),
        (
            "doubled slashes stay as they are written",
            case(vec![(PROGRAM, prog(&["liba.so"]).rpath("//u//")), ("/u/liba.so", a())]),
        ),
        (
            "a path of more than 511 bytes is passed over",
            case(vec![
                (PROGRAM, prog(&["liba.so"]).rpath(&format!("{long}:/v"))),
                (&*longer.leak(), a()),
                ("/v/liba.so", a()),
            ]),
        ),
        (
            "a name of more than 255 bytes is nowhere",
            case(vec![(PROGRAM, prog(&[&"n".repeat(256), "liba.so"])), ("/usr/lib/liba.so", a())]),
        ),
        (
            "a folder of too long a name is passed over",
            case(vec![
                (PROGRAM, prog(&["liba.so"]).rpath(&format!("/{}:/v", "n".repeat(300)))),
                ("/v/liba.so", a()),
            ]),
        ),
        (
            "a loop of links ends the whole search",
            Case {
                links: vec![("/u/liba.so", "liba.so")],
                ..case(vec![
                    (PROGRAM, prog(&["liba.so"]).rpath("/u:/v")),
                    ("/v/liba.so", a()),
                    ("/usr/lib/liba.so", a()),
                ])
            },
        ),
        (
            "a dangling link and a file in place of a folder are passed over",
            Case {
                links: vec![("/u/liba.so", "gone.so")],
                files: vec![("/file", b"")],
                ..case(vec![
                    (PROGRAM, prog(&["liba.so"]).rpath("/u:/file:/v")),
                    ("/v/liba.so", a()),
                ])
            },
        ),
        (
            "names with slashes are paths, without tokens",
            case(vec![
                (PROGRAM, prog(&["/x/liba.so", "/x/gone.so", "/x/$ORIGIN/libb.so"])),
                ("/x/liba.so", a()),
                ("/x/$ORIGIN/libb.so", library("libb.so", &[])),
            ]),
        ),
        (
            "braces, and an origin that goes on",
            case(vec![
                (PROGRAM, prog(&["liba.so", "libb.so"]).rpath("${ORIGIN}/x:$ORIGINAL/y")),
                ("/app/bin/x/liba.so", a()),
                ("/app/binAL/y/libb.so", library("libb.so", &[])),
            ]),
        ),
        (
            "origin of a library is where it was opened",
            Case {
                links: vec![("/u/libb.so", "/real/libb.so")],
                ..case(vec![
                    (PROGRAM, prog(&["libb.so"]).rpath("/u")),
                    ("/real/libb.so", b().rpath("$ORIGIN/sub")),
                    ("/real/sub/liba.so", a()),
                    ("/u/sub/liba.so", a()),
                ])
            },
        ),
    ]);
}

#[test]
fn musl_identity() {
    let a = || library("liba.so", &[]);
    let prog = |needed: &[&str]| program(MUSL, needed);
    musl(vec![
        (
            "a path does not answer to its last component",
            case(vec![
                (PROGRAM, prog(&["/x/liba.so", "liba.so"]).rpath("/u")),
                ("/x/liba.so", a()),
                ("/u/liba.so", a()),
            ]),
        ),
        (
            "a search that finds what was opened by path gives it a short name",
            case(vec![
                (PROGRAM, prog(&["/u/liba.so", "liba.so", "libb.so"]).rpath("/u")),
                ("/u/liba.so", a()),
                ("/u/libb.so", library("libb.so", &["liba.so"]).rpath("/v")),
                ("/v/liba.so", a()),
            ]),
        ),
        (
            "another hard link is the same object, and keeps its first name",
            Case {
                hard_links: vec![("/u/two.so", "/u/one.so")],
                ..case(vec![
                    (PROGRAM, prog(&["one.so", "two.so", "libb.so"]).rpath("/u")),
                    ("/u/one.so", a()),
                    ("/u/libb.so", library("libb.so", &["two.so"]).rpath("/v")),
                    ("/v/two.so", library("two.so", &[])),
                ])
            },
        ),
        (
            "the program by another hard link is another object",
            Case {
                hard_links: vec![("/u/same.so", PROGRAM)],
                ..case(vec![(PROGRAM, prog(&["same.so"]).rpath("/u"))])
            },
        ),
        (
            "the loader's file under another name is the loader",
            Case {
                hard_links: vec![("/u/copy.so", MUSL)],
                ..case(vec![(
                    PROGRAM,
                    prog(&["copy.so", MUSL, "libc.musl-x86_64.so.1"]).rpath("/u"),
                )])
            },
        ),
        (
            "a libc.so that is a file is never opened",
            Case {
                files: vec![("/lib/libc.so", b"text")],
                ..case(vec![(PROGRAM, prog(&["libc.so", "libm.so", "libpthread.so.0"]))])
            },
        ),
        (
            "the first of a name counts for all",
            case(vec![
                (PROGRAM, prog(&["liba.so", "libb.so"]).rpath("/u")),
                ("/u/liba.so", a()),
                ("/u/libb.so", library("libb.so", &["liba.so"]).rpath("/v")),
                ("/v/liba.so", a()),
            ]),
        ),
        (
            "preloads, which are searched without the program's rpath",
            Case {
                preload: vec!["/x/pre.so", "named.so"],
                ..case(vec![
                    (PROGRAM, prog(&["liba.so"]).rpath("/u")),
                    ("/x/pre.so", library("liba.so", &["liba.so"])),
                    ("/usr/lib/named.so", library("named.so", &["libb.so"])),
                    ("/usr/lib/libb.so", library("libb.so", &[])),
                    ("/u/named.so", library("named.so", &[])),
                    ("/u/libb.so", library("libb.so", &[])),
                    ("/u/liba.so", a()),
                ])
            },
        ),
    ]);
}

/// The prefix of the path file is that of the path by which the program names its interpreter.
#[test]
fn musl_path_files() {
    let a = || library("liba.so", &[]);
    let with = |interpreter: &'static str, loader: &'static str, links, files| Case {
        loader: Some(loader),
        links,
        files,
        ..case(vec![
            (PROGRAM, program(interpreter, &["liba.so"])),
            ("/one/liba.so", a()),
            ("/two/liba.so", a()),
            ("/usr/lib/liba.so", a()),
        ])
    };
    let one: (&str, &[u8]) = ("/etc/ld-musl-x86_64.path", b"/one\n");
    let two: (&str, &[u8]) = ("/opt/musl/etc/ld-musl-x86_64.path", b"/two\n");
    let own = "/opt/musl/lib/ld-musl-x86_64.so.1";
    musl(vec![
        ("at the root", with(MUSL, MUSL, vec![], vec![one, two])),
        ("below a prefix", with(own, own, vec![], vec![one, two])),
        ("by a link at the root", with(MUSL, own, vec![(MUSL, own)], vec![one, two])),
        ("by a link below a prefix", with(own, MUSL, vec![(own, MUSL)], vec![one, two])),
        ("none below a prefix", with(own, own, vec![], vec![one])),
        (
            "a library as the program",
            Case {
                files: vec![one, two],
                ..case(vec![
                    (PROGRAM, library("own.so", &["liba.so", "libc.so"])),
                    ("/one/liba.so", a()),
                ])
            },
        ),
        (
            "without an end of its line, with empty lines",
            with(MUSL, MUSL, vec![], vec![(one.0, b"\n\n:/none\n:/two")]),
        ),
    ]);
}

/// As an ordinary user.
#[test]
fn musl_denied() {
    let a = || library("liba.so", &[]);
    let with = |denied: &[&'static str]| Case {
        denied: denied.to_vec(),
        ..case(vec![
            (PROGRAM, program(MUSL, &["liba.so", "libb.so"]).rpath("/u:/u/sub:/v")),
            ("/u/liba.so", a()),
            ("/u/sub/libb.so", library("libb.so", &[])),
            ("/v/liba.so", a()),
            ("/usr/lib/libb.so", library("libb.so", &[])),
        ])
    };
    musl(vec![
        ("a folder that cannot be entered", with(&["/u"])),
        ("a folder below that cannot be entered", with(&["/u/sub"])),
        ("a file that cannot be read", with(&["/u/liba.so"])),
        ("nothing can be read", with(&["/u", "/v", "/usr/lib"])),
    ]);
}
