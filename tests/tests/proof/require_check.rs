//! `coracle build --require-check`, and checks of images that are there.

use std::fs;

use super::{Case, script};
use tests::outcome::run;

#[test]
fn a_build_writes_what_passes_as_any_other_build_does() {
    let Some(case) = Case::new("proven", &script("echo hi")) else { return };
    let recipe = case.recipe.to_str().unwrap();
    let build = |more: &[&str]| run(case.coracle(&["build", "-q", recipe]).args(more)).ok().text();
    let plain = build(&["-o", "plain.oci.tar"]);
    assert_eq!(build(&["--require-check"]), plain);
    assert_eq!(build(&["--require-check", "-o", "proven.oci.tar"]), plain);
    let read = |name: &str| fs::read(case.scratch.path().join(name)).unwrap();
    assert!(read("plain.oci.tar") == read("proven.oci.tar"));
    build(&["--require-check", "-o", "root/"]);
    assert!(case.scratch.path().join("root/usr/bin").is_dir());
    run(&mut case.scratch.launch(&[], "app", &["-c", "echo it runs"])).ok();
    assert_eq!(fs::read_dir(case.scratch.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_build_that_fails_its_check_leaves_nothing() {
    let Some(case) = Case::new("unproven", &script("echo why; exit 1")) else { return };
    let recipe = case.recipe.to_str().unwrap();
    for more in [&["-o", "x.oci.tar"][..], &["-o", "x/"], &["-o", "x.tar", "-t", "x"], &[]] {
        let outcome = run(case.coracle(&["build", "--require-check", recipe]).args(more)).exits(1);
        outcome.says(&["failed ", "got status 1", "the check of `", "nothing was written"]);
    }
    let names: Vec<String> = fs::read_dir(case.scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('x'))
        .collect();
    assert_eq!(names, Vec::<String>::new());
    assert_eq!(run(case.scratch.coracle().args(["images", "--json"])).ok().text(), "[]");
    assert_eq!(fs::read_dir(case.scratch.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn an_image_that_is_there_is_checked() {
    let Some(case) = Case::new("there", &script("echo hi; cat /extra")) else { return };
    case.check(&[]).exits(1);
    // The same, with what was missing.
    let more = "\n[[files]]\nsource = \"extra\"\ndestination = \"/extra\"\n";
    case.scratch.file("extra", "");
    let text = fs::read_to_string(&case.recipe).unwrap() + more;
    let other = case.scratch.file("other.toml", text);
    case.scratch.pack(&["-o".as_ref(), "other.oci.tar".as_ref(), other.as_os_str()]);
    let archive = case.scratch.path().join("other.oci.tar");
    case.check(&["--image", archive.to_str().unwrap()]).ok();
    run(case.scratch.coracle().args(["build", "-t", "other"]).arg(&other)).ok();
    let recipe = case.recipe.to_str().unwrap();
    run(&mut case.coracle(&["check", "--run", "--image", "other", recipe])).ok();
    run(&mut case.coracle(&["check", "--run", "--image", "nope", recipe]))
        .exits(1)
        .says(&["`nope`"]);
}

#[test]
fn a_foreign_root_is_checked_as_well() {
    let Some(case) = Case::new("foreign", &script("echo hi; cat /etc/only-there")) else { return };
    let recipe = case.recipe.to_str().unwrap();
    run(&mut case.coracle(&["build", "-q", recipe, "-o", "root/"])).ok();
    let there = case.scratch.path().join("root/etc/only-there");
    fs::write(there, "x").unwrap();
    let outcome = run(&mut case.coracle(&["check", "--run", "--sysroot", "root", recipe])).exits(1);
    assert!(outcome.text().contains("  /etc/only-there  (by "), "{outcome:?}");
}

#[test]
fn process_1_of_a_sandbox_is_nothing_else() {
    let Some(case) = Case::new("process-1", "") else { return };
    run(&mut case.coracle(&["__prove"])).exits(1).says(&["nowhere else"]);
}

#[test]
fn what_is_missing_for_a_check_is_said() {
    let Some(case) = Case::new("missing", "") else { return };
    case.check(&[]).exits(1).says(&["has no `[check]`", "docs/check.md"]);
    fs::write(&case.recipe, super::IMAGE.to_owned() + &script("true")).unwrap();
    case.check(&["--paddle", "/nope"]).exits(1).says(&["no `paddle` at `/nope`", "hint:"]);
    let alone = case.scratch.subfolder("alone").join("coracle");
    fs::copy(case.scratch.path().join("bin/coracle"), &alone).unwrap();
    let mut command = case.scratch.command(&alone);
    command.args(["check", "--run"]).arg(&case.recipe);
    run(&mut command).exits(1).says(&["no `paddle` beside coracle, nor on PATH", "--paddle"]);
    let liar = case.scratch.file("liar", "#!/bin/sh\necho '{}' >&2; echo '{\"steps\": 1}'\n");
    fs::set_permissions(&liar, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    case.check(&["--paddle", liar.to_str().unwrap()]).exits(1).says(&["the sandbox did not work"]);
    run(&mut case.coracle(&["check", "--run", "sh"])).exits(2).says(&["takes one recipe"]);
    run(&mut case.coracle(&["build", "--require-check", "sh"])).exits(2).says(&["no recipe"]);
}
