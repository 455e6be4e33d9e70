//! What a closure holds besides libraries: links, scripts, modules, static programs; and how what is
//! missing is told. All in roots of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use builder::elf::Name;
use builder::report::problems;
use builder::resolve::{Closure, Options, Request, ResolveError, Sysroot, closure};
use common::report::Diagnostic as _;
use common::tree::ImagePath;
use tests::elf::{Elf, library, machine, program, tag};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// A merged-usr root with a loader that is no real one, so that usual directories are guessed.
fn root(objects: &[(&str, Elf)], links: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("usr/lib/x86_64-linux-gnu")).unwrap();
    std::fs::create_dir_all(root.path().join("usr/lib64")).unwrap();
    std::fs::create_dir_all(root.path().join("usr/bin")).unwrap();
    for (name, target) in [("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
        symlink(target, root.path().join(name)).unwrap();
    }
    library("ld-linux-x86-64.so.2", &[]).write(&below(root.path(), LOADER));
    for (path, object) in objects {
        object.write(&below(root.path(), path));
    }
    for (path, target) in links {
        let path = below(root.path(), path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }
    root
}

fn below(root: &Path, path: &str) -> std::path::PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).unwrap()
}

fn resolve(root: &Path, requests: &[Request]) -> Result<Closure, ResolveError> {
    closure(requests, &Sysroot::open(root).unwrap(), &Options::default())
}

/// Every path of the closure; links with what they say.
fn dump(closure: &Closure) -> Vec<String> {
    closure
        .paths()
        .into_iter()
        .map(|path| match closure.links.get(path) {
            Some(link) => format!("{path} -> {}", link.target),
            None => path.to_string(),
        })
        .collect()
}

#[test]
fn every_link_on_the_way_is_told() {
    let root = root(
        &[
            ("/usr/bin/real", program(LOADER, &["libz.so.1"])),
            ("/usr/lib/x86_64-linux-gnu/libz.so.1.2.13", library("libz.so.1", &[])),
        ],
        &[
            ("/usr/lib/x86_64-linux-gnu/libz.so.1", "/etc/alternatives/libz"),
            ("/etc/alternatives/libz", "/lib/x86_64-linux-gnu/libz.so.1.2.13"),
            ("/usr/bin/app", "real"),
        ],
    );
    let closure = resolve(root.path(), &[Request::Program(path("/bin/app"))]).unwrap();
    assert!(closure.is_complete(), "{closure:?}");
    assert_eq!(
        dump(&closure),
        [
            "/bin -> usr/bin",
            "/etc/alternatives/libz -> /lib/x86_64-linux-gnu/libz.so.1.2.13",
            "/lib -> usr/lib",
            "/lib64 -> usr/lib64",
            "/usr/bin/app -> real",
            "/usr/bin/real",
            "/usr/lib/x86_64-linux-gnu/libz.so.1 -> /etc/alternatives/libz",
            "/usr/lib/x86_64-linux-gnu/libz.so.1.2.13",
            "/usr/lib64/ld-linux-x86-64.so.2",
        ]
    );
}

#[test]
fn a_script_brings_its_interpreters() {
    let root = root(
        &[
            ("/usr/bin/dash", program(LOADER, &[])),
            ("/usr/bin/env", program(LOADER, &[])),
            ("/usr/bin/tool", program(LOADER, &[])),
        ],
        &[("/usr/bin/sh", "dash")],
    );
    for (name, text) in [
        ("plain", "#!/bin/sh -e\n"),
        ("nested", "#!/usr/bin/plain\n"),
        ("with-env", "#!/usr/bin/env -S A=b tool -x\n"),
        ("loop", "#!/usr/bin/loop\n"),
        ("lost", "#!/usr/bin/env lost-tool\n"),
        ("relative", "#!bin/sh\n"),
        ("text", "just text\n"),
    ] {
        std::fs::write(root.path().join("usr/bin").join(name), text).unwrap();
    }
    let ask =
        |name: &str| resolve(root.path(), &[Request::Program(path(&format!("/usr/bin/{name}")))]);
    let programs = |name: &str| -> Vec<String> {
        ask(name).unwrap().programs.iter().map(|program| program.path.to_string()).collect()
    };
    assert_eq!(programs("plain"), ["/bin/sh"]);
    assert_eq!(programs("nested"), ["/bin/sh"]);
    assert_eq!(programs("with-env"), ["/usr/bin/env", "/usr/bin/tool"]);
    assert_eq!(ask("nested").unwrap().scripts, [path("/usr/bin/nested"), path("/usr/bin/plain")]);
    for name in ["loop", "lost", "relative", "text"] {
        let error = ask(name).unwrap_err();
        assert!(error.hint().is_some(), "{name}: {error}");
    }
}

#[test]
fn a_module_is_resolved_in_the_scope_of_its_program() {
    let root = root(
        &[
            ("/usr/bin/app", program(LOADER, &["liba.so"]).rpath("/opt/app")),
            ("/opt/app/liba.so", library("liba.so", &[])),
            ("/opt/app/libp.so", library("libp.so", &[])),
            ("/opt/mod/one.so", library("one.so", &["liba.so", "libm1.so"]).runpath("/opt/mod")),
            ("/opt/mod/two.so", library("two.so", &["libm1.so", "libp.so"])),
            ("/opt/mod/liba.so", library("liba.so", &[])),
            ("/opt/mod/libm1.so", library("libm1.so", &[])),
        ],
        &[],
    );
    let module = |name: &str| Request::Module { path: path(name), program: path("/usr/bin/app") };
    let closure = resolve(
        root.path(),
        &[
            Request::Program(path("/usr/bin/app")),
            module("/opt/mod/one.so"),
            module("/opt/mod/two.so"),
            Request::Library {
                name: Name::from("libp.so"),
                program: path("/usr/bin/app"),
                caller: None,
                optional: false,
            },
            Request::Library {
                name: Name::from("libgone.so"),
                program: path("/usr/bin/app"),
                caller: None,
                optional: true,
            },
        ],
    )
    .unwrap();
    let opened = |number: usize| -> Vec<String> {
        closure.programs[number].loads.iter().map(|load| load.opened.to_string()).collect()
    };
    // `liba.so` is the program's, though the module's own RUNPATH has another.
    assert_eq!(opened(1), ["/opt/mod/one.so", "/opt/mod/libm1.so"]);
    // What the first module loaded is no promise to the second; the program's RPATH is.
    assert_eq!(opened(2), ["/opt/mod/two.so", "/opt/app/libp.so"]);
    assert_eq!(opened(3), ["/opt/app/libp.so"]);
    assert_eq!(opened(4), Vec::<String>::new());
    let missing: Vec<String> = closure.missing.iter().map(|m| m.name.to_string()).collect();
    assert_eq!(missing, ["libm1.so"]);
}

/// glibc `_dl_map_object`: what is loaded answers to its soname. Java's libraries need `libjvm.so`, which is
/// in no folder that is searched.
#[test]
fn a_module_that_others_need_by_name_is_opened_before_them() {
    let root = root(
        &[
            ("/usr/bin/app", program(LOADER, &[])),
            ("/opt/libmid.so", library("libmid.so", &["libvm.so"])),
            ("/opt/top.so", library("top.so", &["libmid.so"]).runpath("/opt")),
            ("/opt/vm/libvm.so", library("libvm.so", &[])),
            ("/opt/vm/libother.so", library("no-such-name.so", &[])),
            ("/opt/lacks.so", library("lacks.so", &["libother.so"])),
        ],
        &[],
    );
    let module = |name: &str| Request::Module { path: path(name), program: path("/usr/bin/app") };
    let program = Request::Program(path("/usr/bin/app"));
    let alone = resolve(root.path(), &[program.clone(), module("/opt/top.so")]).unwrap();
    assert_eq!(alone.missing.len(), 1);
    let names = ["/opt/top.so", "/opt/vm/libvm.so", "/opt/vm/libother.so", "/opt/lacks.so"];
    let requests = std::iter::once(program).chain(names.map(module)).collect::<Vec<_>>();
    let closure = resolve(root.path(), &requests).unwrap();
    let opened: Vec<String> =
        closure.programs[1].loads.iter().map(|load| load.opened.to_string()).collect();
    assert_eq!(opened, ["/opt/vm/libvm.so", "/opt/top.so", "/opt/libmid.so"]);
    assert_eq!(closure.programs[1].path, path("/opt/top.so"));
    // A file of that name that bears another does not answer to it.
    let missing: Vec<String> = closure.missing.iter().map(|m| m.name.to_string()).collect();
    assert_eq!(missing, ["libother.so"]);
}

/// `ld.so(8)`, "Secure-execution mode": `$ORIGIN` of a program with privileges counts only as first
/// component and in a trusted directory; the library path and preloads do not count at all.
#[test]
fn privileges_restrict_tokens_and_build_inputs() {
    let list = "$ORIGIN/../../opt:$ORIGIN/../lib:/safe/$ORIGIN";
    let root = root(
        &[
            ("/usr/bin/app", program(LOADER, &["libo.so", "libl.so", "libe.so"]).runpath(list)),
            ("/opt/libo.so", library("libo.so", &[])),
            ("/usr/lib/libl.so", library("libl.so", &[])),
            ("/env/libe.so", library("libe.so", &[])),
        ],
        &[],
    );
    let options = Options { library_path: Some(Name::from("/env")), ..Options::default() };
    let missing = |mode: u32| -> Vec<String> {
        let file = root.path().join("usr/bin/app");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        let sysroot = Sysroot::open(root.path()).unwrap();
        let request = [Request::Program(path("/usr/bin/app"))];
        let closure = closure(&request, &sysroot, &options).unwrap();
        closure.missing.iter().map(|missing| missing.name.to_string()).collect()
    };
    assert_eq!(missing(0o755), Vec::<String>::new());
    assert_eq!(missing(0o4755), ["libo.so", "libe.so"]);
    assert_eq!(missing(0o2755), ["libo.so", "libe.so"]);
}

#[test]
fn static_programs_are_complete_by_themselves() {
    let fixed = Elf::default().kind(2).without_dynamic();
    let pie = Elf::default().number(tag::FLAGS_1, 0x0800_0000);
    let root = root(&[("/usr/bin/fixed", fixed), ("/usr/bin/pie", pie)], &[]);
    for name in ["/usr/bin/fixed", "/usr/bin/pie"] {
        let closure = resolve(root.path(), &[Request::Program(path(name))]).unwrap();
        assert_eq!(dump(&closure), [name]);
    }
}

#[test]
fn programs_of_other_machines_are_resolved_by_their_own_table() {
    let arm = |elf: Elf| elf.for_machine(true, false, machine::AARCH64);
    let root = root(
        &[
            ("/usr/bin/app", arm(program("/lib/ld-linux-aarch64.so.1", &["liba.so"]))),
            ("/usr/lib/ld-linux-aarch64.so.1", arm(library("ld-linux-aarch64.so.1", &[]))),
            ("/usr/lib/x86_64-linux-gnu/liba.so", library("liba.so", &[])),
            ("/usr/lib/aarch64-linux-gnu/liba.so", arm(library("liba.so", &[]))),
        ],
        &[],
    );
    let closure = resolve(root.path(), &[Request::Program(path("/usr/bin/app"))]).unwrap();
    assert!(dump(&closure).contains(&"/usr/lib/aarch64-linux-gnu/liba.so".to_owned()));
    assert_eq!(closure.warnings.len(), 1, "that the directories were guessed is said");
}

#[test]
fn what_is_missing_is_told_with_who_needs_it_and_every_place() {
    let root = root(
        &[
            ("/usr/bin/app", program(LOADER, &["liba.so"]).rpath("/opt:/far")),
            ("/opt/liba.so", library("liba.so", &["libgone.so"])),
            ("/opt/libgone.so", library("", &[]).for_machine(false, false, machine::I386)),
        ],
        &[("/far/libgone.so", "nowhere")],
    );
    let closure = resolve(root.path(), &[Request::Program(path("/usr/bin/app"))]).unwrap();
    assert_eq!(
        problems::text(&closure),
        "error: `libgone.so` is missing, needed by `/opt/liba.so`\n  \
         in `/usr/bin/app`, which loads `/opt/liba.so`\n  \
         tried `/opt/libgone.so` (RPATH of /usr/bin/app): an object for another word size\n  \
         tried `/far/libgone.so` (RPATH of /usr/bin/app): a dangling link\n  \
         tried `/lib/x86_64-linux-gnu/libgone.so` (system directory): no such file\n  \
         tried `/usr/lib/x86_64-linux-gnu/libgone.so` (system directory): no such file\n  \
         tried `/lib/libgone.so` (system directory): no such file\n  \
         tried `/usr/lib/libgone.so` (system directory): no such file\n\
         hint: `/opt/libgone.so` is for another architecture; install the package that ships \
         libgone.so for the program's\n"
    );
}

#[test]
fn the_verb_prints_the_rest_and_ends_with_1() {
    let root = root(&[("/usr/bin/app", program(LOADER, &["libgone.so"]))], &[]);
    let run = |arguments: &[&str]| {
        let coracle = tests::programs::coracle();
        Command::new(coracle).args(arguments).arg("--sysroot").arg(root.path()).output().unwrap()
    };
    let output = run(&["closure", "app"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "/lib64\n/usr/bin/app\n/usr/lib64/ld-linux-x86-64.so.2\n");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("`libgone.so` is missing, needed by `/usr/bin/app`"), "{told}");
    let output = run(&["closure", "-0", "/bin/app"]);
    // The name that was asked for is there too.
    assert_eq!(output.stdout, b"/bin\0/lib64\0/usr/bin/app\0/usr/lib64/ld-linux-x86-64.so.2\0");
    assert_eq!(run(&["tree", "--json", "app"]).status.code(), Some(1));
    assert_eq!(run(&["closure", "no-such-program"]).status.code(), Some(1));
}
