//! glibc: which lists of folders are searched, and in which order.

use tests::elf::{library, tag};

use super::{Case, NODEFLIB, PROGRAM, case, glibc, glibc_program};

#[test]
fn glibc_search_paths() {
    let a = || library("liba.so", &[]);
    let b = || library("libb.so", &["liba.so"]);
    glibc(vec![
        ("missing", case(vec![(PROGRAM, glibc_program(&["liba.so"]))])),
        ("system", case(vec![(PROGRAM, glibc_program(&["liba.so"])), ("/usr/lib/liba.so", a())])),
        (
            "system directories in order",
            case(vec![
                (PROGRAM, glibc_program(&["liba.so"])),
                ("/usr/lib/liba.so", a()),
                ("/lib/liba.so", a()),
                ("/usr/lib/x86_64-linux-gnu/liba.so", a()),
            ]),
        ),
        (
            "not a system directory on Debian",
            case(vec![
                (PROGRAM, glibc_program(&["liba.so"])),
                ("/usr/local/lib/liba.so", a()),
                ("/lib64/liba.so", a()),
            ]),
        ),
        (
            "RPATH is inherited by what the program loads",
            case(vec![
                (PROGRAM, glibc_program(&["libb.so"]).rpath("/r")),
                ("/r/libb.so", b()),
                ("/r/liba.so", a()),
            ]),
        ),
        (
            "RUNPATH is not inherited",
            case(vec![
                (PROGRAM, glibc_program(&["libb.so"]).runpath("/r")),
                ("/r/libb.so", b()),
                ("/r/liba.so", a()),
            ]),
        ),
        (
            "RUNPATH of the requester shuts out every RPATH",
            case(vec![
                (PROGRAM, glibc_program(&["libb.so"]).rpath("/r")),
                ("/r/libb.so", b().runpath("/nowhere")),
                ("/r/liba.so", a()),
            ]),
        ),
        (
            "an object with both tags loses its RPATH, for its children too",
            case(vec![
                (PROGRAM, glibc_program(&["libb.so"]).rpath("/r").runpath("/u")),
                ("/u/libb.so", b()),
                ("/r/liba.so", a()),
            ]),
        ),
        (
            "an RPATH in the middle of the chain of loaders",
            case(vec![
                (PROGRAM, glibc_program(&["libc1.so"]).runpath("/p")),
                ("/p/libc1.so", library("libc1.so", &["libc2.so"]).rpath("/q")),
                ("/q/libc2.so", library("libc2.so", &["libc3.so"])),
                ("/q/libc3.so", library("libc3.so", &[])),
            ]),
        ),
        (
            "library path stands between RPATH and RUNPATH",
            Case {
                library_path: Some("/l"),
                ..case(vec![
                    (PROGRAM, glibc_program(&["liba.so", "libb.so"]).runpath("/u")),
                    ("/u/liba.so", a()),
                    ("/l/liba.so", a()),
                    ("/l/libb.so", b().rpath("/r")),
                    ("/r/libb.so", b()),
                ])
            },
        ),
        (
            "RPATH stands before the library path",
            Case {
                library_path: Some("/l;/m:/n"),
                ..case(vec![
                    (PROGRAM, glibc_program(&["liba.so", "libx.so"]).rpath("/r")),
                    ("/r/liba.so", a()),
                    ("/l/liba.so", a()),
                    ("/m/libx.so", library("libx.so", &[])),
                ])
            },
        ),
        (
            "NODEFLIB leaves the system directories out",
            case(vec![
                (PROGRAM, glibc_program(&["liba.so"]).number(tag::FLAGS_1, NODEFLIB)),
                ("/usr/lib/liba.so", a()),
            ]),
        ),
        (
            "NODEFLIB holds for its own requests only",
            case(vec![
                (PROGRAM, glibc_program(&["libb.so"]).number(tag::FLAGS_1, NODEFLIB).runpath("/u")),
                ("/u/libb.so", b()),
                ("/usr/lib/liba.so", a()),
            ]),
        ),
        (
            "a linked folder and dot dot mean what the kernel says",
            Case {
                links: vec![("/app/lib", "/far/away/lib")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["liba.so"]).runpath("$ORIGIN/../lib/../x")),
                    ("/app/x/liba.so", a()),
                    ("/far/away/x/liba.so", a()),
                    ("/far/away/lib/other", a()),
                ])
            },
        ),
        (
            "an empty RPATH is none",
            case(vec![(PROGRAM, glibc_program(&["liba.so"]).rpath("")), ("/usr/lib/liba.so", a())]),
        ),
        (
            "an empty RUNPATH shuts out every RPATH all the same",
            case(vec![
                (PROGRAM, glibc_program(&["libb.so"]).rpath("/r")),
                ("/r/libb.so", b().runpath("")),
                ("/r/liba.so", a()),
            ]),
        ),
        (
            "the chain of RPATHs goes on above an object with a RUNPATH",
            case(vec![
                (PROGRAM, glibc_program(&["libc1.so"]).rpath("/p")),
                ("/p/libc1.so", library("libc1.so", &["libc2.so"]).runpath("/q").rpath("/x")),
                ("/q/libc2.so", library("libc2.so", &["liba.so", "libx.so"])),
                ("/p/liba.so", a()),
                ("/q/liba.so", a()),
                ("/x/libx.so", library("libx.so", &[])),
            ]),
        ),
        (
            "colons alone, and empty elements",
            case(vec![
                (PROGRAM, glibc_program(&["liba.so", "libb.so"]).runpath(":")),
                ("/usr/lib/liba.so", a()),
                ("/usr/lib/libb.so", library("libb.so", &["libc.so"]).runpath("::/v:")),
                ("/v/libc.so", library("libc.so", &[])),
            ]),
        ),
        (
            "folders are as they are written, but for slashes at their end",
            case(vec![
                (PROGRAM, glibc_program(&["liba.so", "libb.so"]).runpath("//u/./x/..//:/v//")),
                ("/u/liba.so", a()),
                ("/u/x/other", a()),
                ("/v/libb.so", library("libb.so", &[])),
            ]),
        ),
        (
            "the root as a folder",
            case(vec![(PROGRAM, glibc_program(&["liba.so"]).runpath("/")), ("/liba.so", a())]),
        ),
        (
            "a file in a search path, and a folder below a file",
            Case {
                files: vec![("/u/file", b"")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["liba.so"]).runpath("/u/file:/u/file/sub:/v")),
                    ("/v/liba.so", a()),
                ])
            },
        ),
    ]);
}

#[test]
fn glibc_library_path() {
    let a = || library("liba.so", &[]);
    let with = |list: &'static str, at: &'static str| Case {
        library_path: Some(list),
        ..case(vec![(PROGRAM, glibc_program(&["liba.so"])), (at, a()), ("/usr/lib/liba.so", a())])
    };
    glibc(vec![
        ("empty elements", with("::/l:", "/l/liba.so")),
        ("an empty list", with("", "/l/liba.so")),
        ("semicolons", with("/k;/l", "/l/liba.so")),
        ("origin of the program", with("$ORIGIN/../lib", "/app/lib/liba.so")),
        ("lib", with("/opt/${LIB}", "/opt/lib/x86_64-linux-gnu/liba.so")),
        ("an unknown token", with("/opt/$NONE", "/opt/$NONE/liba.so")),
        ("a folder that is not there", with("/k:/l", "/l/liba.so")),
        (
            "origin is the program's, whoever asks",
            Case {
                library_path: Some("$ORIGIN/lib"),
                ..case(vec![
                    (PROGRAM, glibc_program(&["libb.so"]).runpath("/u")),
                    ("/u/libb.so", library("libb.so", &["liba.so"])),
                    ("/u/lib/liba.so", a()),
                    ("/app/bin/lib/liba.so", a()),
                ])
            },
        ),
        (
            "it is searched for what libraries need, and before their RUNPATH",
            Case {
                library_path: Some("/l"),
                ..case(vec![
                    (PROGRAM, glibc_program(&["libb.so"]).runpath("/u")),
                    ("/u/libb.so", library("libb.so", &["liba.so"]).runpath("/u")),
                    ("/u/liba.so", a()),
                    ("/l/liba.so", a()),
                ])
            },
        ),
        (
            "it stands before the cache",
            Case {
                cached: vec!["/opt/x"],
                library_path: Some("/l"),
                ..case(vec![
                    (PROGRAM, glibc_program(&["liba.so"])),
                    ("/opt/x/liba.so", a()),
                    ("/l/liba.so", a()),
                ])
            },
        ),
    ]);
}

/// `PATH_MAX` is 4096 bytes, `NAME_MAX` 255.
#[test]
fn glibc_long_paths() {
    let a = || library("liba.so", &[]);
    let name = "n".repeat(300);
    let folder = format!("/{}", "d/".repeat(2100));
    let deep = format!("/{}:/v", "long-enough/".repeat(300));
    glibc(vec![
        (
            "a name that is too long is nowhere",
            case(vec![
                (PROGRAM, glibc_program(&[&name, "liba.so"]).runpath("/u:/v")),
                ("/u/other.so", a()),
                ("/v/liba.so", a()),
            ]),
        ),
        (
            "a folder whose path is too long is passed over",
            case(vec![
                (PROGRAM, glibc_program(&["liba.so"]).runpath(&format!("{folder}:/v"))),
                ("/v/liba.so", a()),
            ]),
        ),
        (
            "a long path to nothing",
            case(vec![(PROGRAM, glibc_program(&["liba.so"]).runpath(&deep)), ("/v/liba.so", a())]),
        ),
        (
            "a path with a slash that is too long",
            case(vec![
                (PROGRAM, glibc_program(&[&format!("{folder}liba.so"), "liba.so"]).runpath("/v")),
                ("/v/liba.so", a()),
            ]),
        ),
    ]);
}
