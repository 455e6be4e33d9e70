//! User, environment, mask, scheduling, keyring, parameters, streams.

use serde_json::json;

use super::{Bench, nothing, said};

#[test]
fn a_process_is_who_and_how_it_is_to_be() {
    let Some(bench) = Bench::new("process-who") else { return };
    let process = json!({
        "user": { "uid": 7, "gid": 8, "additionalGids": [5, 6], "umask": 0o27 },
        "scheduler": { "policy": "SCHED_BATCH", "nice": 3 },
        "ioPriority": { "class": "IOPRIO_CLASS_IDLE", "priority": 4 },
    });
    let linux = json!({ "personality": { "domain": "LINUX32" } });
    let class = (3 << 13) + 4;
    let machine = if cfg!(target_arch = "x86_64") { "i686" } else { "armv8l" };
    bench.check(
        &["ids", "umask", "policy", "nice", "ioprio", "machine"],
        &process,
        &linux,
        &format!("7 8 5 6\n027\n3\n3\n{class}\n{machine}\n"),
    );
    bench.check(&["ids", "umask", "policy"], &nothing(), &nothing(), "0 0\n022\n0\n");
}

/// As Podman asks for it with `--group-add keep-groups`: of the process that is made, and of one that joins.
#[test]
fn the_callers_groups_are_kept_where_that_is_asked_for() {
    let Some(bench) = Bench::new("process-groups") else { return };
    let Some(setpriv) = tests::require::program("setpriv") else { return };
    let as_member = || {
        let mut command = bench.scratch.command(&setpriv);
        command.args(["--groups", "21,22"]).arg(bench.scratch.path().join("bin/paddle"));
        command.arg("--root").arg(bench.scratch.state());
        command
    };
    let user = json!({ "user": { "uid": 7, "gid": 8, "additionalGids": [5] } });
    let own = |kinds: &[&str]| -> serde_json::Value {
        kinds.iter().map(|kind| json!({ "type": kind })).collect()
    };
    let maps = json!([{ "containerID": 0, "hostID": 20, "size": 100 }]);
    let kinds = ["mount", "pid", "ipc", "uts", "network", "user"];
    let users = json!({ "namespaces": own(&kinds), "uidMappings": maps, "gidMappings": maps });
    for (linux, set, kept) in [(nothing(), "5", "21 22"), (users, "5", "1 2")] {
        for (annotations, groups) in
            [(nothing(), set), (json!({ "run.oci.keep_original_groups": "1" }), kept)]
        {
            bench.configure(&["ids"], &user, &linux);
            let file = bench.bundle.join("config.json");
            let mut config: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            config["annotations"] = annotations;
            std::fs::write(&file, config.to_string()).unwrap();
            let expected = (0, format!("7 8 {groups}\n"), String::new());
            let id = bench.scratch.container();
            let ran = said(as_member().args(["run", "--bundle"]).arg(&bench.bundle).arg(&id));
            assert_eq!(ran, expected, "{config}");
            let id = bench.scratch.container();
            bench.succeed(&["create", "--bundle", bench.bundle.to_str().unwrap(), &id]);
            let process = bench.scratch.path().join("process.json");
            std::fs::write(&process, config["process"].to_string()).unwrap();
            let mut exec = as_member();
            let ran = said(exec.args(["exec", "--process"]).arg(&process).arg(&id));
            assert_eq!(ran, expected, "exec, {config}");
            bench.succeed(&["delete", "--force", &id]);
        }
    }
}

#[test]
fn limits_are_set_and_cannot_be_raised_by_who_may_not() {
    let Some(bench) = Bench::new("process-limits") else { return };
    let limits = json!({ "rlimits": [
        { "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 },
        { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
    ] });
    let (_, found, _) =
        bench.run(&["limits=Max open files", "limits=Max core"], &limits, &nothing());
    let words: Vec<&str> = found.split_whitespace().collect();
    assert_eq!(
        words,
        "Max open files 100 200 files Max core file size 0 0 bytes".split(' ').collect::<Vec<_>>()
    );
    let twice = json!({ "rlimits": [
        { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }, { "type": "RLIMIT_CORE", "soft": 1, "hard": 1 },
    ] });
    bench.refuse(&twice, &nothing(), "`core` is given twice");
}

#[test]
fn home_is_what_the_containers_own_file_says() {
    let Some(bench) = Bench::new("process-home") else { return };
    let user = |uid: u32, env: &[&str]| json!({ "user": { "uid": uid, "gid": 0 }, "env": env });
    // No file, then one.
    bench.check(&["env=HOME"], &user(7, &[]), &nothing(), "/\n");
    let passwd = bench.bundle.join("rootfs/etc/passwd");
    std::fs::write(&passwd, "root:x:0:0::/root:/x\nann:x:7:7::/home/ann:/x\n").unwrap();
    bench.check(&["env=HOME"], &user(7, &[]), &nothing(), "/home/ann\n");
    bench.check(&["env=HOME"], &user(7, &["HOME="]), &nothing(), "/home/ann\n");
    bench.check(&["env=HOME"], &user(7, &["HOME=/x"]), &nothing(), "/x\n");
    bench.check(&["env=HOME"], &user(8, &[]), &nothing(), "/\n");
    bench.check(&["env=A"], &user(7, &["A=1", "A=2"]), &nothing(), "2\n");
    // An attack: a link to the host's, and a pipe that nobody writes to.
    std::fs::remove_file(&passwd).unwrap();
    std::os::unix::fs::symlink("../../../../../../etc/passwd", &passwd).unwrap();
    bench.check(&["env=HOME"], &user(0, &[]), &nothing(), "/\n");
    std::fs::remove_file(&passwd).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&passwd).status().unwrap();
    assert!(made.success());
    bench.check(&["env=HOME"], &user(7, &[]), &nothing(), "/\n");
}

#[test]
fn each_container_has_a_session_keyring_of_its_own() {
    let Some(bench) = Bench::new("process-keyring") else { return };
    let (status, found, message) = bench.run(&["keyring"], &nothing(), &nothing());
    assert_eq!((status, message.as_str()), (0, ""));
    assert!(found.starts_with("_ses.coracle-test-process-keyring"), "{found}");
    // --no-new-keyring: whatever the caller has, which is not this one.
    let id = bench.scratch.container();
    let mut command = bench.scratch.paddle();
    command.args(["run", "--no-new-keyring", "--bundle"]).arg(&bench.bundle).arg(&id);
    let (status, found, message) = said(&mut command);
    assert_eq!(status, 0, "{message}");
    assert!(!found.starts_with("_ses.coracle-test"), "{found}");
    // Whoever comes later has what the container's own process has.
    for (options, own) in [(&[][..], true), (&["--no-new-keyring"][..], false)] {
        let id = bench.scratch.container();
        let bundle = bench.bundle.to_str().unwrap();
        bench.succeed(&[&["create", "--bundle", bundle], options, &[&id]].concat());
        let mut command = bench.scratch.paddle();
        let (status, found, message) = said(command.args(["exec", &id, "/rights", "keyring"]));
        assert_eq!(status, 0, "{message}");
        assert_eq!(found.trim_end() == format!("_ses.{id}"), own, "{found}");
        bench.succeed(&["delete", "--force", &id]);
    }
}

#[test]
fn parameters_of_own_namespaces_are_set() {
    let Some(bench) = Bench::new("process-sysctl") else { return };
    let sysctl = json!({ "sysctl": {
        "net/ipv4/ip_forward": "1", "kernel.shm_rmid_forced": "1", "kernel.domainname": "dom.example",
    } });
    let files = ["net/ipv4/ip_forward", "kernel/shm_rmid_forced", "kernel/domainname"]
        .map(|path| format!("cat=/proc/sys/{path}"));
    let questions: Vec<&str> = files.iter().map(String::as_str).collect();
    bench.check(&questions, &nothing(), &sysctl, "1\n1\ndom.example\n");
    bench.refuse(&nothing(), &json!({ "sysctl": { "kernel.panic": "1" } }), "`kernel.panic`");
    bench.refuse(&nothing(), &json!({ "sysctl": { "kernel.hostname": "x" } }), "`kernel.hostname`");
    bench.refuse(
        &nothing(),
        &json!({ "sysctl": { "net.no.such": "1" } }),
        "cannot set kernel parameter",
    );
}

#[test]
fn a_user_can_open_the_streams_that_engines_hand_over() {
    let Some(bench) = Bench::new("process-streams") else { return };
    let user = json!({ "user": { "uid": 7, "gid": 7 } });
    // Standard output is a pipe of root's here.
    bench.check(&["append=/proc/self/fd/1"], &user, &nothing(), "ok\n");
}
