//! What a process that was brought in is: where, as whom, with which rights.

use std::process::Stdio;

use serde_json::json;

use super::{Bench, all, proc, process, within_seconds};

const KINDS: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

#[test]
fn it_is_in_all_of_the_containers_namespaces_and_groups() {
    let Some(bench) = Bench::new("exec-inside") else { return };
    let id = bench.start(|_| {});
    let first = bench.pid(&id);
    let link = |kind: &&str| std::fs::read_link(proc(first, &format!("ns/{kind}"))).unwrap();
    let links: Vec<String> = KINDS.iter().map(|kind| link(kind).display().to_string()).collect();
    let own = format!("{}\n", links.join("\n"));
    let script = format!("for k in {}; do readlink /proc/self/ns/$k; done", KINDS.join(" "));
    assert_eq!(bench.says(&id, &[], &script), own);
    // Seen from the host: inside, the groups' own root is all that shows.
    let pid = bench.detach(&id, &["sleep", "100"]);
    let groups = |pid: u32| std::fs::read_to_string(proc(pid, "cgroup")).unwrap();
    assert_eq!(groups(pid), groups(first));
}

#[test]
fn a_user_namespace_is_joined_with_its_ids() {
    let Some(bench) = Bench::new("exec-userns") else { return };
    let id = bench.start(|config| {
        let map = json!([{ "containerID": 0, "hostID": 200_000, "size": 65_536 }]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.push(json!({ "type": "user" }));
        // The root's own folders belong to the host's root.
        config["root"]["readonly"] = json!(true);
    });
    assert_eq!(bench.says(&id, &[], "id -u; grep -c 200000 /proc/self/uid_map"), "0\n1\n");
    assert_eq!(bench.says(&id, &["-u", "7:8"], "id -u; id -g"), "7\n8\n");
    bench.exec(&id, &["-u", "70000"], &["true"]).exits(255);
}

#[test]
fn options_change_what_the_containers_own_process_is() {
    let Some(bench) = Bench::new("exec-options") else { return };
    let id = bench.start(|config| {
        config["process"]["env"].as_array_mut().unwrap().push(json!("OWN=1"));
        config["process"]["cwd"] = json!("/etc");
    });
    for (options, script, expected) in [
        (&[][..], "pwd; echo $OWN; id -u; id -g", "/etc\n1\n0\n0\n"),
        (&["--cwd", "/tmp", "-e", "OWN=2", "-e", "NEW=3"], "pwd; echo $OWN$NEW", "/tmp\n23\n"),
        (&["-u", "ann"], "id -u; id -g; id -G; echo $HOME", "1234\n4321\n4321 55\n/home/ann\n"),
        (&["-u", "1:2", "-g", "100", "-g", "65534"], "id -u; id -G", "1\n2 100 65534\n"),
        (&[], "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n"),
        (&["--no-new-privs=false"], "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0\n"),
        (&[], "grep CapEff /proc/self/status", "CapEff:\t0000000020000420\n"),
        (
            &["--cap", "CAP_SYS_ADMIN"],
            "grep CapEff /proc/self/status",
            "CapEff:\t0000000020200420\n",
        ),
    ] {
        assert_eq!(bench.says(&id, options, script), expected, "{options:?} {script}");
    }
    bench.exec(&id, &["-u", "nobody-such"], &["true"]).exits(255).says(&["nobody-such"]);
}

#[test]
fn an_added_capability_is_ambient_where_it_is_inheritable() {
    let Some(bench) = Bench::new("exec-ambient") else { return };
    let id = bench.start(|config| {
        let sets = &mut config["process"]["capabilities"];
        sets["bounding"] = json!(["CAP_CHOWN", "CAP_KILL", "CAP_SYSLOG"]);
        sets["permitted"] = json!(["CAP_CHOWN", "CAP_KILL"]);
        sets["effective"] = json!(["CAP_KILL"]);
        sets["inheritable"] = json!(["CAP_CHOWN", "CAP_SYSLOG"]);
        sets["ambient"] = json!(["CAP_CHOWN"]);
    });
    let ambient = "grep CapAmb /proc/self/status";
    assert_eq!(bench.says(&id, &[], ambient), "CapAmb:\t0000000000000001\n");
    let added = ["--cap", "CAP_SYSLOG", "--cap", "CAP_FOWNER"];
    assert_eq!(bench.says(&id, &added, ambient), "CapAmb:\t0000000400000001\n");
}

#[test]
fn a_process_that_is_written_down_is_what_it_says() {
    let Some(bench) = Bench::new("exec-file") else { return };
    let id = bench.start(|_| {});
    let script = "id -u; id -G; umask; ulimit -n; ulimit -Hn; pwd; echo $A; \
                  grep -e CapInh -e CapPrm -e CapEff -e CapBnd -e CapAmb -e NoNew /proc/self/status; \
                  cat /proc/self/oom_score_adj";
    let mut wanted = process(&["sh", "-c", script]);
    wanted["user"] = json!({ "uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o027 });
    wanted["env"] = json!(["PATH=/bin", "A=b"]);
    wanted["cwd"] = json!("/tmp");
    wanted["noNewPrivileges"] = json!(true);
    wanted["oomScoreAdj"] = json!(500);
    wanted["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 }]);
    wanted["capabilities"] = json!({
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NO_SUCH"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "inheritable": ["CAP_CHOWN"],
        "ambient": ["CAP_CHOWN"],
        "effective": ["CAP_KILL"],
    });
    let said = all(bench.process(&id, &wanted).ok());
    // A program that user 5 executes keeps what is ambient.
    assert_eq!(
        said,
        "5\n6 7 8\n0027\n100\n200\n/tmp\nb\n\
         CapInh:\t0000000000000001\nCapPrm:\t0000000000000001\nCapEff:\t0000000000000001\n\
         CapBnd:\t0000000000000021\nCapAmb:\t0000000000000001\nNoNewPrivs:\t1\n500\n"
    );
    // Nothing given is nothing held.
    let none = all(bench.process(&id, &process(&["grep", "CapBnd", "/proc/self/status"])).ok());
    assert_eq!(none, "CapBnd:\t0000000000000000\n");
}

#[test]
fn the_containers_filter_holds_for_it_too() {
    let Some(bench) = Bench::new("exec-seccomp") else { return };
    let id = bench.start(|config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }],
        });
    });
    bench.exec(&id, &[], &["mkdir", "/tmp/x"]).exits(1).says(&["No space left on device"]);
}

#[test]
fn home_comes_from_the_containers_own_users() {
    let Some(bench) = Bench::new("exec-home") else { return };
    let id = bench.start(|_| {});
    for (uid, home) in [(0, "/root"), (1234, "/home/ann"), (99, "/")] {
        let mut wanted = process(&["sh", "-c", "echo $HOME"]);
        wanted["user"]["uid"] = json!(uid);
        assert_eq!(all(bench.process(&id, &wanted).ok()), format!("{home}\n"));
    }
}

/// `paddle run` makes containers that are entered the same way, with the rights of an image.
#[test]
fn a_container_of_an_image_can_be_entered() {
    let Some(bench) = Bench::new("exec-image") else { return };
    let Some(tar) = tests::require::program("tar") else { return };
    let bundle = bench.bundle("image", |_| {});
    let archive = bench.scratch.path().join("image.tar");
    let mut pack = std::process::Command::new(tar);
    pack.arg("-C").arg(bundle.join("rootfs")).arg("-cf").arg(&archive).arg(".");
    tests::outcome::run(&mut pack).ok();
    let name = bench.scratch.container();
    let mut command = bench.scratch.paddle();
    command.args(["run", "--rm", "--name", &name, "image.tar", "/bin/sh", "-c"]);
    command.arg("echo ready; exec sleep 1000");
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(running.stdout.as_mut().unwrap(), &mut line).unwrap();
    let said = bench.says(
        &name,
        &["-u", "ann"],
        "id -un; readlink /proc/1/exe; grep Seccomp: /proc/self/status",
    );
    assert_eq!(said, "ann\nSeccomp:\t2\n", "and it is not ann's to look at process 1");
    assert_eq!(bench.says(&name, &[], "readlink /proc/1/exe"), "/bin/busybox\n");
    bench.paddle(&["rm", "--force", &name]).ok();
    assert!(running.wait().unwrap().code().is_some());
}

#[test]
fn what_was_decided_about_processors_is_in_the_log() {
    let Some(bench) = Bench::new("exec-debug") else { return };
    let id = bench.start(|config| {
        config["process"]["execCPUAffinity"] = json!({ "initial": "0", "final": "0" });
    });
    let log = bench.scratch.path().join("log");
    let mut command = bench.scratch.paddle();
    let ran = tests::outcome::run(command.args(["--debug", "exec", &id, "true"]));
    assert!(ran.says(&["level=debug", "initial affinity: 0x1"]).stdout.is_empty());
    let mut command = bench.scratch.paddle();
    command.arg("--log").arg(&log).args(["--log-level", "debug", "exec", &id, "true"]);
    tests::outcome::run(&mut command).ok();
    assert!(std::fs::read_to_string(&log).unwrap().contains("final affinity: 0x1"));
    let mut command = bench.scratch.paddle();
    command.arg("--log").arg(&log).args(["exec", &id, "true"]);
    std::fs::remove_file(&log).unwrap();
    tests::outcome::run(&mut command).ok();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "");
}

#[test]
fn what_is_passed_over_is_not_in_what_a_detached_program_says() {
    let Some(bench) = Bench::new("exec-warns") else { return };
    let id = bench.start(|_| {});
    let mut wanted = process(&["sh", "-c", "echo said >&2"]);
    wanted["capabilities"] = json!({ "bounding": ["CAP_FLY"] });
    let warning = "ignoring unknown or unavailable capabilities: [CAP_FLY]";
    let said = bench.process(&id, &wanted).ok();
    said.says(&[&format!("warning: {warning}\n"), "said\n"]);
    let file = bench.scratch.path().join("process.json");
    let log = bench.scratch.path().join("log");
    let detached = bench.scratch.path().join("detached-errors");
    let mut command = bench.scratch.paddle();
    command.arg("--log").arg(&log).args(["exec", "--detach", "--process"]).arg(&file).arg(&id);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let errors = std::fs::File::create(&detached).unwrap();
    assert!(command.stderr(errors).status().unwrap().success());
    assert!(within_seconds(10, || std::fs::read_to_string(&detached).unwrap() == "said\n"));
    assert!(std::fs::read_to_string(&log).unwrap().contains(warning));
}
