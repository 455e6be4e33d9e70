//! What objects open at run time: features of `.note.dlopen`, by priority and by name, and modules of rules.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use builder::resolve::gather::gather;
use builder::resolve::rules::RuleSet;
use builder::resolve::{Closure, Options, Origin, Request, Sysroot, closure};
use builder::spec::ImageSpec;
use builder::spec::recipe::Recipe;
use builder::spec::search::DlopenLevel::{All, None, Recommended, Required};
use builder::spec::search::{DlopenLevel, DlopenPolicy};
use common::report::Diagnostic as _;
use common::tree::ImagePath;
use tests::elf::{Elf, library, program};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const DLOPEN: u32 = 0x407c_0c0a;

fn root(objects: &[(&str, Elf)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    library("ld-linux-x86-64.so.2", &[]).write(&root.path().join(&LOADER[1..]));
    for (path, object) in objects {
        object.write(&root.path().join(&path[1..]));
    }
    root
}

fn resolve(root: &Path, dlopen: DlopenPolicy) -> Closure {
    let request = [Request::Program(ImagePath::new("/app").unwrap())];
    let options = Options { dlopen, ..Options::default() };
    closure(&request, &Sysroot::open(root).unwrap(), &options).unwrap()
}

fn policy(level: DlopenLevel, on: &[&str], off: &[&str]) -> DlopenPolicy {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    DlopenPolicy { level, on: names(on), off: names(off) }
}

/// Libraries, what is missing, warnings.
fn dump(closure: &Closure) -> String {
    let mut lines: Vec<String> = closure
        .objects
        .iter()
        .map(|found| found.path.to_string())
        .filter(|path| path.starts_with("/usr/lib/"))
        .map(|path| path["/usr/lib/".len()..].to_owned())
        .collect();
    lines.extend(
        closure
            .missing
            .iter()
            .map(|missing| format!("{}? by {}", missing.name, missing.needed_by.as_ref().unwrap())),
    );
    lines
        .extend(closure.warnings.iter().map(ToString::to_string).filter(|w| w.contains("feature")));
    lines.join("; ")
}

#[test]
fn features_are_followed_by_priority_and_by_name() {
    let notes = br#"[
        {"soname":["libz.so.9","libz.so.1"],"priority":"required","feature":"zip"},
        {"soname":["libl.so.1"],"feature":"list"},
        {"soname":["libs.so.1"],"priority":"suggested","feature":"side"},
        {"soname":["libgone.so.1","libgone.so.0"],"priority":"recommended","feature":"gone"}]"#;
    let root = root(&[
        ("/app", program(LOADER, &[]).note("FDO", DLOPEN, notes)),
        ("/usr/lib/libz.so.1", library("libz.so.1", &["libdeep.so.1"])),
        ("/usr/lib/libdeep.so.1", library("libdeep.so.1", &[])),
        ("/usr/lib/libl.so.1", library("libl.so.1", &[])),
        ("/usr/lib/libs.so.1", library("libs.so.1", &[])),
    ]);
    let gone =
        "`/app` goes without its feature `gone`: `libgone.so.1` or `libgone.so.0` is not there";
    for (level, on, off, wanted) in [
        (None, &[][..], &[][..], String::new()),
        (Required, &[], &[], "libz.so.1; libdeep.so.1".to_owned()),
        (Recommended, &[], &[], format!("libz.so.1; libdeep.so.1; libl.so.1; {gone}")),
        (All, &[], &["zip", "gone"], "libl.so.1; libs.so.1".to_owned()),
        (None, &["side"], &[], "libs.so.1".to_owned()),
        (None, &["gone"], &[], "libgone.so.1? by /app".to_owned()),
        (Required, &[], &["zip", "zap"], "no object has a feature `zap`".to_owned()),
    ] {
        let closure = resolve(root.path(), policy(level, on, off));
        assert_eq!(dump(&closure), wanted, "{level:?} {on:?} {off:?}");
    }
    let closure = resolve(root.path(), policy(Required, &[], &[]));
    let Origin::Note { by, feature, .. } = &closure.programs[1].origin else { panic!("no note") };
    assert_eq!((by.to_string(), feature.as_str()), ("/app".to_owned(), "zip"));
}

/// The search path is the caller's, and what is opened has notes of its own, circles included.
#[test]
fn notes_of_libraries_and_of_what_they_open() {
    let note =
        |names: &str| format!(r#"[{{"soname":["{names}"],"priority":"required","feature":"f"}}]"#);
    let opens = |elf: Elf, name: &str| elf.note("FDO", DLOPEN, note(name).as_bytes());
    let root = root(&[
        ("/app", program(LOADER, &["liba.so"]).runpath("/usr/lib/own")),
        ("/usr/lib/own/liba.so", opens(library("liba.so", &[]).runpath("/usr/lib/a"), "libb.so")),
        ("/usr/lib/a/libb.so", opens(library("libb.so", &[]).runpath("/usr/lib/b"), "libc1.so")),
        ("/usr/lib/b/libc1.so", opens(library("libc1.so", &[]), "libb.so")),
        ("/usr/lib/own/libb.so", library("libb.so", &[])),
    ]);
    let closure = resolve(root.path(), policy(Required, &[], &[]));
    assert_eq!(dump(&closure), "own/liba.so; a/libb.so; b/libc1.so");
    std::fs::remove_file(root.path().join("usr/lib/b/libc1.so")).unwrap();
    let closure = resolve(root.path(), policy(Required, &[], &[]));
    assert_eq!(dump(&closure), "own/liba.so; a/libb.so; libc1.so? by /usr/lib/a/libb.so");
}

/// Only what a person asked for may fail a build.
#[test]
fn what_a_rule_opens_and_cannot_be_resolved_is_left_out() {
    let root = root(&[
        ("/app", program(LOADER, &["liba.so"])),
        ("/usr/lib/liba.so", library("liba.so", &[])),
        ("/usr/lib/mod/good.so", library("good.so", &["liba.so"])),
        ("/usr/lib/mod/bad.so", library("bad.so", &["libgone.so"])),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let rule = "why = \"w\"\nwhen = [{ soname = \"liba.so\" }]\n\
                ship = [{ modules = [\"/usr/lib/mod/*.so\"] }, { libraries = [\"libnone.so\"] }]";
    std::fs::write(folder.path().join("mods.toml"), rule).unwrap();
    let rules = RuleSet::load(Some(folder.path())).unwrap();
    let recipe = Recipe { executables: vec!["/app".to_owned()], ..Recipe::default() };
    let spec = ImageSpec::new(&recipe, Option::None, false).unwrap();
    let sysroot = Sysroot::open(root.path()).unwrap();
    let gathered = gather(&spec, &sysroot, &Options::default(), b"", &rules, |_| {})
        .map_err(|e| e.hint())
        .unwrap();
    assert!(gathered.closure.is_complete(), "{:?}", gathered.closure.missing);
    let objects: Vec<String> =
        gathered.closure.objects.iter().map(|found| found.path.to_string()).collect();
    assert!(objects.contains(&"/usr/lib/mod/good.so".to_owned()), "{objects:?}");
    assert!(!objects.contains(&"/usr/lib/mod/bad.so".to_owned()), "{objects:?}");
    assert!(
        gathered
            .warnings
            .iter()
            .any(|w| w.contains("leaves out `/usr/lib/mod/bad.so`: `libgone.so` is missing")),
        "{:?}",
        gathered.warnings
    );
}
