//! bash with coreutils.

use tests::outcome::{run, run_with_input};
use tests::require;
use tests::scratch::Scratch;

use super::pack_recipe;

const RECIPE: &str = r#"
executables = ["bash", "cat", "head", "ls", "mkdir", "rm", "seq", "sha256sum", "sort", "tr", "wc"]
cmd = ["-c", "echo the default command"]
env = { GREETING = "ahoy" }
workdir = "/tmp"
"#;

/// Script, standard input, status, output.
const ROWS: &[(&str, &str, i32, &str)] = &[
    ("echo $((6 * 7)); exit 3", "", 3, "42"),
    ("echo $GREETING; pwd", "", 0, "ahoy\n/tmp"),
    ("seq 1 100 | sort -rn | head -n 2 | tr '\\n' ' '", "", 0, "100 99 "),
    ("tr a-z A-Z | wc -c", "four\n", 0, "5"),
    (
        "printf abc | sha256sum",
        "",
        0,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -",
    ),
    ("mkdir -p a/b && echo text > a/b/c && cat a/b/c && rm -r a && ls", "", 0, "text"),
    ("kill -TERM $$; exit 5", "", 5, ""),
    ("nothing-of-this-name", "", 127, ""),
    // Not the last command: bash would become it, as process 1, which cannot kill itself.
    ("bash -c 'kill -KILL $$'; exit $?", "", 137, ""),
];

#[test]
fn bash_with_coreutils_behaves_as_outside() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("bash");
    pack_recipe(&scratch, "shell", RECIPE);
    let outcome = run(&mut scratch.launch(&[], "shell", &[])).ok();
    assert_eq!(outcome.text(), "the default command");
    for (script, input, status, output) in ROWS {
        let mut command = scratch.launch(&["--interactive"], "shell", &["-c", script]);
        let outcome = run_with_input(&mut command, input.as_bytes()).exits(*status);
        assert_eq!(outcome.text(), *output, "{script}");
    }
}

#[test]
fn a_writable_root_is_forgotten_and_the_image_unchanged() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("forgets");
    pack_recipe(&scratch, "shell", RECIPE);
    let script = "echo note > /tmp/note; rm /usr/bin/seq /bin/seq; ls /tmp";
    let outcome = run(&mut scratch.launch(&[], "shell", &["-c", script])).ok();
    assert_eq!(outcome.text(), "note");
    let outcome = run(&mut scratch.launch(&[], "shell", &["-c", "ls /tmp; seq 2"])).ok();
    assert_eq!(outcome.text(), "1\n2");
    let write = ["-c", "echo note > /tmp/note"];
    run(&mut scratch.launch(&["--read-only"], "shell", &write))
        .exits(1)
        .says(&["Read-only file system"]);
}
