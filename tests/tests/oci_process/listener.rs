//! Calls that are put to an agent (`seccomp_unotify(2)`).

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{Bench, compiled, nothing, said};

/// An agent that takes so many listeners, and its socket.
fn agent(bench: &Bench, count: u32) -> (Child, PathBuf) {
    let socket = bench.scratch.path().join("agent");
    let mut command = Command::new(compiled("agent"));
    let child = command.arg(&socket).arg(count.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    while !socket.exists() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    (child, socket)
}

/// What the agent was told, one state a line.
fn told(child: Child) -> Vec<Value> {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let lines = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn profile(socket: &std::path::Path, names: &[&str]) -> Value {
    json!({ "seccomp": {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket, "listenerMetadata": "from a test",
        "syscalls": [{ "names": names, "action": "SCMP_ACT_NOTIFY" }],
    } })
}

#[test]
fn an_agent_answers_for_the_kernel() {
    let Some(bench) = Bench::new("listener-answers") else { return };
    // The second also asks about what it takes to start a process, and to hand a listener over.
    let everything = [
        "mkdir",
        "sendmsg",
        "sendto",
        "recvfrom",
        "read",
        "write",
        "close",
        "close_range",
        "execve",
        "setresuid",
        "capset",
        "prctl",
        "exit_group",
    ];
    for names in [&["mkdir"][..], &everything] {
        for free in [false, true] {
            let (child, socket) = agent(&bench, 1);
            let process = json!({ "noNewPrivileges": !free });
            let (status, found, message) =
                bench.run(&["mkdir=/tmp/x", "ids"], &process, &profile(&socket, names));
            assert_eq!(
                (status, found.as_str()),
                (0, "ENOANO\n0 0\n"),
                "{names:?} {free}: {message}"
            );
            let told = told(child);
            let [state] = told.as_slice() else { panic!("{told:?}") };
            assert_eq!(state["fds"], json!(["seccompFd"]));
            assert_eq!(state["metadata"], "from a test");
            assert_eq!(state["state"]["status"], "creating");
            assert_eq!(state["state"]["bundle"], json!(bench.bundle));
            assert_eq!(state["pid"], state["state"]["pid"]);
            assert!(state["pid"].as_i64().unwrap() > 1, "as the runtime counts");
            std::fs::remove_file(socket).unwrap();
        }
    }
}

#[test]
fn who_creates_hands_the_listener_over_and_each_process_has_its_own() {
    let Some(bench) = Bench::new("listener-exec") else { return };
    let (child, socket) = agent(&bench, 2);
    let linux = profile(&socket, &["mkdir"]);
    // The agent takes one listener after the other: the first process ends before the second comes.
    bench.configure(&["mkdir=/tmp/x"], &nothing(), &linux);
    let id = bench.scratch.container();
    let bundle = bench.bundle.to_str().unwrap().to_owned();
    bench.succeed(&["create", "--bundle", &bundle, &id]);
    bench.succeed(&["start", &id]);
    let ended = || {
        let (_, state, _) = said(bench.scratch.paddle().args(["state", &id]));
        state.contains("\"stopped\"")
    };
    while !ended() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    bench.succeed(&["delete", &id]);
    let again = bench.scratch.container();
    bench.succeed(&["create", "--bundle", &bundle, &again]);
    bench.succeed(&["delete", "--force", &again]);
    let told = told(child);
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["state"]["id"], json!(id));
    assert_eq!(told[1]["state"]["id"], json!(again));
}

/// Other runtimes connect to whoever is named, and agents count on it.
#[test]
fn who_listens_is_told_of_a_container_that_asks_nothing() {
    let Some(bench) = Bench::new("listener-idle") else { return };
    let (child, socket) = agent(&bench, 1);
    let idle = json!({ "seccomp": {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": socket, "listenerMetadata": "idle",
    } });
    let (status, _, message) = bench.run(&["ids"], &nothing(), &idle);
    assert_eq!(status, 0, "{message}");
    assert_eq!(told(child)[0]["metadata"], json!("idle"));
}

#[test]
fn without_an_agent_nothing_starts() {
    let Some(bench) = Bench::new("listener-nobody") else { return };
    let nobody = profile(std::path::Path::new("/no/such/socket"), &["mkdir"]);
    bench.refuse(&nothing(), &nobody, "cannot give the seccomp listener to `/no/such/socket`");
}
