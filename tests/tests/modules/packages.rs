//! How Python finds modules, in a root of made-up packages: one row a rule.

use std::path::Path;

use builder::resolve::Sysroot;
use common::report::Diagnostic as _;
use tests::elf::{library, program};

use super::{gathered, gathered_in};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
/// Where modules are, by the letter that rows use: standard library, extension modules, packages, and a
/// script's own folder.
const FOLDERS: [(&str, &str); 4] = [
    ("L/", "usr/lib/python3.11/"),
    ("D/", "usr/lib/python3.11/lib-dynload/"),
    ("S/", "usr/lib/python3/dist-packages/"),
    ("A/", "usr/share/app/"),
];

fn long(path: &str) -> String {
    let folder = FOLDERS.iter().find_map(|(short, long)| Some((long, path.strip_prefix(short)?)));
    folder.map_or_else(|| path.to_owned(), |(long, rest)| format!("{long}{rest}"))
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    if path.extension().is_some_and(|end| end == "so") {
        library("module.so", &[]).write(&path);
    } else {
        std::fs::write(path, content).expect("a file");
    }
}

/// A root with an interpreter, and a library of nothing but `os`.
fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    library("ld-linux-x86-64.so.2", &[]).write(&root.path().join(&LOADER[1..]));
    program(LOADER, &[]).write(&root.path().join("usr/bin/python3.11"));
    std::os::unix::fs::symlink("python3.11", root.path().join("usr/bin/python3")).expect("a link");
    write(root.path(), "usr/lib/python3.11/os.py", "");
    for (path, content) in files {
        write(root.path(), &long(path), content);
    }
    root
}

/// What is added for the script `A/main.py`, with letters, and what is told.
fn found(script: &str, files: &[(&str, &str)]) -> String {
    let root = root(files);
    write(root.path(), "usr/share/app/main.py", &format!("#!/usr/bin/python3\n{script}\n"));
    let sysroot = Sysroot::open(root.path()).expect("the root");
    let recipe = "executables = [\"/usr/share/app/main.py\"]";
    told(&gathered("python", recipe, &sysroot).expect("modules"))
}

fn told(gathered: &builder::resolve::gather::Gathered) -> String {
    let added = gathered.additions.iter().map(|addition| addition.path.to_string());
    let objects = gathered.closure.objects.iter().map(|found| found.path.to_string());
    let short = |path: String| {
        let path = path.trim_start_matches('/').to_owned();
        let mut by_length = FOLDERS;
        by_length.sort_by_key(|(_, long)| std::cmp::Reverse(long.len()));
        let short =
            by_length.iter().find_map(|(short, long)| Some((short, path.strip_prefix(long)?)));
        short.map(|(short, rest)| format!("{short}{rest}"))
    };
    let mut lines: Vec<String> =
        added.chain(objects).filter_map(short).filter(|path| path != "L/os.py").collect();
    lines.sort();
    lines.dedup();
    lines.extend(warnings(gathered).into_iter().map(|warning| {
        let module = warning.split('`').nth(3).unwrap_or(warning);
        format!("no {module}")
    }));
    lines.join(" ")
}

/// What the rule has to say; not that nothing can be read from a loader without data.
fn warnings(gathered: &builder::resolve::gather::Gathered) -> Vec<&String> {
    gathered.warnings.iter().filter(|warning| warning.starts_with("python: ")).collect()
}

#[test]
fn modules_are_found_as_python_finds_them() {
    for (script, files, wanted) in [
        ("import a", vec![("L/a.py", "")], "L/a.py"),
        // A package comes before a module of its name, an extension module before a source.
        ("import a", vec![("L/a/__init__.py", ""), ("L/a.py", "")], "L/a/__init__.py"),
        (
            "import a",
            vec![("L/a.cpython-311-x86_64-linux-gnu.so", ""), ("L/a.py", "")],
            "L/a.cpython-311-x86_64-linux-gnu.so",
        ),
        // That of another version is none.
        ("import a", vec![("L/a.cpython-310-x86_64-linux-gnu.so", ""), ("L/a.py", "")], "L/a.py"),
        ("import a", vec![("D/a.abi3.so", ""), ("S/a.py", "")], "D/a.abi3.so"),
        // What is above comes along; what is below only if it is named.
        (
            "import a.b",
            vec![("S/a/__init__.py", ""), ("S/a/b.py", ""), ("S/a/c.py", "")],
            "S/a/__init__.py S/a/b.py",
        ),
        (
            "from a import b, NAME",
            vec![("S/a/__init__.py", ""), ("S/a/b.py", "")],
            "S/a/__init__.py S/a/b.py",
        ),
        (
            "from a import *",
            vec![("S/a/__init__.py", "__all__ = ['b']"), ("S/a/b.py", ""), ("S/a/c.py", "")],
            "S/a/__init__.py S/a/b.py",
        ),
        (
            "import a.b",
            vec![("S/a/__init__.py", "from .c import x"), ("S/a/b.py", ""), ("S/a/c.py", "")],
            "S/a/__init__.py S/a/b.py S/a/c.py",
        ),
        // Folders without `__init__` are one package together.
        ("import n.a, n.b", vec![("L/n/a.py", ""), ("S/n/b.py", "")], "L/n/a.py S/n/b.py"),
        // The folder of the script itself, whatever else is there.
        ("import a", vec![("A/a.py", "import b"), ("L/b.py", "")], "A/a.py L/b.py"),
        // In a circle.
        ("import a", vec![("L/a.py", "import b"), ("L/b.py", "import a")], "L/a.py L/b.py"),
        // Data of packages, and what is known of their distribution.
        (
            "import a",
            vec![
                ("S/a/__init__.py", ""),
                ("S/a/data.json", ""),
                ("S/a/schemas/x.txt", ""),
                ("S/a/b.pyx", ""),
                ("S/a/tests/y.txt", ""),
                ("S/a/__pycache__/x.pyc", ""),
                ("S/A-1.0.dist-info/METADATA", ""),
                ("S/A-1.0.dist-info/RECORD", ""),
            ],
            "S/A-1.0.dist-info/METADATA S/a/__init__.py S/a/data.json S/a/schemas/x.txt",
        ),
        // A `.pth` file that names a folder.
        (
            "import a",
            vec![
                ("S/x.pth", "# x\nimport evil\n/opt/a\n../gone\n"),
                ("opt/a/a.py", "import b"),
                ("L/b.py", ""),
            ],
            "L/b.py S/x.pth",
        ),
    ] {
        assert_eq!(found(script, &files), wanted, "{script} {files:?}");
    }
}

#[test]
fn only_what_cannot_be_done_without_is_missed() {
    for (script, files, wanted) in [
        ("import a", vec![], "no a"),
        ("import a.b", vec![("S/a/__init__.py", "")], "S/a/__init__.py"),
        ("try:\n    import a\nexcept ImportError:\n    pass", vec![], ""),
        ("def f():\n    import a", vec![], ""),
        ("import sys, time, msvcrt", vec![], ""),
        ("import a", vec![("S/a.py", "import b")], "S/a.py no b"),
        ("if x:\n    import a", vec![("S/a.py", "import b")], "S/a.py"),
        // What a distribution leaves out of the standard library is its decision.
        ("import a", vec![("L/a.py", "import b")], "L/a.py"),
    ] {
        assert_eq!(found(script, &files), wanted, "{script} {files:?}");
    }
}

#[test]
fn a_fallback_is_for_what_is_not_there() {
    let fallback = "try:\n    from _a import *\nexcept ImportError:\n    from _pya import *\n";
    let both = [("L/a.py", fallback), ("L/_pya.py", ""), ("D/_a.so", "")];
    assert_eq!(found("import a", &both), "D/_a.so L/a.py");
    assert_eq!(found("import a", &both[..2]), "L/_pya.py L/a.py");
    // Elsewhere a module that is there may lack what is wanted of it.
    let elsewhere = [("S/a.py", fallback), ("S/_pya.py", ""), ("S/_a.py", "")];
    assert_eq!(found("import a", &elsewhere), "S/_a.py S/_pya.py S/a.py");
}

#[test]
fn a_virtual_environment_has_packages_of_its_own() {
    for (system, has) in [("false", false), ("true", true)] {
        let root =
            root(&[("opt/venv/lib/python3.11/site-packages/a.py", "import b"), ("S/b.py", "")]);
        let settings = format!("home = /usr/bin\ninclude-system-site-packages = {system}\n");
        write(root.path(), "opt/venv/pyvenv.cfg", &settings);
        std::fs::create_dir_all(root.path().join("opt/venv/bin")).expect("a folder");
        std::os::unix::fs::symlink("/usr/bin/python3", root.path().join("opt/venv/bin/python3"))
            .expect("a link");
        write(root.path(), "opt/venv/bin/app", "#!/opt/venv/bin/python3\nimport a\n");
        let sysroot = Sysroot::open(root.path()).expect("the root");
        let found = gathered("python", "executables = [\"/opt/venv/bin/app\"]", &sysroot);
        let found = found.expect("modules");
        let paths: Vec<String> =
            found.additions.iter().map(|addition| addition.path.to_string()).collect();
        for wanted in ["/opt/venv/pyvenv.cfg", "/opt/venv/lib/python3.11/site-packages/a.py"] {
            assert!(paths.contains(&wanted.to_owned()), "{system}: {paths:?}");
        }
        assert_eq!(told(&found).contains("S/b.py"), has, "{system}: {paths:?}");
    }
}

#[test]
fn a_recipe_brings_sources_and_a_command() {
    let root = root(&[("L/a.py", ""), ("L/b.py", ""), ("L/c.py", ""), ("L/runpy.py", "")]);
    let folder = tempfile::tempdir().expect("a folder");
    write(
        folder.path(),
        "app/main.py",
        "import a, helper\nif __name__ == '__main__':\n  import b\n",
    );
    write(folder.path(), "app/helper.py", "import nothing\n");
    write(folder.path(), "app/tool", "#!/usr/bin/env python3\nimport c\n");
    write(folder.path(), "app/README", "import d\n");
    let sysroot = Sysroot::open(root.path()).expect("the root");
    let start = "name = \"x\"\nexecutables = [\"/usr/bin/python3\"]\n";
    for (more, wanted) in [
        (
            "files = [{ source = \"app\", destination = \"/app\" }]",
            "L/a.py L/b.py L/c.py L/runpy.py no nothing",
        ),
        ("cmd = [\"-m\", \"a\"]", "L/a.py L/runpy.py"),
        ("cmd = [\"-c\", \"import b\"]", "L/b.py L/runpy.py"),
        ("entrypoint = [\"/bin/other\", \"-m\", \"a\"]\nmodules = { python = [] }", "L/runpy.py"),
    ] {
        let recipe = format!("{start}{more}");
        let found = gathered_in("python", &recipe, Some(folder.path()), &sysroot);
        assert_eq!(told(&found.expect("modules")), wanted, "{more}");
    }
}

#[test]
fn an_interpreter_alone_is_told_how_to_have_more() {
    let root = root(&[]);
    let sysroot = Sysroot::open(root.path()).expect("the root");
    let alone = "executables = [\"/usr/bin/python3\"]\n";
    let found = gathered("python", alone, &sysroot).expect("modules");
    assert!(warnings(&found).iter().any(|w| w.contains("--python-modules NAME")), "{found:?}");
    for asked in ["[]", "[\"os\"]", "[\"*\"]"] {
        let recipe = format!("{alone}[modules]\npython = {asked}");
        let found = gathered("python", &recipe, &sysroot).expect("modules");
        assert!(warnings(&found).is_empty(), "{:?}", found.warnings);
    }
    let recipe = format!("{alone}[modules]\npython = [\"oss\"]");
    let error = gathered("python", &recipe, &sysroot).expect_err("no such module");
    assert_eq!(error.hint().as_deref(), Some("modules with names like it: os"));
}

/// Whatever a package holds, it costs bounded time and no panic.
#[test]
fn hostile_packages_are_survived() {
    let dots = "a.".repeat(5000);
    let deep = format!("import {dots}b\nfrom {} import x\n", ".".repeat(9000));
    let root =
        root(&[("L/a.py", &deep), ("L/big.py", &"'''".repeat(100_001)), ("L/p/__init__.py", "")]);
    // Folders in a circle, a module that is a folder, one that is a pipe's name, one that nobody wrote.
    let at = |path: &str| root.path().join(long(path));
    std::os::unix::fs::symlink(".", at("L/p/p")).expect("a link");
    std::os::unix::fs::symlink("loop.py", at("L/loop.py")).expect("a link");
    std::fs::create_dir(at("L/folder.py")).expect("a folder");
    std::os::unix::fs::symlink("/dev/zero", at("L/zero.py")).expect("a link");
    let sysroot = Sysroot::open(root.path()).expect("the root");
    for modules in ["\"*\"", "\"p.*\"", "\"a\", \"big\""] {
        let recipe =
            format!("executables = [\"/usr/bin/python3\"]\n[modules]\npython = [{modules}]");
        let found = gathered("python", &recipe, &sysroot).expect("modules");
        assert!(found.additions.len() < 200, "{modules}: {}", found.additions.len());
    }
    for modules in ["loop", "folder", "zero"] {
        let recipe =
            format!("executables = [\"/usr/bin/python3\"]\n[modules]\npython = [\"{modules}\"]");
        assert!(gathered("python", &recipe, &sysroot).is_err(), "{modules}");
    }
}
