//! Rules R4 to R9 of docs/security.md, where a container that runs attacks who enters it.

use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

use serde_json::json;
use tests::outcome::run;

use super::{Bench, proc, process, within_seconds};

/// Until its program runs, nobody inside may look at who enters (CVE-2016-9962): the kernel gives the files in `/proc` of a
/// process that is not dumpable to the host's root, whoever runs it. A filter that asks a listener holds it at its exec.
#[test]
fn r4_who_enters_is_not_dumpable() {
    const USER: u32 = 60_125;
    let Some(bench) = Bench::new("exec-r4") else { return };
    let socket = bench.scratch.path().join("listener");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    // Two processes ask: the container's own first one, which is let go by not being asked about any more.
    let id = bench.create(|config| {
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": socket,
            "syscalls": [{ "names": ["execve"], "action": "SCMP_ACT_NOTIFY" }],
        });
    });
    let (first, _) = listener.accept().unwrap();
    let mut wanted = process(&["sleep", "1000"]);
    wanted["user"]["uid"] = json!(USER);
    let file = bench.scratch.file("process.json", serde_json::to_vec(&wanted).unwrap());
    let options = ["--process", file.to_str().unwrap()];
    let mut command = bench.command(&id, &options, &[]);
    let mut entering = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    // What it says is the state, with the process's pid. Only looked at: the listener that comes along stays open, so that the process
    // waits at its exec.
    let (second, _) = listener.accept().unwrap();
    let mut message = vec![0; 65_536];
    let (length, _) =
        rustix::net::recv(&second, message.as_mut_slice(), rustix::net::RecvFlags::PEEK).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&message[..length]).unwrap();
    let pid = u32::try_from(told["pid"].as_u64().unwrap()).unwrap();
    // It may yet be on its way to its exec. Before it has become that user, the owner would prove nothing.
    let has_user = || {
        let status = std::fs::read_to_string(proc(pid, "status")).unwrap();
        status.contains(&format!("Uid:\t{USER}\t"))
    };
    assert!(within_seconds(10, has_user));
    let owner = std::fs::metadata(proc(pid, "fd")).unwrap().uid();
    entering.kill().unwrap();
    entering.wait().unwrap();
    drop((first, second));
    assert_eq!(owner, 0, "it is dumpable before it executes its program");
}

/// A descriptor of the host that leaked is no way out (CVE-2024-21626).
#[test]
fn r5_no_descriptor_of_the_caller_is_a_working_directory() {
    let Some(bench) = Bench::new("exec-r5") else { return };
    let id = bench.start(|_| {});
    let paddle = bench.scratch.path().join("bin/paddle");
    for number in 3..12 {
        let line = format!(
            "exec 3</ 4</ 5</ 6</ 7</ 8</ 9</; exec {} --root {} exec --cwd /proc/self/fd/{number} {id} cat etc/hostname",
            paddle.display(),
            bench.scratch.state().display()
        );
        let mut shell = bench.scratch.command(std::path::Path::new("/bin/sh"));
        let ran = run(shell.args(["-c", &line])).exits(255);
        assert!(ran.text().is_empty(), "{ran:?}");
    }
    // A link of the container's that leads there is none either.
    bench.says(&id, &[], "mkdir /way && cd /way && busybox ln -s /proc/self/fd/7 out");
    bench.exec(&id, &["--cwd", "/way/out"], &["pwd"]).exits(255);
}

/// A program that leads to `/proc/self/exe` executes the launcher itself inside. Whoever then holds that file cannot write
/// it (CVE-2019-5736).
#[test]
fn r6_the_launchers_file_cannot_be_written_from_inside() {
    let Some(bench) = Bench::new("exec-r6") else { return };
    let id = bench.start(|_| {});
    let file = bench.scratch.path().join("bin/paddle");
    let before = std::fs::metadata(&file).unwrap();
    bench.says(&id, &[], "printf '#!/proc/self/exe\\n' > /bin/evil; chmod 755 /bin/evil; busybox ln -s /proc/self/exe /bin/self");
    // It waits for its input, for as long as this test wants it to.
    for program in [
        &["/proc/self/exe", "update", "-r", "-", "x"][..],
        &["/bin/self", "update", "-r", "-", "x"],
    ] {
        let mut command = bench.command(&id, &["--pid-file", "pid"], program);
        let mut running = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid_file = bench.scratch.path().join("pid");
        assert!(within_seconds(10, || pid_file.exists()));
        std::fs::remove_file(&pid_file).unwrap();
        let script = "for p in /proc/[0-9]*; do \
                          if readlink $p/cmdline; then :; fi; \
                          if grep -q update $p/cmdline 2>/dev/null && [ $p != /proc/$$ ]; then \
                              exec 5<$p/exe; echo held; (echo x >/proc/self/fd/5) 2>&1; echo x 2>&1 >>$p/exe; \
                          fi; done; true";
        let said = bench.says(&id, &[], script);
        assert!(said.contains("held"), "it could be looked at: {said}");
        assert!(said.contains("Read-only file system"), "{program:?}: {said}");
        drop(running.stdin.take());
        running.wait().unwrap();
    }
    // As the interpreter of a script it is executed, too; it knows no such verb.
    bench.exec(&id, &[], &["/bin/evil"]);
    let after = std::fs::metadata(&file).unwrap();
    assert_eq!(
        (before.len(), before.mtime_nsec(), before.mtime()),
        (after.len(), after.mtime_nsec(), after.mtime())
    );
    run(std::process::Command::new(&file).arg("--version")).ok();
}

/// Users are looked up in the container's own files, and links in them lead nowhere outside (R1, R7).
#[test]
fn r7_users_are_the_containers_own() {
    let Some(bench) = Bench::new("exec-r7") else { return };
    let id = bench.start(|_| {});
    bench.exec(&id, &["-u", "daemon"], &["true"]).exits(255).says(&["daemon"]);
    let theirs = bench.scratch.file("passwd", "hostuser:x:4711:0::/:/bin/sh\n");
    let link = format!("../../../../../../../..{}", theirs.display());
    let script = format!("cd /etc && busybox mv passwd own && busybox ln -s {link} passwd");
    bench.says(&id, &[], &script);
    bench.exec(&id, &["-u", "hostuser"], &["true"]).exits(255).says(&["hostuser"]);
    // A pipe in its place is not waited for.
    bench.says(&id, &[], "cd /etc && busybox rm passwd && busybox mkfifo passwd");
    bench.exec(&id, &["-u", "ann"], &["true"]).exits(255);
    let script =
        "while read name id rest; do test $name = Uid: && echo $id; done </proc/self/status; true";
    assert_eq!(bench.says(&id, &["-u", "5"], script), "5\n");
}

/// A false `/dev/pts` gives no terminal (R8).
#[test]
fn r8_a_terminal_comes_from_a_devpts() {
    let Some(bench) = Bench::new("exec-r8") else { return };
    let id = bench.start(|config| {
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/dev/pts");
    });
    bench.exec(&id, &["-t"], &["true"]).exits(255).says(&["terminal", "/dev/pts"]);
    bench.says(&id, &[], "mkdir -p /dev/pts && touch /dev/pts/ptmx /dev/pts/0");
    bench.exec(&id, &["-t"], &["true"]).exits(255).says(&["terminal", "/dev/pts"]);
}

/// The caller's own terminal is never passed in (R9, CVE-2017-5226).
#[test]
fn r9_the_callers_terminal_stays_outside() {
    let Some(bench) = Bench::new("exec-r9") else { return };
    let id = bench.start(|_| {});
    let terminal = nix::pty::openpty(None, None);
    let terminal = terminal.unwrap();
    for detach in [false, true] {
        let options: &[&str] = if detach { &["--detach"] } else { &[] };
        let script = "for f in 0 1 2; do test -t $f && echo $f >>/tmp/terminals; done; echo done >>/tmp/terminals";
        let mut command = bench.command(&id, options, &["sh", "-c", script]);
        let side = || Stdio::from(terminal.slave.try_clone().unwrap());
        let mut running = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        assert!(running.wait().unwrap().success());
        let said = || bench.says(&id, &[], "cat /tmp/terminals 2>/dev/null; true");
        assert!(within_seconds(10, || said().contains("done")));
        assert_eq!(said(), "done\n", "detached: {detach}");
        bench.says(&id, &[], "busybox rm /tmp/terminals");
    }
    drop((terminal.slave, terminal.master));
}
