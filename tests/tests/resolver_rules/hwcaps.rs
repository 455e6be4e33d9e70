//! Variants of libraries for some processors: which of them a processor's loader takes, by folder and by
//! cache. The loader is told by `--glibc-hwcaps-prepend` which levels its processor has.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use builder::resolve::{Closure, Load, Options, Program, Relation, Request, Sysroot, closure};
use builder::spec::search::Cpus;
use common::tree::ImagePath;
use tests::elf::{Elf, library, tag};
use tests::loader::{Answer, Loader};

use super::{Case, GLIBC, NODEFLIB, PROGRAM, case, glibc_program};

fn answer(program: &Program) -> Answer {
    let libraries = program.loads.iter().filter(|load| load.relation == Relation::Needed);
    let pair = |load: &Load| (load.name.as_bytes().to_vec(), load.opened.as_bytes().to_vec());
    let asked = program.loads.iter().flat_map(|load| &load.dependencies);
    let missing = asked.filter(|asked| asked.load.is_none()).map(|asked| asked.name.as_bytes());
    let missing = missing.map(<[u8]>::to_vec).collect();
    Answer { found: libraries.map(pair).collect(), missing, fatal: false }
}

fn resolve(sysroot: &Sysroot, cpus: Cpus) -> Closure {
    let request = [Request::Program(ImagePath::new(PROGRAM).unwrap())];
    closure(&request, sysroot, &Options { cpus, ..Options::default() }).unwrap()
}

/// What each level finds in a root, compared with the loader.
fn check(rows: &[Row<'_>]) {
    if !tests::require::root() || tests::require::file(GLIBC).is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for (rule, program, objects, cached) in rows {
        let case = with(program, objects, cached);
        let root = tempfile::tempdir().unwrap();
        case.make(root.path(), GLIBC);
        let sysroot = Sysroot::open(root.path()).unwrap();
        for (cpu, levels) in [
            ("baseline", None),
            ("x86-64-v2", Some("x86-64-v2")),
            ("x86-64-v3", Some("x86-64-v3:x86-64-v2")),
            ("x86-64-v4", Some("x86-64-v4:x86-64-v3:x86-64-v2")),
        ] {
            let loader = Loader { levels, ..Loader::new(root.path(), GLIBC) };
            let expected = loader.list(OsStr::new(PROGRAM));
            let closure = resolve(&sysroot, cpu.parse().unwrap());
            let of_cpu = |program: &&Program| program.processor.to_string() == cpu;
            let got = answer(closure.programs.iter().find(of_cpu).unwrap());
            if expected != got {
                wrong.push(format!("{rule}, {cpu}\n  loader:   {expected}\n  resolver: {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn a() -> Elf {
    library("liba.so", &[])
}

fn app() -> Elf {
    glibc_program(&["liba.so"])
}

/// A rule, the program, objects besides it, and folders that `ldconfig` scans.
type Row<'r> = (&'r str, Elf, &'r [(&'static str, Elf)], &'r [&'static str]);

fn with(program: &Elf, objects: &[(&'static str, Elf)], cached: &[&'static str]) -> Case {
    let mut all = vec![(PROGRAM, program.clone())];
    all.extend_from_slice(objects);
    Case { cached: cached.to_vec(), ..case(all) }
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
            app().number(tag::FLAGS_1, NODEFLIB),
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
    with(&app().runpath("/u"), &objects, &[]).make(root.path(), GLIBC);
    let files = |cpus: Cpus| -> BTreeSet<String> {
        let closure = resolve(&Sysroot::open(root.path()).unwrap(), cpus);
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
