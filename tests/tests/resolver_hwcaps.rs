//! Variants of libraries for some processors: which of them a processor's loader takes, by folder and by
//! cache. The expected answer is the real loader's, told by `--glibc-hwcaps-prepend` which levels its
//! processor has.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use builder::resolve::{Options, Program, Relation, Request, Sysroot, closure};
use builder::spec::search::Cpus;
use common::tree::ImagePath;
use tests::elf::{Elf, library, program, tag};
use tests::loader::{Answer, Loader};

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const PROGRAM: &str = "/app/bin/program";

/// Objects of a root besides the program, and folders that `ldconfig` scans.
type Case<'c> = (&'c str, Elf, &'c [(&'c str, Elf)], &'c [&'c str]);

fn make(root: &Path, (_, program, objects, cached): &Case<'_>) {
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(inside("/lib64")).unwrap();
    std::fs::copy(GLIBC, inside(GLIBC)).unwrap();
    program.write(&inside(PROGRAM));
    for (path, object) in *objects {
        object.write(&inside(path));
    }
    if !cached.is_empty() {
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/ld.so.conf"), cached.join("\n")).unwrap();
        let made = Command::new("/sbin/ldconfig").arg("-X").arg("-r").arg(root).status();
        assert!(made.unwrap().success(), "ldconfig");
    }
}

fn answer(program: &Program) -> Answer {
    let libraries = program.loads.iter().filter(|load| load.relation == Relation::Needed);
    let pair = |load: &builder::resolve::Load| {
        (load.name.as_bytes().to_vec(), load.opened.as_bytes().to_vec())
    };
    let asked = program.loads.iter().flat_map(|load| &load.dependencies);
    let missing = asked.filter(|asked| asked.load.is_none()).map(|asked| asked.name.as_bytes());
    let missing = missing.map(<[u8]>::to_vec).collect();
    Answer { found: libraries.map(pair).collect(), missing, fatal: false }
}

/// What each level finds in a root, compared with the loader.
fn check(cases: &[Case<'_>]) {
    if !tests::require::root() || tests::require::file(GLIBC).is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for case in cases {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), case);
        let sysroot = Sysroot::open(root.path()).unwrap();
        let request = [Request::Program(ImagePath::new(PROGRAM).unwrap())];
        for (cpu, levels) in [
            ("baseline", None),
            ("x86-64-v2", Some("x86-64-v2")),
            ("x86-64-v3", Some("x86-64-v3:x86-64-v2")),
            ("x86-64-v4", Some("x86-64-v4:x86-64-v3:x86-64-v2")),
        ] {
            let root = root.path();
            let loader = Loader { levels, ..Loader::new(root, GLIBC) };
            let expected = loader.list(OsStr::new(PROGRAM));
            let options = Options { cpus: cpu.parse().unwrap(), ..Options::default() };
            let closure = closure(&request, &sysroot, &options).unwrap();
            let of_cpu = |program: &&Program| program.processor.to_string() == cpu;
            let got = answer(closure.programs.iter().find(of_cpu).unwrap());
            if expected != got {
                wrong.push(format!("{}, {cpu}\n  loader:   {expected}\n  resolver: {got}", case.0));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn a() -> Elf {
    library("liba.so", &[])
}

fn app() -> Elf {
    program(GLIBC, &["liba.so"])
}

#[test]
fn a_level_is_searched_in_every_folder_before_the_folder_itself() {
    check(&[
        (
            "the best of its levels",
            app().runpath("/u"),
            &[
                ("/u/liba.so", a()),
                ("/u/glibc-hwcaps/x86-64-v2/liba.so", a()),
                ("/u/glibc-hwcaps/x86-64-v4/liba.so", a()),
            ],
            &[],
        ),
        (
            "an earlier folder counts more than a better level",
            app().rpath("/u:/v"),
            &[("/u/liba.so", a()), ("/v/glibc-hwcaps/x86-64-v2/liba.so", a())],
            &[],
        ),
        (
            "system directories have levels",
            app(),
            &[("/usr/lib/liba.so", a()), ("/usr/lib/glibc-hwcaps/x86-64-v3/liba.so", a())],
            &[],
        ),
        (
            "a level's library has needs of its own",
            app().runpath("/u"),
            &[
                ("/u/liba.so", a()),
                (
                    "/u/glibc-hwcaps/x86-64-v3/liba.so",
                    library("liba.so", &["libb.so"]).runpath("/w"),
                ),
                ("/w/libb.so", library("libb.so", &[])),
            ],
            &[],
        ),
        (
            "an unknown level is no level",
            app().runpath("/u"),
            &[("/u/liba.so", a()), ("/u/glibc-hwcaps/x86-64-v9/liba.so", a())],
            &[],
        ),
        (
            "a level that does not fit is passed",
            app().runpath("/u"),
            &[
                ("/u/liba.so", a()),
                ("/u/glibc-hwcaps/x86-64-v2/liba.so", a().for_machine(true, false, 183)),
            ],
            &[],
        ),
    ]);
}

#[test]
fn the_older_scheme_is_searched_up_to_glibc_2_36() {
    check(&[
        ("tls", app().runpath("/u"), &[("/u/liba.so", a()), ("/u/tls/liba.so", a())], &[]),
        ("platform", app().runpath("/u"), &[("/u/liba.so", a()), ("/u/x86_64/liba.so", a())], &[]),
        (
            "tls with platform before tls before platform",
            app().runpath("/u"),
            &[
                ("/u/x86_64/x86_64/liba.so", a()),
                ("/u/tls/liba.so", a()),
                ("/u/tls/x86_64/liba.so", a()),
            ],
            &[],
        ),
        (
            "named levels before it",
            app().runpath("/u"),
            &[("/u/tls/liba.so", a()), ("/u/glibc-hwcaps/x86-64-v2/liba.so", a())],
            &[],
        ),
        (
            "what only other processors search",
            app().runpath("/u"),
            &[
                ("/u/xeon_phi/liba.so", a()),
                ("/u/i686/liba.so", a()),
                ("/u/avx512_1/liba.so", a()),
                ("/u/liba.so", a()),
            ],
            &[],
        ),
        (
            "the platform as a token",
            app().runpath("/u/$PLATFORM"),
            &[("/u/x86_64/liba.so", a())],
            &[],
        ),
    ]);
}

#[test]
fn the_cache_lists_levels() {
    let everywhere = &[
        ("/opt/liba.so", a()),
        ("/opt/glibc-hwcaps/x86-64-v2/liba.so", a()),
        ("/opt/glibc-hwcaps/x86-64-v3/liba.so", a()),
        ("/opt/glibc-hwcaps/x86-64-v4/liba.so", a()),
        ("/opt/glibc-hwcaps/more/liba.so", a()),
    ];
    let legacy = &[
        ("/opt/liba.so", a()),
        ("/opt/tls/liba.so", a()),
        ("/opt/x86_64/liba.so", a()),
        ("/opt/xeon_phi/liba.so", a()),
        ("/opt/i686/liba.so", a()),
        ("/opt/avx512_1/liba.so", a()),
    ];
    check(&[
        ("the best of its levels", app(), everywhere, &["/opt"]),
        ("without a baseline", app(), &everywhere[2..3], &["/opt"]),
        ("the older scheme", app(), legacy, &["/opt"]),
        ("the older scheme, one only", app(), &legacy[..2], &["/opt"]),
        ("the older scheme, another processor's", app(), &legacy[3..], &["/opt"]),
        (
            "both schemes",
            app(),
            &[everywhere[1].clone(), legacy[1].clone(), legacy[0].clone()],
            &["/opt"],
        ),
        (
            "levels of a system directory without the right to it",
            app().number(tag::FLAGS_1, 0x800),
            &[("/usr/lib/glibc-hwcaps/x86-64-v2/liba.so", a()), ("/opt/liba.so", a())],
            &["/opt"],
        ),
    ]);
}

/// The baseline's copy is always there, whatever the level, and each copy brings its own needs.
#[test]
fn all_levels_are_the_files_of_each() {
    if tests::require::file(GLIBC).is_none() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let objects = [
        ("/u/liba.so", a()),
        ("/u/glibc-hwcaps/x86-64-v2/liba.so", library("liba.so", &["libb.so"]).runpath("/w")),
        ("/u/glibc-hwcaps/x86-64-v3/liba.so", a()),
        ("/u/haswell/liba.so", a()),
        ("/w/libb.so", library("libb.so", &[])),
    ];
    make(root.path(), &("", app().runpath("/u"), &objects, &[]));
    let files = |cpus: Cpus| -> BTreeSet<String> {
        let sysroot = Sysroot::open(root.path()).unwrap();
        let options = Options { cpus, ..Options::default() };
        let request = [Request::Program(ImagePath::new(PROGRAM).unwrap())];
        let closure = closure(&request, &sysroot, &options).unwrap();
        let files = closure.files().into_iter().map(ToString::to_string);
        files.filter(|path| path.contains("/lib") && !path.contains("ld-linux")).collect()
    };
    let set = |paths: &[&str]| -> BTreeSet<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    };
    let [base, v2, v3, _, b] = objects.each_ref().map(|(path, _)| *path);
    assert_eq!(files(Cpus::Baseline), set(&[base]));
    assert_eq!(files("x86-64-v2".parse().unwrap()), set(&[base, v2, b]));
    // An Intel processor of that level looks into `haswell` only where no named level has it.
    assert_eq!(files("x86-64-v3".parse().unwrap()), set(&[base, v3]));
    assert_eq!(files(Cpus::All), set(&[base, v2, v3, b]));
    assert_eq!(files("power10".parse().unwrap()), set(&[base]));
}
