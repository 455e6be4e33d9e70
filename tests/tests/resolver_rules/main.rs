//! Each rule of the search, on tiny objects in a root of their own. The expected answer is what the
//! real loader says in a chroot of that root; nothing is written down.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::too_many_lines, reason = "the tests are tables")]

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use builder::elf::Name;
use builder::resolve::{Options, Request, Sysroot, closure};
use common::tree::ImagePath;
use tests::elf::{Elf, library, machine, program, tag};
use tests::loader::{Answer, Loader};

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";
const NODEFLIB: u64 = 0x800;

/// A root to be made, and a program in it.
#[derive(Default)]
struct Case {
    objects: Vec<(&'static str, Elf)>,
    files: Vec<(&'static str, &'static [u8])>,
    links: Vec<(&'static str, &'static str)>,
    folders: Vec<&'static str>,
    library_path: Option<&'static str>,
    preload: Option<&'static str>,
    /// Folders that ldconfig scans; the cache is made when there are any.
    cached: Vec<&'static str>,
    /// Removed after the cache is made.
    removed: Vec<&'static str>,
}

/// The program is always this.
const PROGRAM: &str = "/app/bin/program";

fn case(objects: Vec<(&'static str, Elf)>) -> Case {
    Case { objects, ..Case::default() }
}

fn glibc_program(needed: &[&str]) -> Elf {
    program(GLIBC, needed)
}

impl Case {
    fn make(&self, root: &Path, loader: &str) {
        let inside = |path: &str| root.join(path.trim_start_matches('/'));
        let parent = |path: &str| {
            std::fs::create_dir_all(inside(path).parent().unwrap()).unwrap();
        };
        parent(loader);
        std::fs::copy(loader, inside(loader)).unwrap();
        for folder in &self.folders {
            std::fs::create_dir_all(inside(folder)).unwrap();
        }
        for (path, object) in &self.objects {
            object.write(&inside(path));
        }
        for (path, text) in &self.files {
            parent(path);
            std::fs::write(inside(path), text).unwrap();
        }
        for (path, target) in &self.links {
            parent(path);
            symlink(target, inside(path)).unwrap();
        }
        if !self.cached.is_empty() {
            std::fs::create_dir_all(root.join("etc")).unwrap();
            std::fs::write(root.join("etc/ld.so.conf"), self.cached.join("\n")).unwrap();
            let made = Command::new("/sbin/ldconfig").arg("-X").arg("-r").arg(root).status();
            assert!(made.unwrap().success(), "ldconfig");
        }
        for path in &self.removed {
            std::fs::remove_file(inside(path)).unwrap();
        }
    }

    fn ask_loader(&self, root: &Path, path: &str) -> Answer {
        let (library_path, preload) = (self.library_path, self.preload);
        let loader = Loader { library_path, preload, ..Loader::new(root, path) };
        loader.list(OsStr::new(PROGRAM))
    }

    fn resolve(&self, root: &Path) -> Answer {
        let sysroot = Sysroot::open(root).unwrap();
        let options = Options {
            library_path: self.library_path.map(Name::from),
            preload: self.preload.map(Name::from).into_iter().collect(),
            path: None,
        };
        let request = [Request::Program(ImagePath::new(PROGRAM).unwrap())];
        let closure = closure(&request, &sysroot, &options).unwrap();
        Answer::of(&closure)
    }
}

/// Runs a table against a loader.
fn check(loader: &str, cases: Vec<(&str, Case)>) {
    let mut wrong = Vec::new();
    for (rule, case) in cases {
        let root = tempfile::tempdir().unwrap();
        case.make(root.path(), loader);
        let (expected, got) = (case.ask_loader(root.path(), loader), case.resolve(root.path()));
        if expected != got {
            wrong.push(format!("{rule}\n  loader:   {expected}\n  resolver: {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn glibc(cases: Vec<(&str, Case)>) {
    if tests::require::root() && tests::require::file(GLIBC).is_some() {
        check(GLIBC, cases);
    }
}

fn musl(cases: Vec<(&str, Case)>) {
    if tests::require::root() && tests::require::file(MUSL).is_some() {
        check(MUSL, cases);
    }
}

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
    ]);
}

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
            "the preload comes before the dependencies",
            Case {
                preload: Some("/x/pre.so"),
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
    ]);
}

#[test]
fn glibc_tokens() {
    let a = || library("liba.so", &[]);
    let with = |list: &str, at: &'static str| {
        case(vec![(PROGRAM, glibc_program(&["liba.so"]).runpath(list)), (at, a())])
    };
    glibc(vec![
        ("origin", with("$ORIGIN/../lib", "/app/lib/liba.so")),
        ("origin in braces", with("${ORIGIN}/../lib", "/app/lib/liba.so")),
        ("lib", with("/opt/$LIB", "/opt/lib/x86_64-linux-gnu/liba.so")),
        ("an unknown token stays", with("/opt/$XYZ", "/opt/$XYZ/liba.so")),
        ("a longer name is another token", with("/opt/$LIBRARY", "/opt/$LIBRARY/liba.so")),
        ("an open brace stays", with("/opt/${LIB", "/opt/${LIB/liba.so")),
        ("several elements, slashes doubled", with("/none:/opt//x//", "/opt/x/liba.so")),
        (
            "origin of a library is where it was opened, not where it is",
            Case {
                links: vec![("/u/libb.so", "/real/libb.so")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["libb.so"]).runpath("/u")),
                    ("/real/libb.so", library("libb.so", &["liba.so"]).runpath("$ORIGIN/sub")),
                    ("/real/sub/liba.so", a()),
                    ("/u/sub/liba.so", a()),
                ])
            },
        ),
        (
            "a token in a needed name",
            case(vec![(PROGRAM, glibc_program(&["$ORIGIN/liba.so"])), ("/app/bin/liba.so", a())]),
        ),
    ]);
}

#[test]
fn glibc_candidates() {
    let prog = || glibc_program(&["liba.so"]).runpath("/u:/v");
    let good = || ("/v/liba.so", library("liba.so", &[]));
    let object = |elf: Elf| case(vec![(PROGRAM, prog()), ("/u/liba.so", elf), good()]);
    let file = |text: &'static [u8]| Case {
        files: vec![("/u/liba.so", text)],
        ..case(vec![(PROGRAM, prog()), good()])
    };
    let link = |target: &'static str| Case {
        links: vec![("/u/liba.so", target)],
        ..case(vec![(PROGRAM, prog()), good(), ("/usr/lib/liba.so", library("liba.so", &[]))])
    };
    let a = || library("liba.so", &[]);
    glibc(vec![
        ("another class is passed", object(a().for_machine(false, false, machine::I386))),
        ("another machine is passed", object(a().for_machine(true, false, machine::AARCH64))),
        (
            "another byte order is another machine",
            object(a().for_machine(true, true, machine::S390)),
        ),
        (
            "another byte order of another class",
            object(a().for_machine(false, true, machine::S390)),
        ),
        (
            "another operating system and another machine",
            object(a().abi(9, 0).for_machine(true, false, machine::AARCH64)),
        ),
        (
            "an object file of another machine",
            object(a().kind(1).for_machine(true, false, machine::AARCH64)),
        ),
        (
            "an object file of another class",
            object(a().kind(1).for_machine(false, false, machine::I386)),
        ),
        ("an object file stops", object(a().kind(1))),
        ("a program with fixed addresses stops", object(a().kind(2))),
        ("a position independent program stops", object(a().number(tag::FLAGS_1, 0x0800_0000))),
        ("an object without a dynamic section stops", object(a().without_dynamic())),
        ("another operating system stops", object(a().abi(9, 0))),
        ("GNU objects of a known ABI version", object(a().abi(3, 1))),
        ("an unknown ABI version stops", object(a().abi(0, 1))),
        ("GNU objects of an unknown ABI version", object(a().abi(3, 9))),
        ("a text file stops", file(b"INPUT(libreal.so)\n")),
        ("an empty file stops", file(b"")),
        ("a cut header stops", file(b"\x7fELF\x02\x01\x01")),
        ("a dangling link is passed", link("nowhere")),
        ("a loop of links drops the rest of the list", link("liba.so")),
        (
            "a folder of that name stops",
            Case { folders: vec!["/u/liba.so"], ..case(vec![(PROGRAM, prog()), good()]) },
        ),
        (
            "a file in place of a folder is passed",
            Case { files: vec![("/u", b"")], ..case(vec![(PROGRAM, prog()), good()]) },
        ),
    ]);
}

#[test]
fn glibc_cache() {
    let a = || library("liba.so", &[]);
    let prog = || glibc_program(&["liba.so"]);
    glibc(vec![
        (
            "a cached folder",
            Case {
                cached: vec!["/opt/x"],
                ..case(vec![(PROGRAM, prog()), ("/opt/x/liba.so", a())])
            },
        ),
        (
            "the cache knows sonames, not file names",
            Case {
                cached: vec!["/opt/x"],
                ..case(vec![
                    (PROGRAM, glibc_program(&["libfile.so", "libname.so"])),
                    ("/opt/x/libfile.so", library("libname.so", &[])),
                ])
            },
        ),
        (
            "the cache stands before the system directories",
            Case {
                cached: vec!["/opt/x"],
                ..case(vec![(PROGRAM, prog()), ("/opt/x/liba.so", a()), ("/usr/lib/liba.so", a())])
            },
        ),
        (
            "a stale entry falls through",
            Case {
                cached: vec!["/opt/x"],
                removed: vec!["/opt/x/liba.so"],
                ..case(vec![(PROGRAM, prog()), ("/opt/x/liba.so", a()), ("/usr/lib/liba.so", a())])
            },
        ),
        (
            "NODEFLIB takes no entry of a system directory",
            Case {
                cached: vec!["/opt/x"],
                ..case(vec![
                    (
                        PROGRAM,
                        glibc_program(&["liba.so", "libb.so"]).number(tag::FLAGS_1, NODEFLIB),
                    ),
                    ("/opt/x/liba.so", a()),
                    ("/usr/lib/libb.so", library("libb.so", &[])),
                ])
            },
        ),
        (
            "objects of another machine in the cache",
            Case {
                cached: vec!["/opt/x", "/opt/y"],
                ..case(vec![
                    (PROGRAM, prog()),
                    ("/opt/x/liba.so", a().for_machine(false, false, machine::I386)),
                    ("/opt/y/liba.so", a()),
                ])
            },
        ),
        (
            "a broken cache counts as none",
            Case {
                files: vec![("/etc/ld.so.cache", b"glibc-ld.so.cache1.1\xff\xff\xff\x7f")],
                ..case(vec![(PROGRAM, prog()), ("/usr/lib/liba.so", a())])
            },
        ),
        (
            "ld.so.conf alone means nothing",
            Case {
                files: vec![("/etc/ld.so.conf", b"/opt/x\n")],
                ..case(vec![(PROGRAM, prog()), ("/opt/x/liba.so", a())])
            },
        ),
    ]);
}

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
