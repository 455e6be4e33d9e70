//! What tracing cannot show: objects that are opened at run time, and programs with privileges. The program really
//! starts in the root, as an ordinary user, opens an object, and prints what is loaded then.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use builder::elf::Name;
use builder::resolve::{Closure, Options, Relation, Request, Sysroot, closure};
use common::tree::ImagePath;
use tests::chroot::inside_with_proc;
use tests::elf::{Elf, library};
use tests::samples::compile_c;

use super::{GLIBC, MUSL, NOBODY, PROGRAM};

const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";
/// A library that opens objects for the program, in `CALLER`.
const CALLER: &str = "/c/libcaller.so";
const OPENS: &str =
    "#include <dlfcn.h>\nvoid *open_for_me(const char *name) { return dlopen(name, RTLD_NOW); }\n";
/// The caller is who is returned to: not the program, by a jump at the end.
const CALLS: &str = "-fno-optimize-sibling-calls";

/// A program that opens one object.
#[derive(Default)]
struct Start {
    /// Where the program is; [`PROGRAM`] where empty.
    at: &'static str,
    /// Options of the linker for the program.
    linked: &'static [&'static str],
    /// Options of the linker for the library that opens, where there is one.
    caller: Option<&'static [&'static str]>,
    objects: Vec<(&'static str, Elf)>,
    library_path: Option<&'static str>,
    /// The program is set-uid.
    privileged: bool,
    opens: &'static str,
}

impl Start {
    fn at(&self) -> &'static str {
        if self.at.is_empty() { PROGRAM } else { self.at }
    }

    /// `None` skips the test.
    fn make(&self, root: &Path, compiler: &str, loader: &str) -> Option<()> {
        let inside = |path: &str| root.join(path.trim_start_matches('/'));
        let files: &[&str] = if loader == MUSL { &[MUSL] } else { &[GLIBC, LIBC] };
        for file in files {
            fs::create_dir_all(inside(file).parent().unwrap()).unwrap();
            fs::copy(file, inside(file)).unwrap();
        }
        fs::create_dir_all(root.join("proc")).unwrap();
        for (path, object) in &self.objects {
            object.write(&inside(path));
        }
        let (program, caller) = (inside(self.at()), inside(CALLER));
        let mut options = self.linked.to_vec();
        if let Some(linked) = self.caller {
            fs::create_dir_all(caller.parent().unwrap()).unwrap();
            let soname = ["-shared", "-fPIC", CALLS, "-Wl,-soname,libcaller.so"];
            compile_c(compiler, &[&soname, linked].concat(), OPENS, &caller)?;
            options.extend(["-Wl,--no-as-needed", caller.to_str().unwrap()]);
        }
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        compile_c(compiler, &options, include_str!("started.c"), &program)?;
        let mode = if self.privileged { 0o4755 } else { 0o755 };
        fs::set_permissions(program, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        Some(())
    }

    /// Paths of what is loaded in the end, but for the program and the loader.
    fn run(&self, root: &Path) -> BTreeSet<String> {
        let mut command = Command::new(self.at());
        command.arg(self.opens).uid(NOBODY).gid(NOBODY).stdin(Stdio::inherit());
        command.env_clear().envs(self.library_path.map(|list| ("LD_LIBRARY_PATH", list)));
        let output = inside_with_proc(root, || command.output().unwrap());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", self.opens);
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| is_listed(line)).map(str::to_owned).collect()
    }

    fn resolve(&self, root: &Path) -> BTreeSet<String> {
        let program = ImagePath::new(self.at()).unwrap();
        let opened = if self.opens.starts_with('/') && self.caller.is_none() {
            let path = ImagePath::new(self.opens).unwrap();
            Request::Module { path, program: program.clone() }
        } else {
            Request::Library {
                name: Name::from(self.opens),
                program: program.clone(),
                caller: self.caller.map(|_| ImagePath::new(CALLER).unwrap()),
                optional: true,
            }
        };
        let library_path = self.library_path.map(Name::from);
        let options = Options { library_path, ..Options::default() };
        let sysroot = Sysroot::open(root).unwrap();
        let closure = closure(&[Request::Program(program), opened], &sysroot, &options).unwrap();
        loaded(&closure)
    }
}

fn loaded(closure: &Closure) -> BTreeSet<String> {
    // What is opened and misses something is not loaded at all.
    let programs =
        if closure.is_complete() { &closure.programs[..] } else { &closure.programs[..1] };
    let loads = programs.iter().flat_map(|program| &program.loads);
    loads
        .filter(|load| !matches!(load.relation, Relation::Program | Relation::Interpreter))
        .map(|load| load.opened.to_string())
        .collect()
}

/// The program has no name there, or its own; the vDSO has no path.
fn is_listed(line: &str) -> bool {
    line.starts_with('/') && ![GLIBC, MUSL].contains(&line) && !line.ends_with("/program")
}

fn check(compiler: &str, loader: &str, cases: Vec<(&str, Start)>) {
    if !tests::require::root() || tests::require::file(loader).is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for (rule, start) in cases {
        let root = tempfile::tempdir().unwrap();
        if start.make(root.path(), compiler, loader).is_none() {
            return;
        }
        let (expected, got) = (start.run(root.path()), start.resolve(root.path()));
        if expected != got {
            wrong.push(format!("{rule}\n  loaded:   {expected:?}\n  resolver: {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const RPATH: &[&str] = &["-Wl,--disable-new-dtags,-rpath,/r:/c"];
const RUNPATH: &[&str] = &["-Wl,--enable-new-dtags,-rpath,/r:/c"];
const CALLER_RPATH: &[&str] = &["-Wl,--disable-new-dtags,-rpath,/q"];
const CALLER_RUNPATH: &[&str] = &["-Wl,--enable-new-dtags,-rpath,/q"];

/// What modules find through whom.
fn modules() -> Vec<(&'static str, Start)> {
    let a = || library("liba.so", &[]);
    let module = || library("module.so", &["liba.so"]);
    let objects = || {
        vec![
            ("/m/module.so", module()),
            ("/q/named.so", library("named.so", &["liba.so"])),
            ("/r/named.so", library("named.so", &["liba.so"])),
            ("/q/liba.so", a()),
            ("/r/liba.so", a()),
        ]
    };
    let with = |linked, caller, opens| Start {
        linked,
        caller,
        opens,
        objects: objects(),
        ..Start::default()
    };
    vec![
        ("a module finds by the program's RPATH", with(RPATH, None, "/m/module.so")),
        ("a module and the program's RUNPATH", with(RUNPATH, None, "/m/module.so")),
        ("a name by the program's RPATH", with(RPATH, None, "named.so")),
        ("a name by the program's RUNPATH", with(RUNPATH, None, "named.so")),
        ("a name that is nowhere", with(RUNPATH, None, "gone.so")),
        ("a library opens, with an RPATH", with(RPATH, Some(CALLER_RPATH), "named.so")),
        ("a library opens, with a RUNPATH", with(RPATH, Some(CALLER_RUNPATH), "named.so")),
        ("a library without a path opens", with(RPATH, Some(&[]), "named.so")),
        ("a library opens, below a RUNPATH", with(RUNPATH, Some(CALLER_RPATH), "named.so")),
        (
            "a library opens by path, with an RPATH",
            with(RUNPATH, Some(CALLER_RPATH), "/m/module.so"),
        ),
        (
            "a library opens by path, with a RUNPATH",
            with(RPATH, Some(CALLER_RUNPATH), "/m/module.so"),
        ),
        (
            "what the module brings itself",
            Start {
                linked: RPATH,
                opens: "/m/module.so",
                objects: vec![
                    ("/m/module.so", module().runpath("$ORIGIN/own")),
                    ("/m/own/liba.so", a()),
                    ("/r/liba.so", a()),
                ],
                ..Start::default()
            },
        ),
        (
            "what the library path has",
            Start { library_path: Some("/q"), ..with(RUNPATH, None, "/m/module.so") },
        ),
        (
            "tokens in what is opened",
            Start {
                opens: "$ORIGIN/../m/module.so",
                caller: Some(CALLER_RPATH),
                linked: RPATH,
                objects: vec![("/m/module.so", library("module.so", &[]))],
                ..Start::default()
            },
        ),
    ]
}

#[test]
fn glibc_modules() {
    check("gcc", GLIBC, modules());
}

#[test]
fn musl_modules() {
    check("musl-gcc", MUSL, modules());
}

/// `ld.so(8)`, "Secure-execution mode", and what `_dl_dst_substitute` makes of it.
#[test]
fn glibc_privileges() {
    let start = |at, linked, place: &'static str| Start {
        at,
        linked,
        objects: vec![(place, library("liba.so", &[]))],
        privileged: true,
        opens: "liba.so",
        ..Start::default()
    };
    let trusted = "/usr/lib/app/bin/program";
    check(
        "gcc",
        GLIBC,
        vec![
            ("a plain path", start(PROGRAM, &["-Wl,-rpath,/r"], "/r/liba.so")),
            ("an origin elsewhere", start(PROGRAM, &["-Wl,-rpath,$ORIGIN"], "/app/bin/liba.so")),
            (
                "a trusted origin",
                start(trusted, &["-Wl,-rpath,$ORIGIN"], "/usr/lib/app/bin/liba.so"),
            ),
            (
                "above a trusted origin",
                start(trusted, &["-Wl,-rpath,${ORIGIN}/../x"], "/usr/lib/app/x/liba.so"),
            ),
            (
                "out of a trusted origin",
                start(trusted, &["-Wl,-rpath,$ORIGIN/../../../x"], "/usr/x/liba.so"),
            ),
            (
                "an origin that is not first",
                start(
                    trusted,
                    &["-Wl,-rpath,/usr/lib/$ORIGIN"],
                    "/usr/lib/usr/lib/app/bin/liba.so",
                ),
            ),
            (
                "an origin that goes on",
                start(trusted, &["-Wl,-rpath,$ORIGIN.d"], "/usr/lib/app/bin.d/liba.so"),
            ),
            (
                "an old RPATH",
                start(
                    trusted,
                    &["-Wl,--disable-new-dtags,-rpath,$ORIGIN"],
                    "/usr/lib/app/bin/liba.so",
                ),
            ),
            (
                "another token",
                start(PROGRAM, &["-Wl,-rpath,/opt/$LIB"], "/opt/lib/x86_64-linux-gnu/liba.so"),
            ),
            (
                "the library path",
                Start { library_path: Some("/l"), ..start(PROGRAM, &[], "/l/liba.so") },
            ),
            (
                "the library path without privileges",
                Start {
                    library_path: Some("/l"),
                    privileged: false,
                    ..start(PROGRAM, &[], "/l/liba.so")
                },
            ),
            (
                "an origin of a library",
                Start {
                    objects: vec![
                        ("/m/module.so", library("module.so", &["liba.so"]).runpath("$ORIGIN/own")),
                        ("/m/own/liba.so", library("liba.so", &[])),
                    ],
                    opens: "/m/module.so",
                    ..start(PROGRAM, &[], "/unused")
                },
            ),
            (
                "an origin of a library that is not first",
                Start {
                    objects: vec![
                        ("/m/module.so", library("module.so", &["liba.so"]).runpath("/x/$ORIGIN")),
                        ("/x/m/liba.so", library("liba.so", &[])),
                    ],
                    opens: "/m/module.so",
                    ..start(PROGRAM, &[], "/unused")
                },
            ),
        ],
    );
}

/// musl, `fixup_rpath`: with privileges the program's own origin voids its whole list.
#[test]
fn musl_privileges() {
    let start = |linked, place: &'static str| Start {
        linked,
        objects: vec![(place, library("liba.so", &[]))],
        privileged: true,
        opens: "liba.so",
        ..Start::default()
    };
    check(
        "musl-gcc",
        MUSL,
        vec![
            ("a plain path", start(&["-Wl,-rpath,/r"], "/r/liba.so")),
            ("an origin", start(&["-Wl,-rpath,$ORIGIN"], "/app/bin/liba.so")),
            ("a path beside an origin", start(&["-Wl,-rpath,/r:$ORIGIN"], "/r/liba.so")),
            ("the library path", Start { library_path: Some("/l"), ..start(&[], "/l/liba.so") }),
            (
                "an origin of a library",
                Start {
                    objects: vec![
                        ("/m/module.so", library("module.so", &["liba.so"]).runpath("$ORIGIN/own")),
                        ("/m/own/liba.so", library("liba.so", &[])),
                    ],
                    opens: "/m/module.so",
                    ..start(&[], "/unused")
                },
            ),
        ],
    );
}
