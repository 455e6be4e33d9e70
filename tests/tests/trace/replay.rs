//! What a run has shown becomes a profile, and a build that follows it makes an image that does the same.

use std::fs;

use builder::spec::profile::Profile;
use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

use super::compile;

const IMPORTS: &str = "import ssl, sqlite3; print(sqlite3.connect(':memory:').execute('select 6*7').fetchone()[0], ssl.HAS_TLSv1_3)";

#[test]
fn python_runs_with_what_one_run_opened() {
    let Some(python) = require::file("/usr/bin/python3").filter(|_| require::root()) else {
        return;
    };
    let scratch = Scratch::new("trace-python");
    let python = python.to_str().unwrap();
    let first = run(scratch.coracle().args(["trace", "-o", "p.toml", "--", python, "-c", IMPORTS]));
    let expected = first.ok().text();
    let profile = Profile::read(&scratch.path().join("p.toml")).unwrap();
    let seen = profile.programs.values().next().unwrap();
    let opened = |end: &str| seen.opened.iter().any(|path| path.to_string().ends_with(end));
    assert!(opened("/ssl.py") && !opened("/libc.so.6") && !opened("/libssl.so.3"), "{profile:?}");

    let pack = |tag: &str, more: &[&str]| {
        let rule = ["build", "-q", "--no-rule", "python", "-t", tag, python];
        run(scratch.coracle().args(rule).args(more)).ok().text()
    };
    let digest = pack("with", &["--profile", "p.toml"]);
    let outcome = run(&mut scratch.launch(&[], "with", &["-c", IMPORTS])).ok();
    assert_eq!(outcome.text(), expected);
    // Without the profile there is no module that could be imported.
    pack("without", &[]);
    let without = run(&mut scratch.launch(&[], "without", &["-c", IMPORTS]));
    assert_ne!(without.status.code(), Some(0));

    let why = run(scratch.coracle().args(["why", "with", "ssl.py"])).ok().text();
    assert!(why.contains("in a run"), "{why}");
    let why = run(scratch.coracle().args(["why", "with", "libssl.so.3"])).ok().text();
    assert!(why.contains("_ssl.cpython") && why.contains("in a run"), "{why}");

    // A recipe names it from its own folder, and --trace runs the same.
    scratch.subfolder("recipe");
    fs::rename(scratch.path().join("p.toml"), scratch.path().join("recipe/p.toml")).unwrap();
    let recipe = format!("executables = [\"{python}\"]\nprofiles = [\"p.toml\"]\n");
    scratch.file("recipe/recipe.toml", recipe);
    let build = ["build", "-q", "--no-rule", "python", "-t", "recipe", "recipe/recipe.toml"];
    assert_eq!(run(scratch.coracle().args(build)).ok().text(), digest);
    let command = format!("{python} -c \"{IMPORTS}\"");
    assert_eq!(pack("traced", &["--trace", &command]), digest);
}

#[test]
fn runs_that_are_alike_have_the_same_profile() {
    let Some(python) = require::file("/usr/bin/python3") else { return };
    let scratch = Scratch::new("trace-alike");
    let mut texts = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let mut command = scratch.coracle();
        command.args(["trace", "-q", "--force", "-o", "p.toml", "--"]).arg(&python);
        run(command.args(["-c", "import json, threading; print(1)"])).ok();
        texts.insert(fs::read_to_string(scratch.path().join("p.toml")).unwrap());
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn profiles_are_neither_overwritten_nor_lost() {
    let scratch = Scratch::new("trace-merge");
    let trace = |option: &[&str], command: &[&str]| {
        let mut coracle = scratch.coracle();
        coracle.args(["trace", "-q", "-o", "p.toml"]).args(option).arg("--").args(command);
        run(&mut coracle)
    };
    let programs = || {
        let profile = Profile::read(&scratch.path().join("p.toml")).unwrap();
        let names = profile.programs.into_keys().map(|path| path.to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    trace(&[], &["true"]).ok();
    let said = trace(&[], &["false"]).exits(2).errors();
    assert!(said.contains("`p.toml` exists") && said.contains("--append"), "{said}");
    assert_eq!(programs(), "/usr/bin/true");
    // Its own status is the command's.
    trace(&["--append"], &["false"]).exits(1);
    assert_eq!(programs(), "/usr/bin/false /usr/bin/true");
    trace(&["--force"], &["false"]).exits(1);
    assert_eq!(programs(), "/usr/bin/false");
    scratch.file("p.toml", "version = 2");
    trace(&["--append"], &["true"]).exits(1).says(&["it is of version 2"]);
}

/// Opens a plug-in by its path, and a file and a folder.
const OPENS: &str = r#"
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
int main(int count, char **arguments) {
    void *module = dlopen("/opt/coracle-test/plug.so", RTLD_NOW);
    int (*answer)(void) = module ? (int (*)(void))dlsym(module, "answer") : 0;
    int data = open("/opt/coracle-test/link", O_RDONLY);
    DIR *folder = opendir("/opt/coracle-test/empty");
    printf("%d %d %d\n", answer ? answer() : 0, data >= 0, folder && readdir(folder));
    return 0;
}
"#;

/// A root with the program and what it opens.
fn root(scratch: &Scratch) -> Option<std::path::PathBuf> {
    let root = scratch.subfolder("root");
    for folder in ["usr/bin", "opt/coracle-test/empty"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let program = compile(scratch, &[], OPENS)?;
    fs::copy(program, root.join("usr/bin/opens")).unwrap();
    let plug = "int helper(void); int answer(void) { return helper(); }";
    let helper = root.join("opt/coracle-test/libhelper.so");
    let shared = ["-shared", "-fPIC", "-Wl,-soname,libhelper.so"];
    tests::samples::compile_c("gcc", &shared, "int helper(void) { return 42; }", &helper)?;
    let rpath = ["-shared", "-fPIC", "-Wl,-rpath,$ORIGIN", helper.to_str().unwrap()];
    tests::samples::compile_c("gcc", &rpath, plug, &root.join("opt/coracle-test/plug.so"))?;
    fs::write(root.join("opt/coracle-test/data"), "x").unwrap();
    std::os::unix::fs::symlink("data", root.join("opt/coracle-test/link")).unwrap();
    for library in ["lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6"] {
        let to = root.join(library);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(std::path::Path::new("/").join(library), to).unwrap();
    }
    Some(root)
}

const PROFILE: &str = r#"
version = 1
[[program]]
path = "/usr/bin/opens"
opened = ["/etc/passwd", "/opt/coracle-test/link", "/opt/coracle-test/plug.so", "/proc/self/maps"]
listed = ["/opt/coracle-test/empty"]
missing = ["/opt/coracle-test/other.so"]
"#;

#[test]
#[cfg(target_arch = "x86_64")]
fn objects_are_resolved_links_followed_and_folders_made() {
    let scratch = Scratch::new("trace-replay");
    let Some(root) = root(&scratch) else { return };
    scratch.file("p.toml", PROFILE);
    let mut command = scratch.coracle();
    command.args(["build", "-o", "image/", "--profile", "p.toml", "--sysroot"]).arg(&root);
    let outcome = run(command.arg("/usr/bin/opens")).ok();
    assert!(!outcome.errors().contains("a profile names"), "{outcome:?}");
    let image = scratch.path().join("image");
    let has = |path: &str| image.join(path).symlink_metadata().is_ok();
    // A library that only the plug-in needs came with it; what nothing opened did not come.
    for path in ["plug.so", "libhelper.so", "link", "data", "empty"] {
        assert!(has(&format!("opt/coracle-test/{path}")), "{path}");
    }
    let passwd = fs::read_to_string(image.join("etc/passwd")).unwrap();
    assert!(passwd.starts_with("root:x:0:0"), "the image's own: {passwd}");
    assert!(!has("proc/self"));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn what_the_root_lacks_is_a_warning_and_a_program_an_error() {
    let scratch = Scratch::new("trace-lacks");
    let Some(root) = root(&scratch) else { return };
    let build = |profile: String| {
        scratch.file("p.toml", profile);
        let mut command = scratch.coracle();
        command.args(["build", "--force", "-o", "image/", "--profile", "p.toml", "--sysroot"]);
        run(command.arg(&root).arg("/usr/bin/opens"))
    };
    let said = build(PROFILE.replace("link", "gone")).ok().errors();
    let warning = "a profile names `/opt/coracle-test/gone`, which the root does not have";
    assert!(said.contains(warning), "{said}");
    let said = build(PROFILE.replace("bin/opens", "bin/gone")).exits(1).errors();
    assert!(said.contains("`/usr/bin/gone` was executed") && said.contains("hint:"), "{said}");
    // A plug-in whose library is missing is copied, and told.
    fs::remove_file(root.join("opt/coracle-test/libhelper.so")).unwrap();
    let said = build(PROFILE.to_owned()).ok().errors();
    assert!(said.contains("copied, not resolved: `libhelper.so` is missing"), "{said}");
    assert!(scratch.path().join("image/opt/coracle-test/plug.so").exists());
}

#[test]
fn a_command_of_a_build_has_to_succeed() {
    let scratch = Scratch::new("trace-fails");
    for (command, status, said) in [
        ("false", 1, "`false` ended with status 1"),
        ("true | false", 2, "`|` means something to a shell only"),
        ("gone", 127, "cannot start `gone`"),
    ] {
        let arguments = ["build", "-o", "image/", "--trace", command, "/usr/bin/true"];
        run(scratch.coracle().args(arguments)).exits(status).says(&[said]);
        assert!(!scratch.path().join("image").exists());
    }
    let arguments = ["build", "--sysroot", "root", "--trace", "true", "/usr/bin/true"];
    scratch.subfolder("root");
    run(scratch.coracle().args(arguments)).exits(2).says(&["not of --sysroot"]);
}
