//! `checkpoint` and `restore`, with a stand-in for criu: a script that writes down what it is told, and does as little of
//! it as callers of criu rely on. (Debian's criu does not start on every kernel.)

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::outcome::{Outcome, run};
use tests::require;

use super::{Bench, within_seconds};

/// Makes `criu` for [`paddle`].
fn stand_in(bench: &Bench, script: &str) {
    let file =
        bench.scratch.file("criu", format!("#!/bin/sh\necho \"$@\" >>\"$0.said\"\n{script}\n"));
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

fn said(bench: &Bench) -> String {
    std::fs::read_to_string(bench.scratch.path().join("criu.said")).unwrap_or_default()
}

fn command(bench: &Bench, words: &[&str]) -> Command {
    let mut command = bench.scratch.paddle();
    let path = format!("{}:{}", bench.scratch.path().display(), require::PATH);
    command.env("PATH", path).args(words);
    command
}

fn paddle(bench: &Bench, words: &[&str]) -> Outcome {
    run(&mut command(bench, words))
}

#[test]
fn a_container_is_written_and_gone_unless_it_is_to_go_on() {
    let Some(bench) = Bench::new("checkpoint") else { return };
    stand_in(&bench, "exit 0");
    let id = bench.start(|config| {
        let data = json!({ "destination": "/data", "source": "/usr", "options": ["bind"] });
        config["mounts"].as_array_mut().unwrap().push(data);
    });
    let pid = bench.pid(&id);
    let status = || {
        let state: Value =
            serde_json::from_str(&bench.paddle(&["state", &id]).ok().text()).unwrap();
        state["status"].as_str().unwrap().to_owned()
    };
    paddle(&bench, &["checkpoint", "--image-path", "pre", "--pre-dump", &id]).ok();
    assert_eq!(status(), "running");
    let options =
        ["--leave-running", "--tcp-established", "--ext-unix-sk", "--file-locks", "--shell-job"];
    let words =
        ["checkpoint", "--image-path", "images", "--work-path", "work", "--parent-path", "../pre"];
    paddle(&bench, &[&words[..], &options[..], &[id.as_str()]].concat()).ok();
    assert_eq!(status(), "running");
    let folder = bench.scratch.path().display();
    let said = said(&bench);
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with(&format!("pre-dump -t {pid} -D {folder}/pre -o dump.log")),
        "{said}"
    );
    for part in [
        &format!("dump -t {pid} -D {folder}/images -W {folder}/work -o dump.log"),
        "--manage-cgroups=soft",
        "--tcp-established",
        "--ext-unix-sk",
        "--shell-job",
        "--file-locks",
        "--empty-ns net",
        "--leave-running",
        "--track-mem --prev-images-dir ../pre",
        "--external mnt[/data]:/data",
        &format!("--root {folder}/bundle-0/rootfs"),
    ] {
        assert!(lines[1].contains(part), "{part}: {said}");
    }
    // Null devices of the host's: criu is told of them, too.
    let names = std::fs::read(bench.scratch.path().join("images/descriptors.json")).unwrap();
    let names: Vec<String> = serde_json::from_slice(&names).unwrap();
    assert!(names.len() == 3 && names[0].starts_with("file["), "{names:?}");
    assert!(lines[1].contains(&format!("--external {}", names[0])), "{said}");
    paddle(&bench, &["checkpoint", &id]).ok();
    bench.paddle(&["state", &id]).exits(1).says(&["does not exist"]);
}

#[test]
fn what_criu_dislikes_is_quoted_and_the_container_goes_on() {
    let Some(bench) = Bench::new("checkpoint-fails") else { return };
    let id = bench.start(|_| {});
    bench.paddle(&["checkpoint", &id]).exits(1).says(&["criu is not installed", "hint"]);
    stand_in(&bench, "echo '(00.1) Error (criu/x.c:1): no such thing' >images/dump.log; exit 1");
    paddle(&bench, &["checkpoint", "--image-path", "images", &id]).exits(1).says(&[
        "criu failed",
        "no such thing",
        "dump.log",
    ]);
    assert!(bench.paddle(&["state", &id]).ok().text().contains("running"));
    for (words, status, said) in [
        (&["checkpoint", "--parent-path", "/x", &id][..], 1, "/x"),
        (&["checkpoint", "--page-server", "nowhere", &id], 2, "ADDRESS:PORT"),
        (&["checkpoint", "--manage-cgroups-mode", "x", &id], 2, "soft"),
        (&["checkpoint", "--status-fd", "5", &id], 2, "lazy-pages"),
        (&["checkpoint", "nobody"], 1, "does not exist"),
    ] {
        paddle(&bench, words).exits(status).says(&[said]);
    }
    bench.paddle(&["checkpoint", "--help"]).ok();
}

#[test]
fn a_created_container_and_one_with_a_terminal_are_not_written() {
    let Some(bench) = Bench::new("checkpoint-refused") else { return };
    stand_in(&bench, "exit 0");
    let created = bench.create(|_| {});
    paddle(&bench, &["checkpoint", &created]).exits(1).says(&["not started"]);
    assert_eq!(said(&bench), "");
    let bundle = bench.bundle("terminal", |config| config["process"]["terminal"] = json!(true));
    let words = ["restore", "--bundle", bundle.to_str().unwrap(), "--detach", "new"];
    paddle(&bench, &words).exits(1).says(&["terminal"]);
}

#[test]
fn a_restored_container_is_one_like_any_other() {
    let Some(bench) = Bench::new("restore") else { return };
    // As criu does: the process lives when it ends, and its number is in the file.
    let script = "while [ $# -gt 0 ]; do case $1 in --pidfile) file=$2;; esac; shift; done\n\
                  setsid sleep 1000 </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &\necho $! >\"$file\"";
    stand_in(&bench, script);
    let bundle = bench.bundle("bundle-0", |config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
    });
    let images = bench.scratch.subfolder("images");
    std::fs::write(images.join("descriptors.json"), r#"["pipe:[5]","file[1:2]","file[1:2]"]"#)
        .unwrap();
    let id = bench.scratch.container();
    bench.containers.borrow_mut().push(id.clone());
    let bundle = bundle.to_str().unwrap();
    // One dash, as an engine writes it.
    let words = [
        "restore",
        "-bundle",
        bundle,
        "--image-path",
        "images",
        "-no-subreaper",
        "--detach",
        "--pid-file",
        "pid",
        &id,
    ];
    paddle(&bench, &words).ok();
    let said = said(&bench);
    for part in [
        "restore --restore-detached --restore-sibling",
        &format!("--root {bundle}/rootfs"),
        "--external mnt[/dev/null]:/dev/null",
        "pipe:[5] --inherit-fd",
        "file[1:2]",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let pid: u32 =
        std::fs::read_to_string(bench.scratch.path().join("pid")).unwrap().parse().unwrap();
    assert_eq!(bench.pid(&id), pid);
    assert!(Path::new("/proc").join(pid.to_string()).exists());
    bench.paddle(&["delete", "--force", &id]).ok();
    assert!(within_seconds(10, || !super::proc(pid, "exe").exists()));
    // Without its files nothing is made, and nothing is left.
    paddle(&bench, &["restore", "-b", bundle, "--image-path", "none", "--detach", "other"])
        .exits(1)
        .says(&["descriptors.json"]);
    bench.paddle(&["state", "other"]).exits(1).says(&["does not exist"]);
}
