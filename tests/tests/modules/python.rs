//! Python: the interpreter itself is the oracle.

use std::collections::BTreeSet;
use std::process::Command;

use builder::resolve::Sysroot;
use tests::outcome::run_with_input;
use tests::require;

use super::{gathered, paths};

/// Prints the files that each module of the standard library loads: one line a module, after its name. Each
/// import has a process of its own, forked before anything else was imported.
const ORACLE: &str = r#"
import os, sys
def line(name):
    try:
        __import__(name)
    except BaseException as error:
        return "!" + name + "\t" + type(error).__name__
    files = {getattr(m, "__file__", None) for m in list(sys.modules.values())}
    return name + "\t" + "\t".join(sorted(f for f in files if f and f.startswith("/usr/lib/python3.")))
names = sys.stdin.read().split()
out = os.dup(1)
os.dup2(2, 1)
for name in names:
    child = os.fork()
    if child == 0:
        os.write(out, (line(name) + "\n").encode())
        os._exit(0)
    os.waitpid(child, 0)
"#;

fn recipe(modules: &str) -> String {
    format!("executables = [\"/usr/bin/python3\"]\n[modules]\npython = [{modules}]")
}

/// The module that a file of the standard library is.
fn module(path: &str) -> Option<String> {
    let (_, rest) = path.strip_prefix("/usr/lib/python3.")?.split_once('/')?;
    let rest = rest.strip_prefix("lib-dynload/").unwrap_or(rest);
    let stem = rest.split('.').next()?;
    let stem = stem.strip_suffix("/__init__").unwrap_or(stem);
    (!stem.ends_with("__main__")).then(|| stem.replace('/', "."))
}

/// Each module alone: what `sys.modules` has after importing it is in the image.
fn check(wanted: impl Fn(&str) -> bool, least: usize) {
    let Some(python) = require::file("/usr/bin/python3") else { return };
    let sysroot = Sysroot::open("/".as_ref()).expect("the root");
    let whole = gathered("python", &recipe("\"*\""), &sysroot).expect("modules");
    let names: BTreeSet<String> =
        paths(&whole, &sysroot).iter().filter_map(|path| module(path)).collect();
    assert!(names.len() > 300 && names.contains("xml.etree.ElementTree"), "{names:?}");
    let names: Vec<String> = names.into_iter().filter(|name| wanted(name)).collect();
    let mut command = Command::new(python);
    command.args(["-c", ORACLE]).env_clear().env("LANG", "C.UTF-8");
    // Where setuptools is installed it puts a distutils of its own before the library's.
    command.env("SETUPTOOLS_USE_DISTUTILS", "stdlib");
    let told = run_with_input(&mut command, names.join("\n").as_bytes()).ok();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for line in told.text().lines().filter(|line| !line.starts_with('!')) {
        let mut files = line.split('\t');
        let name = files.next().expect("a name");
        let found = gathered("python", &recipe(&format!("{name:?}")), &sysroot).expect("modules");
        let found = paths(&found, &sysroot);
        let real = |file: &str| std::fs::canonicalize(file).expect(file).display().to_string();
        let lacks: Vec<String> = files.map(real).filter(|file| !found.contains(file)).collect();
        if !lacks.is_empty() {
            wrong.push(format!("{name}: {}", lacks.join(" ")));
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked >= least, "{checked}");
}

#[test]
fn every_compiled_module_comes_with_all_that_it_loads() {
    check(|name| name.starts_with('_'), 30);
}

#[test]
fn every_module_comes_with_all_that_it_loads() {
    check(|name| !name.starts_with('_') && !name.contains('.'), 150);
}

#[test]
fn less_is_asked_for_than_there_is() {
    if require::file("/usr/bin/python3").is_none() {
        return;
    }
    let sysroot = Sysroot::open("/".as_ref()).expect("the root");
    let has = |modules: &str, wanted: &[&str], unwanted: &[&str]| {
        let found = gathered("python", &recipe(modules), &sysroot).expect("modules");
        let names: BTreeSet<String> =
            paths(&found, &sysroot).iter().filter_map(|path| module(path)).collect();
        for name in wanted {
            assert!(names.contains(*name), "{modules}: {name} is not in {names:?}");
        }
        for name in unwanted {
            assert!(!names.contains(*name), "{modules}: {name} is in {names:?}");
        }
        assert!(!paths(&found, &sysroot).iter().any(|path| path.contains("__pycache__")));
    };
    has(
        "",
        &["encodings.utf_8", "runpy", "site"],
        &["json", "re", "subprocess", "encodings.cp1252"],
    );
    has("\"json\"", &["json.decoder", "_json"], &["json.tool", "ssl", "unittest", "pydoc"]);
    has("\"json.*\"", &["json.tool", "argparse"], &["ssl"]);
    has("\"encodings.cp1252\"", &["encodings.cp1252"], &["encodings.cp1250"]);
    has("\"http.server\"", &["argparse", "mimetypes", "_ssl"], &["doctest", "asyncio", "pydoc"]);
    has("\"*\"", &["asyncio.taskgroups", "pdb"], &["test.support", "tkinter", "lib2to3.main"]);
}

#[test]
fn a_module_that_is_asked_for_must_be_there() {
    if require::file("/usr/bin/python3").is_none() {
        return;
    }
    let sysroot = Sysroot::open("/".as_ref()).expect("the root");
    let refused = |modules: &str| {
        let error = gathered("python", &recipe(modules), &sysroot).expect_err(modules);
        let hint = common::report::Diagnostic::hint(&error).unwrap_or_default();
        format!("{error}; {hint}")
    };
    let told = refused("\"jsom\"");
    assert!(told.starts_with("there is no python module `jsom` in /usr/lib/python3."), "{told}");
    assert!(told.contains("names like it: json"), "{told}");
    assert!(refused("\"jsom.*\"").contains("`jsom`"));
    // Inside the interpreter: that is no mistake.
    assert!(gathered("python", &recipe("\"sys\", \"time\""), &sysroot).is_ok());
}
