//! One step at a time: what is compared, and what is said when it is not so.

use super::{Case, script};

/// Runs one check after the other in images of one recipe. The status, and pieces of the output.
fn check(name: &str, rows: &[(&str, i32, &[&str])]) {
    for (number, (recipe, status, pieces)) in rows.iter().enumerate() {
        let Some(case) = Case::new(&format!("{name}{number}"), recipe) else { return };
        let outcome = case.check(&[]).exits(*status);
        for piece in *pieces {
            assert!(outcome.text().contains(piece), "`{piece}` is not in {outcome:?}");
        }
    }
}

#[test]
fn a_step_passes_when_all_is_as_the_recipe_says() {
    let whole = script("cat; echo $A $HOME; id -u; pwd; echo oops >&2; exit 3")
        + "stdin = \"in\\n\"\nenv = { A = \"b\" }\nuser = \"1234:5\"\nstatus = 3\n\
           stdout = \"in\\nb /\\n1234\\n/\\n\"\nstdout-has = [\"in\", \"b\"]\nstderr-has = [\"oops\"]\n";
    let files = "[check]\nhosts = [\"site.test\"]\nfiles = [\n\
        { source = \"app.toml\", destination = \"/check/recipe\" },\n\
        { source = \"/etc/os-release\", destination = \"/etc/\" }]\n"
        .to_owned()
        + &script("head -1 /check/recipe; cat /etc/os-release /etc/hosts; [ -e /etc/passwd ]")
        + "stdout-has = ['name = \"app\"', \"ID=\", \"127.0.0.1\\tsite.test\"]\n";
    // The image's entrypoint is the shell, which takes what it reads for a script.
    let entrypoint = "[[check.step]]\nstdin = \"echo it reads\"\nstdout = \"it reads\\n\"\n";
    check(
        "pass",
        &[(&whole, 0, &["ok "]), (&files, 0, &["ok "]), (entrypoint, 0, &["ok ", "/bin/sh"])],
    );
}

#[test]
fn a_step_that_fails_says_what_was_expected_and_what_came() {
    let with = |text: &str, expected: &str| script(text) + expected;
    check(
        "fail",
        &[
            (
                &(script("echo before; echo why >&2; exit 7") + &script("true")),
                1,
                &[
                    "failed",
                    "expected status 0, got status 7",
                    "standard output:\n                   before",
                    "standard error:\n                   why",
                    "1 step was not tried",
                ],
            ),
            (
                &with("echo a; echo c", "stdout = \"a\\nb\\n\""),
                1,
                &["differs from line 2\n", "expected: \"b\\n\"", "got:      \"c\\n\""],
            ),
            (&with("echo a", "stdout-has = [\"b\"]"), 1, &["standard output lacks \"b\""]),
            (&with("echo a", "stderr-has = [\"b\"]"), 1, &["standard error lacks \"b\""]),
            (&script("kill -SEGV $$"), 1, &["got status 139 (SIGSEGV)"]),
            (&with("true", "user = \"nope\""), 1, &["no user `nope` in `/etc/passwd`"]),
            (
                "[[check.step]]\nrun = [\"nope\", \"x\"]",
                1,
                &["got status 127", "there is no program `nope` in the image"],
            ),
            ("[[check.step]]\nrun = [\"/etc/passwd\"]", 1, &["got status 126", "denied"]),
        ],
    );
}

#[test]
fn the_image_need_not_have_users() {
    let none = "[[files]]\nsource = \"empty\"\ndestination = \"/etc/passwd\"\n".to_owned()
        + &script("id -u; echo $HOME")
        + "user = \"12\"\nstdout = \"12\\n/\\n\"\n"
        + &script("true")
        + "user = \"db\"\n";
    let Some(case) = Case::new("no-users", &none) else { return };
    case.scratch.file("empty", "");
    let outcome = case.check(&[]).exits(1);
    assert!(outcome.text().starts_with("ok "), "{outcome:?}");
    assert!(outcome.text().contains("no user `db`"), "{outcome:?}");
}

#[test]
fn what_does_not_end_is_ended_by_the_time_of_the_check() {
    let stubborn = "trap '' TERM INT HUP; echo waiting; while :; do sleep 1; done";
    let slow = "[check]\ntimeout = 10\n".to_owned() + &script(stubborn);
    let Some(case) =
        Case::new("slower", &("[check]\ntimeout = 600\n".to_owned() + &script("sleep 500")))
    else {
        return;
    };
    let outcome = case.check(&["--timeout", "2"]).exits(1);
    assert!(outcome.text().contains("had not ended when the time"), "{outcome:?}");
    case.check(&["--timeout", "0"]).exits(2).says(&["`0` is not a time"]);
    let port = "[check]\ntimeout = 2\n".to_owned() + &script("true") + "port = 81\n";
    check(
        "slow",
        &[
            (&slow, 1, &["had not ended when the time", "waiting"]),
            (&port, 1, &["nothing accepted connections on port 81"]),
        ],
    );
}

#[test]
fn a_flood_is_bounded_and_drowns_nobody() {
    let much = "yes flood | head -c 300000000";
    let exact = script(much) + "stdout = \"flood\\n\"\n";
    let bytes = script("head -c 100 /dev/zero; printf '\\377\\033[31m'; exit 1");
    check(
        "flood",
        &[
            (&script(much), 0, &["ok "]),
            (&exact, 1, &["has more than 1048576 bytes", "bytes before"]),
            (&bytes, 1, &["\\x00", "\\x1b[31m"]),
        ],
    );
}

#[test]
fn a_hostile_image_neither_ends_nor_forges_its_check() {
    let kill =
        script("kill -9 1; kill -STOP 1; kill -TERM 1; kill -9 -1; true") + &script("echo on");
    let forge = script(
        "for fd in 0 1 2; do echo '{\"steps\":[]}' > /proc/1/fd/$fd || echo no; done 2>/dev/null; exit 9",
    );
    let spawn = script("for i in 1 2 3 4 5; do (trap '' TERM HUP; sleep 1000) & done; echo done")
        + "stdout = \"done\\n\"\n";
    check(
        "hostile",
        &[
            (&kill, 0, &["ok "]),
            (&forge, 1, &["got status 9", "no\n                   no\n                   no"]),
            (&spawn, 0, &["ok "]),
        ],
    );
}
