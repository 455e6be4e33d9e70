//! Hooks: when they run, where they run, what they are told, and what their failure means.

use std::fs;

use serde_json::{Value, json};

use crate::{Bench, text, within_seconds};

/// A hook that runs a script of the shell at `shell`.
fn hook(shell: &str, script: &str) -> Value {
    json!({ "path": shell, "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] })
}

#[test]
fn every_hook_runs_at_its_moment_in_its_namespaces() {
    let Some(bench) = Bench::new("hooks") else { return };
    let log = bench.scratch.path().join("hooks.log");
    let outside = |name: &str| {
        let script = format!(
            "state=$(cat); echo \"{name} $(echo \"$state\" | sed 's/.*\"status\":\"\\([a-z]*\\)\".*/\\1/') \
             $(readlink /proc/self/ns/mnt) $(test -e {root}/in && echo entered) ${{HOME-clean}}\" >>{log}",
            root = "/tmp/none",
            log = log.display()
        );
        hook("/bin/sh", &script)
    };
    let inside = hook(
        "/bin/sh",
        "state=$(cat); case $state in *'\"status\":\"created\"'*) echo startContainer >/tmp/inside;; esac; hostname >>/tmp/inside",
    );
    bench.write(
        "cat /tmp/inside",
        &json!({
            "hostname": "box",
            "hooks": {
                "prestart": [outside("prestart")],
                "createRuntime": [outside("createRuntime"), outside("createRuntime2")],
                "createContainer": [outside("createContainer")],
                "startContainer": [inside],
                "poststart": [outside("poststart")],
                "poststop": [outside("poststop")]
            }
        }),
    );
    let id = bench.id();
    bench.create(&id);
    let host = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
    let read = || -> Vec<(String, String, bool, bool)> {
        let text = fs::read_to_string(&log).unwrap();
        let lines = text.lines().map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0].to_owned(), words[1].to_owned(), words[2] == host, words[3] == "clean")
        });
        lines.collect()
    };
    let line = |name: &str, status: &str, host| (name.to_owned(), status.to_owned(), host, true);
    let mut expected = vec![
        line("prestart", "created", true),
        line("createRuntime", "created", true),
        line("createRuntime2", "created", true),
        line("createContainer", "created", false),
    ];
    assert_eq!(read(), expected);
    assert!(!bench.root().join("tmp/inside").exists(), "startContainer comes with start");
    bench.paddle(&["start", &id]).ok();
    expected.push(line("poststart", "running", true));
    assert_eq!(read(), expected);
    bench.becomes(&id, "stopped");
    let inside = fs::read_to_string(bench.root().join("tmp/inside")).unwrap();
    assert_eq!(inside, "startContainer\nbox\n");
    bench.paddle(&["delete", &id]).ok();
    expected.push(line("poststop", "stopped", true));
    assert_eq!(read(), expected);
    bench.is_clean();
}

#[test]
fn hooks_are_told_the_pid_and_the_bundle() {
    let Some(bench) = Bench::new("told") else { return };
    let told = bench.scratch.path().join("told");
    let keep = hook("/bin/sh", &format!("cat >{}", told.display()));
    bench.write(
        "exit 0",
        &json!({ "annotations": { "k": "v" }, "hooks": { "createRuntime": [keep] } }),
    );
    let id = bench.id();
    let pid = bench.create(&id);
    let state: Value = serde_json::from_str(&fs::read_to_string(&told).unwrap()).unwrap();
    let bundle = bench.bundle();
    let expected = json!({
        "ociVersion": "1.3.0", "id": id, "status": "created", "pid": pid,
        "bundle": text(&bundle), "annotations": { "k": "v" }
    });
    assert_eq!(state, expected);
    bench.paddle(&["delete", "--force", &id]).ok();
    bench.is_clean();
}

#[test]
fn a_hook_that_fails_tears_down_what_was_made() {
    let Some(bench) = Bench::new("hookfail") else { return };
    let stopped = bench.scratch.path().join("stopped");
    let bad = || hook("/bin/sh", "echo no way >&2; exit 3");
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let after = hook("/bin/sh", &format!("echo {kind} >>{}", stopped.display()));
        bench.write("exit 0", &json!({ "hooks": { kind: [bad()], "poststop": [after] } }));
        let id = bench.id();
        let bundle = bench.bundle();
        let did = bench.paddle(&["create", "--bundle", text(&bundle), &id]);
        assert!(did.err.contains(kind) && did.err.contains("no way"), "{did:?}");
        assert_eq!(did.code, Some(1));
        bench.is_clean();
        let said = fs::read_to_string(&stopped).unwrap();
        assert_eq!(said.lines().last(), Some(kind), "poststop hooks run after that");
    }
    bench.write("exit 0", &json!({ "hooks": { "startContainer": [bad()] } }));
    let id = bench.id();
    bench.create(&id);
    bench.paddle(&["start", &id]).fails(1, "startContainer");
    assert_eq!(bench.status(&id), "stopped");
    bench.paddle(&["delete", &id]).ok();
    bench.write("exec sleep 1000", &json!({ "hooks": { "poststart": [bad()] } }));
    let id = bench.id();
    bench.create(&id);
    bench.paddle(&["start", &id]).fails(1, "poststart");
    bench.paddle(&["state", &id]).fails(1, "does not exist");
    bench.is_clean();
}

#[test]
fn a_hook_has_the_environment_and_the_folder_that_others_give_it() {
    let Some(bench) = Bench::new("hookenv") else { return };
    let said = bench.scratch.path().join("said");
    let tell = |env: Option<&[&str]>| {
        let mut one = hook("/bin/sh", &format!("echo $OURS $OWN $PWD >>{}", said.display()));
        one.as_object_mut().unwrap().remove("env");
        if let Some(env) = env {
            one["env"] = json!(env);
        }
        one
    };
    let run = |hooks: Value, process: Value| {
        fs::write(&said, "").unwrap();
        bench.write("exit 0", &json!({ "hooks": hooks, "process": process }));
        let mut command = bench.scratch.paddle();
        command.env("OURS", "ours").args(["run", "--bundle", text(&bench.bundle()), &bench.id()]);
        bench.finish(&mut command).ok();
        fs::read_to_string(&said).unwrap()
    };
    let bundle = bench.bundle();
    for kind in ["prestart", "createRuntime", "poststart", "poststop"] {
        let list = json!([tell(None), tell(Some(&["OWN=own"])), tell(Some(&[]))]);
        let bundle = bundle.display();
        let expected = format!("ours {bundle}\nown {bundle}\n{bundle}\n");
        assert_eq!(run(json!({ kind: list }), json!({})), expected, "{kind}");
    }
    // The shell's own folder is the root that the container will have.
    let script = format!("test -e bin/busybox && echo $OURS >>{}", said.display());
    let mut one = hook("/bin/sh", &script);
    one.as_object_mut().unwrap().remove("env");
    assert_eq!(run(json!({ "createContainer": [one] }), json!({})), "ours\n");
    // Inside it is the program's, with what was found there.
    let mut inside = hook("/bin/sh", "test -z \"$OURS\" && test \"$A\" = 1 && test -n \"$HOME\"");
    inside.as_object_mut().unwrap().remove("env");
    run(json!({ "startContainer": [inside] }), json!({ "env": ["PATH=/bin", "A=1"] }));
    bench.is_clean();
}

#[test]
fn a_poststop_hook_that_fails_is_a_warning() {
    let Some(bench) = Bench::new("poststop") else { return };
    let second = bench.scratch.path().join("second");
    let bad = hook("/bin/sh", "exit 3");
    let good = hook("/bin/sh", &format!("echo >{}", second.display()));
    bench.write("exit 0", &json!({ "hooks": { "poststop": [bad, good] } }));
    let id = bench.id();
    bench.create(&id);
    let did = bench.paddle(&["delete", "--force", &id]);
    assert_eq!(did.code, Some(0), "{did:?}");
    assert!(did.err.contains("warning: ") && did.err.contains("poststop"), "{did:?}");
    assert!(second.exists(), "the others run all the same");
    bench.is_clean();
}

/// Whether or not its state says which are still to run: one of an older paddle does not.
#[test]
fn later_hooks_run_after_an_upgrade() {
    let Some(bench) = Bench::new("upgrade") else { return };
    let said = bench.scratch.path().join("said");
    let say = |word: &str| hook("/bin/sh", &format!("echo {word} >>{}", said.display()));
    let hooks = json!({ "createRuntime": [say("made")], "poststart": [say("up")], "poststop": [say("gone")] });
    bench.write("exit 0", &json!({ "hooks": hooks }));
    for older in [false, true] {
        let id = bench.id();
        bench.create(&id);
        let path = bench.scratch.state().join(&id).join("state.json");
        let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let known = state.as_object_mut().unwrap().remove("hooks").unwrap();
        let kinds: Vec<_> = known.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(kinds, ["poststart", "poststop"]);
        if older {
            fs::write(&path, state.to_string()).unwrap();
        }
        bench.paddle(&["start", &id]).ok();
        bench.becomes(&id, "stopped");
        bench.paddle(&["delete", &id]).ok();
        assert_eq!(fs::read_to_string(&said).unwrap(), "made\nup\ngone\n", "older: {older}");
        fs::remove_file(&said).unwrap();
    }
    bench.is_clean();
}

/// A hook that never ends, of a creation that nobody wants any more.
#[test]
fn a_creation_that_waits_for_a_hook_can_be_deleted() {
    let Some(bench) = Bench::new("stuck") else { return };
    let (up, after) = (bench.scratch.path().join("up"), bench.scratch.path().join("after"));
    let touch = |path: &std::path::Path| format!("echo >{}", path.display());
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let stuck = hook("/bin/sh", &format!("{}; sleep 1000 & wait", touch(&up)));
        let stop = hook("/bin/sh", &touch(&after));
        bench.write("exit 0", &json!({ "hooks": { kind: [stuck], "poststop": [stop] } }));
        let (id, bundle) = (bench.id(), bench.bundle());
        let mut command = bench.scratch.paddle();
        command
            .args(["create", "--bundle", text(&bundle), &id])
            .stderr(std::process::Stdio::null());
        let mut creating = command.spawn().unwrap();
        assert!(within_seconds(60, || up.exists()), "{kind}");
        let begun = std::time::Instant::now();
        bench.paddle(&["delete", "--force", &id]).ok();
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{kind}: {begun:?}");
        assert_eq!(creating.wait().unwrap().code(), Some(1), "{kind}");
        assert!(after.exists(), "poststop hooks run: {kind}");
        bench.is_clean();
        fs::remove_file(&up).unwrap();
        fs::remove_file(&after).unwrap();
    }
}

/// What made it is gone, and so is what it made; its hooks run, and not those of an earlier container of the same folder.
#[test]
fn a_creation_that_was_killed_has_poststop_hooks() {
    let Some(bench) = Bench::new("killedhook") else { return };
    let said = bench.scratch.path().join("said");
    let say = |word: &str| hook("/bin/sh", &format!("echo {word} >>{}", said.display()));
    let verbs: [&[&str]; 4] = [&["create"], &["run"], &["run", "--keep"], &["run", "--detach"]];
    for verb in verbs {
        bench.write("exit 0", &json!({ "hooks": { "poststop": [say("earlier")] } }));
        let (id, bundle) = (bench.id(), bench.bundle());
        bench.create(&id);
        bench.paddle(&["delete", "--force", &id]).ok();
        let kill = hook("/bin/sh", "kill -KILL $PPID");
        let hooks = json!({ "createRuntime": [kill], "poststop": [say("own")] });
        bench.write("exit 0", &json!({ "hooks": hooks }));
        let did = bench.paddle(&[verb, &["--bundle", text(&bundle), &id]].concat());
        assert_eq!(did.code, None, "{verb:?}: {did:?}");
        bench.paddle(&["delete", "--force", &id]).ok();
        assert_eq!(fs::read_to_string(&said).unwrap(), "earlier\nown\n", "{verb:?}");
        bench.is_clean();
        fs::remove_file(&said).unwrap();
    }
}

#[test]
fn a_hook_has_no_longer_than_its_timeout() {
    let Some(bench) = Bench::new("timeout") else { return };
    let mut slow = hook("/bin/sh", "sleep 1000");
    slow["timeout"] = json!(1);
    bench.write("exit 0", &json!({ "hooks": { "createRuntime": [slow] } }));
    let id = bench.id();
    let bundle = bench.bundle();
    bench.paddle(&["create", "--bundle", text(&bundle), &id]).fails(1, "took too long");
    bench.is_clean();
}
