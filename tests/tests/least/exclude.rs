//! `exclude`: patterns of image paths.

use std::fs;

use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

use super::{app, packed};

const ALL: [&str; 12] = [
    "app",
    "data",
    "data/empty",
    "data/link",
    "data/one",
    "data/sub",
    "data/sub/three",
    "data/two",
    "plugins",
    "plugins/large.so",
    "plugins/libextra.so.1",
    "plugins/small.so",
];

#[test]
fn files_folders_and_modules_go_with_what_only_they_need() {
    let scratch = Scratch::new("exclude");
    let Some(()) = app(&scratch) else { return };
    let dir = scratch.path().to_str().unwrap();
    let check = |patterns: &[&str], gone: &[&str]| {
        let mut arguments = vec!["./app".to_owned()];
        for pattern in patterns {
            arguments.extend(["--exclude".to_owned(), pattern.replace("DIR", dir)]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let wanted: Vec<&str> = ALL.into_iter().filter(|path| !gone.contains(path)).collect();
        assert_eq!(packed(&scratch, &arguments), wanted, "{patterns:?}");
    };
    check(&[], &[]);
    check(&["DIR/data/o*"], &["data/one"]);
    check(&["DIR/data/sub"], &["data/sub", "data/sub/three"]);
    // A folder stays for what is still in it.
    check(&["DIR/data/sub/**"], &["data/sub", "data/sub/three"]);
    check(&["DIR/data/sub/*"], &["data/sub/three"]);
    check(&["**/large.so"], &["plugins/large.so", "plugins/libextra.so.1"]);
    check(&["**/small.so", "**/two"], &["plugins/small.so", "data/two"]);
}

#[test]
fn what_is_needed_is_never_left_out() {
    let scratch = Scratch::new("exclude-needed");
    let Some(()) = app(&scratch) else { return };
    for (pattern, path, because) in [
        ("**/app", "DIR/app", "it was asked for by name"),
        (
            "**/libextra*",
            "DIR/plugins/libextra.so.1",
            "`DIR/plugins/large.so` needs it as `libextra.so.1`",
        ),
        ("**/libc.so.*", "/libc.so.6", "needs it as `libc.so.6`"),
    ] {
        let mut command = scratch.coracle();
        command.args(["build", "--rules", "rules", "--exclude", pattern, "-o", "x.tar", "./app"]);
        let said =
            run(&mut command).exits(1).errors().replace(scratch.path().to_str().unwrap(), "DIR");
        let first = said.lines().next().unwrap();
        assert!(first.contains(&format!("{path}` cannot be left out by `{pattern}`: ")), "{said}");
        assert!(first.ends_with(because), "{said}");
        assert!(!scratch.path().join("x.tar").exists());
    }
}

#[test]
fn a_pattern_that_leaves_nothing_out_is_told() {
    let scratch = Scratch::new("exclude-idle");
    let Some(()) = app(&scratch) else { return };
    let build = |pattern: &str| {
        let mut command = scratch.coracle();
        command.args(["build", "--force", "--rules", "rules", "-o", "x.tar", "./app"]);
        run(command.args(["--exclude", pattern])).ok().errors()
    };
    assert!(build("/nowhere/**").contains("warning: `/nowhere/**` leaves nothing out"));
    // What every image has stays.
    assert!(build("/etc/passwd").contains("warning: `/etc/passwd` leaves nothing out"));
    assert_eq!(build("**/small.so"), "");
}

#[test]
fn a_recipe_leaves_out_parts_of_its_own_folders() {
    if require::program("tar").is_none() {
        return;
    }
    let scratch = Scratch::new("exclude-recipe");
    for name in ["site/a.html", "site/draft/b.html", "site/c~"] {
        let path = scratch.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let text = "name = \"site\"\nexclude = [\"/srv/draft\", \"**/*~\"]\nvolumes = [\"/srv/draft/data\"]\n\
                [[files]]\nsource = \"site\"\ndestination = \"/srv\"\n";
    scratch.file("site.toml", text);
    run(scratch.coracle().args(["build", "-q", "-o", "out/", "site.toml"])).ok();
    let out = scratch.path().join("out");
    for (path, there) in [
        ("srv/a.html", true),
        ("srv/c~", false),
        ("srv/draft/b.html", false),
        ("srv/draft/data", true),
    ] {
        assert_eq!(out.join(path).exists(), there, "{path}");
    }
}
