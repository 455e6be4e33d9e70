//! `coracle new`: a first recipe.

use std::fs;

use builder::spec::recipe::Recipe;
use tests::outcome::run;
use tests::require;
use tests::samples::Sample;
use tests::scratch::Scratch;

use super::app;

/// `coracle new ARGUMENTS -o NAME.toml`, and what it wrote.
fn new(scratch: &Scratch, name: &str, arguments: &[&str]) -> String {
    let file = format!("{name}.toml");
    run(scratch.coracle().arg("new").args(arguments).args(["-o", &file])).ok();
    fs::read_to_string(scratch.path().join(file)).unwrap()
}

/// The digest of what `coracle build ARGUMENTS` makes.
fn built(scratch: &Scratch, arguments: &[&str]) -> String {
    let mut command = scratch.coracle();
    let out = run(command.args(["build", "-q", "--force", "-o", "x.oci.tar"]).args(arguments)).ok();
    out.text()
}

#[test]
fn it_builds_what_the_programs_alone_would_be() {
    let scratch = Scratch::new("new");
    for programs in [&["sh"][..], &["curl"], &["/bin/sh", "ls"], &["git"], &["perl"]] {
        if programs.iter().any(|name| !name.starts_with('/') && require::program(name).is_none()) {
            continue;
        }
        let text = new(&scratch, &programs.join("").replace('/', ""), programs);
        let file = format!("{}.toml", programs.join("").replace('/', ""));
        assert_eq!(built(&scratch, &[&file]), built(&scratch, programs), "{programs:?}\n{text}");
    }
    let Some(_) = Sample::Script.make(scratch.path()) else { return };
    let text = new(&scratch, "script", &["./script"]);
    assert!(text.contains("\n    \"./script\",\n"), "{text}");
    assert!(text.contains("runs the script /usr/local/bin/script.\n"), "{text}");
    assert_eq!(built(&scratch, &["script.toml"]), built(&scratch, &["./script"]));
}

#[test]
fn what_is_commented_is_right_without_its_mark() {
    let scratch = Scratch::new("new-marks");
    let Some(()) = app(&scratch) else { return };
    let text = new(&scratch, "app", &["./app", "--rules", "rules"]);
    assert!(text.contains("#   coracle build --rules rules --report app.toml\n"), "{text}");
    assert!(text.contains("    #\"test\", # "), "{text}");
    assert!(text.contains(" in 6 files: a test\n"), "{text}");
    let lines = text.lines().map(|line| {
        let trimmed = line.trim_start();
        // Prose has a blank behind its mark.
        let bare =
            trimmed.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
        bare.unwrap_or(line)
    });
    let bare = lines.collect::<Vec<_>>().join("\n");
    let recipe = Recipe::parse(&bare).unwrap_or_else(|error| panic!("{error}\n{bare}"));
    assert!(recipe.rules.off.contains(&"test".to_owned()), "{bare}");
    assert!(recipe.rules.on.contains(&"gconv-all".to_owned()), "{bare}");
    assert_eq!(recipe.files.len(), 1);
    assert!(recipe.check.is_some());
}

#[test]
fn a_file_that_exists_is_not_overwritten() {
    let scratch = Scratch::new("new-exists");
    scratch.file("there.toml", "mine");
    std::os::unix::fs::symlink("/etc/passwd", scratch.path().join("link.toml")).unwrap();
    for (name, said) in [
        ("there.toml", "`there.toml` exists"),
        ("link.toml", "`link.toml` exists"),
        ("no/x.toml", "cannot write `no/x.toml`"),
        ("x", "`x` would not be taken for a recipe"),
    ] {
        run(scratch.coracle().args(["new", "sh", "-o", name])).exits(1).says(&[said]);
    }
    assert_eq!(fs::read_to_string(scratch.path().join("there.toml")).unwrap(), "mine");
    run(scratch.coracle().args(["new", "no-such-program"])).exits(1);
}
