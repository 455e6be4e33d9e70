//! Triggers: by string, by interpreter, and what they leave out.

use std::path::Path;

use tests::elf::library;

use super::{APP, Root, app, shipped};

/// A folder with one rule, `x`, which ships `/data/*`.
fn rule(when: &str, ship: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("why = \"w\"\n[[when]]\n{when}\n[[ship]]\n{ship}\n");
    std::fs::write(folder.path().join("x.toml"), text).unwrap();
    folder
}

fn recipe(executables: &[&str]) -> String {
    format!("executables = {executables:?}")
}

/// Names of what the rule ships from `/data`, for the program, a library that it loads, and a script.
fn fires(root: &Root, when: &str, ship: &str) -> String {
    let rules = rule(when, ship);
    let (plan, _) = root.plan(&recipe(&[APP, "/usr/bin/script"]), Some(rules.path())).unwrap();
    let names: Vec<String> = shipped(&plan, "x")
        .iter()
        .map(|path| Path::new(path).file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.join(" ")
}

#[test]
fn a_trigger_holds_as_the_table_says() {
    let root = Root::new();
    let exec = app(&["liba.so.1"], &["execv"]).string("/bin/ls").string("/bin/cat").string("more");
    root.object(APP, &exec);
    root.object("L/liba.so.1", &library("liba.so.1", &[]).string("/bin/ls"));
    root.text("/usr/bin/script", "#!/usr/bin/interp3.1 -x\n");
    root.object("/usr/bin/interp3.1", &app(&[], &[]));
    for name in ["ls", "cat", "1", "liba.so.1", "always"] {
        root.text(&format!("/data/{name}"), "x");
    }
    let always = "files = [\"/data/always\"]";
    for (when, ship, expected) in [
        ("string = [\"/bin/ls\"]", always, "always"),
        ("string = [\"/bin/l\"]", always, ""),
        ("string = [\"bin/ls\"]", always, ""),
        ("string = [\"/bin/less\", \"more\"]", always, "always"),
        ("string = [\"/bin/*\"]", "files = [\"/data/{1}\"]", "cat ls"),
        ("string = [\"/bin/*\"]", "files = [\"/data{string}\"]", ""),
        ("string = [\"/bin/c*\"]", "files = [\"/data/c{1}\"]", "cat"),
        // Both of one object: the library has the string, and does not import the symbol.
        (
            "string = [\"/bin/*\"]\nsymbol = [\"execv\"]\nexcept = \"**/app\"",
            "files = [\"/data/{1}\"]",
            "",
        ),
        ("string = [\"/bin/*\"]\nexcept = \"**/app\"", "files = [\"/data/{1}\"]", "ls"),
        ("string = [\"/bin/*\"]\nexcept = \"liba.so.*\"", "files = [\"/data/{1}\"]", "cat ls"),
        ("string = [\"/bin/ls\"]\nsymbol = [\"fork\"]", always, ""),
        // Anywhere: the end of one string and the begin of another.
        ("holds = [\"in/l\"]", always, "always"),
        ("holds = [\"in/ls-\", \"ore\"]", always, "always"),
        ("holds = [\"in/ls-\"]", always, ""),
        ("holds = [\"in/cat\"]\nexcept = \"**/app\"", always, ""),
        ("holds = [\"in/ls\"]\nexcept = \"*.so*\"", always, "always"),
        // The library says where, another object of the program says whether.
        (
            "soname = \"liba.so.*\"\nstring = [\"/bin/cat\"]",
            "files = [\"/data/{1}\", \"/data{string}\"]",
            "1",
        ),
        (
            "soname = \"liba.so.*\"\nsymbol = [\"execv\"]",
            "files = [\"/data/liba.so.{1}\"]",
            "liba.so.1",
        ),
        ("soname = \"liba.so.*\"\nsymbol = [\"execv\"]\nexcept = \"**/app\"", always, ""),
        ("interpreter = \"**/interp3.*\"", "files = [\"/data/{1}\"]", "1"),
        ("interpreter = \"**/app\"", always, ""),
        ("interpreter = \"**/script\"", always, ""),
    ] {
        assert_eq!(fires(&root, when, ship), expected, "{when}");
    }
}

/// A shell is missed by who starts one, and by nobody else.
#[test]
fn a_shell_that_is_missing_is_told() {
    for (symbols, strings, told) in [
        (&["system"][..], &[][..], true),
        (&["popen"], &[], true),
        (&["execve"], &["/bin/sh"], true),
        (&["posix_spawn"], &["x", "/bin/sh", "-c"], true),
        (&["execve"], &["/bin/shutdown"], false),
        (&["execve"], &["/usr/bin/app /bin/sh"], false),
        (&["fork"], &["/bin/sh"], false),
    ] {
        let root = Root::new();
        let elf = strings.iter().fold(app(&[], symbols), |app, string| app.string(string));
        root.object(APP, &elf);
        let warned = |executables: &[&str]| {
            let (_, warnings) = root.plan(&recipe(executables), None).unwrap();
            warnings.iter().any(|warning| {
                warning.starts_with("shell: ") && warning.ends_with(" (because of `/usr/bin/app`)")
            })
        };
        assert_eq!(warned(&[APP]), told, "{symbols:?} {strings:?}");
        root.object("/bin/sh", &app(&[], &[]));
        assert!(!warned(&[APP, "/bin/sh"]), "{symbols:?} {strings:?}");
    }
}

/// Off by itself.
#[test]
fn helpers_are_programs_whose_paths_are_compiled_in() {
    let root = Root::new();
    let elf = app(&[], &["execv"]).string("/usr/bin/tool").string("/usr/lib/app/part");
    root.object(APP, &elf.string("/usr/bin/none").string("/usr/lib/app/folder"));
    for path in ["/usr/bin/tool", "/usr/lib/app/part", "/usr/bin/other"] {
        root.object(path, &app(&[], &[]));
    }
    root.text("/usr/lib/app/folder/file", "x");
    let recipe = |rules: &str| format!("executables = [{APP:?}]\n{rules}");
    let (plan, _) = root.plan(&recipe(""), None).unwrap();
    assert!(shipped(&plan, "helpers").is_empty());
    let (plan, _) = root.plan(&recipe("[rules]\non = [\"helpers\"]"), None).unwrap();
    assert_eq!(shipped(&plan, "helpers"), ["/usr/bin/tool", "/usr/lib/app/part"]);
}
