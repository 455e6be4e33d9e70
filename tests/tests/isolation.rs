//! What a container cannot see or reach: the host's files, processes, network, names and devices.
//!
//! Every test also shows, where it can, that the question would have been answered on the host, or
//! with the isolation lifted: a question that is never answered proves nothing.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

/// A shell and what the questions below need.
const RECIPE: &str = r#"
executables = ["bash", "cat", "cut", "grep", "head", "id", "ls", "mknod", "readlink", "sort", "stat", "tr",
               "uname", "uniq", "wc"]
"#;

/// A folder with the image `shell` in its store; `None` where containers cannot be made.
fn shell(name: &str) -> Option<Scratch> {
    if !require::root() {
        return None;
    }
    let scratch = Scratch::new(name);
    let recipe = scratch.file("shell.toml", RECIPE);
    scratch.pack(&["-t".as_ref(), Path::new("shell").as_os_str(), recipe.as_os_str()]);
    Some(scratch)
}

/// Runs a script inside; it must end with status 0.
fn ask(scratch: &Scratch, options: &[&str], script: &str) -> String {
    run(&mut scratch.launch(options, "shell", &["-c", script])).ok().text()
}

#[test]
fn host_files_are_out_of_reach() {
    let Some(scratch) = shell("files") else { return };
    let secret = scratch.file("secret", "of the host\n");
    let path = secret.display();
    let reach = format!(
        "for way in '' /proc/1/root /proc/self/root /proc/1/cwd/.. /../../.. /dev/fd/3/../..; do
             cat \"$way{path}\" 2>/dev/null
         done; true"
    );
    assert_eq!(ask(&scratch, &[], &reach), "");
    let volume = format!("{path}:{path}:ro");
    assert_eq!(ask(&scratch, &["--volume", &volume], &format!("cat {path}")), "of the host");
    // The root holds what was packed, and mount points; nothing of the host's.
    let inside = ask(&scratch, &[], "ls -A /");
    let known =
        ["bin", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "tmp", "usr", "var"];
    for name in inside.lines() {
        assert!(known.contains(&name), "/{name} in {inside}");
    }
    // The old root is not only hidden below the new one: no mount of the namespace shows it. What
    // is on the same device belongs to this test's own folder.
    let mounts = ask(&scratch, &[], "cat /proc/self/mountinfo");
    let device = |line: &str| line.split(' ').nth(2).map(str::to_owned);
    let host = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let root = host.lines().find(|line| line.split(' ').nth(4) == Some("/")).and_then(device);
    let seen: Vec<_> = mounts
        .lines()
        .filter(|line| device(line) == root)
        .filter(|line| !line.split(' ').nth(3).is_some_and(|root| root.contains(scratch.mark())))
        .collect();
    assert!(seen.is_empty(), "the host's root device: {seen:#?}");
}

#[test]
fn host_processes_are_out_of_sight() {
    let Some(scratch) = shell("processes") else { return };
    let mut outside = scratch.command("/bin/sleep".as_ref()).arg("600").spawn().unwrap();
    let script = "echo $$; for p in /proc/[0-9]*; do echo ${p#/proc/}; done";
    let inside = ask(&scratch, &[], script);
    let reach = format!("kill -0 {} 2>/dev/null && echo reached; true", outside.id());
    let reached = ask(&scratch, &[], &reach);
    outside.kill().unwrap();
    outside.wait().unwrap();
    assert_eq!(inside, "1\n1");
    assert_eq!(reached, "");
}

#[test]
fn host_network_is_out_of_reach() {
    let Some(scratch) = shell("network") else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!("(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached; true");
    assert_eq!(ask(&scratch, &[], &connect), "");
    assert_eq!(ask(&scratch, &["--net", "host"], &connect), "reached");
    // Only loopback, and it is up: an address that nobody listens on refuses at once.
    let interfaces = "while read name rest; do echo $name; done < /proc/net/dev";
    assert_eq!(ask(&scratch, &[], interfaces), "Inter-|\nface\nlo:");
    let flags = "cat /sys/class/net/lo/flags; ls /sys/class/net";
    assert_eq!(ask(&scratch, &[], flags), "0x9\nlo");
    // Abstract sockets belong to the network namespace as well.
    assert_eq!(ask(&scratch, &[], "cat /proc/net/unix | { read; cat; }"), "");
}

#[test]
fn host_name_is_the_containers_own() {
    let Some(scratch) = shell("hostname") else { return };
    let outside = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = "cat /proc/sys/kernel/hostname; uname -n";
    let inside = ask(&scratch, &[], name);
    assert_ne!(inside.lines().next(), Some(outside.trim_end()));
    assert_eq!(ask(&scratch, &["--hostname", "boat"], name), "boat\nboat");
    let rename = "echo ship 2>/dev/null > /proc/sys/kernel/hostname || echo refused";
    assert_eq!(ask(&scratch, &[], &format!("({rename}) 2>/dev/null")), "refused");
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), outside);
}

#[test]
fn host_shared_memory_is_out_of_sight() {
    let (Some(ipcmk), Some(ipcrm)) = (require::program("ipcmk"), require::program("ipcrm")) else {
        return;
    };
    let Some(scratch) = shell("ipc") else { return };
    let made = run(Command::new(ipcmk).args(["--shmem", "4096"])).ok().text();
    let id = made.rsplit(' ').next().unwrap().to_owned();
    let list = "{ read; cat; } < /proc/sysvipc/shm";
    let inside = ask(&scratch, &[], list);
    let outside = run(Command::new("bash").args(["-c", list])).ok().text();
    run(Command::new(ipcrm).args(["--shmem-id", &id])).ok();
    assert!(outside.contains(&id), "{outside}");
    assert_eq!(inside, "");
}

/// Script and answer; each script ends with status 0. `why COMMAND` prints the reason of its failure.
const CLOSED: &[(&str, &str)] = &[
    // Masked: Docker's list, as far as this kernel has the files and folders.
    (
        "for f in kcore keys timer_list latency_stats sched_debug; do
             (head -c 1 /proc/$f) 2>/dev/null
         done; true",
        "",
    ),
    ("for d in /sys/firmware /proc/acpi /proc/scsi; do [ -d $d ] && ls -A $d; done; true", ""),
    // Devices: the default ones are there, and work; others cannot be opened.
    ("head -c 3 /dev/zero | tr '\\0' z; echo lost > /dev/null; head -c 1 /dev/null", "zzz"),
    (
        "stat -c %t:%T /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty | tr '\\n' ' '",
        "1:3 1:5 1:7 1:8 1:9 5:0 ",
    ),
    ("why mknod /tmp/zero c 1 5 '&&' head -c 0 /tmp/zero", "Permission denied"),
    ("why mknod /dev/memory c 1 1 '&&' head -c 0 /dev/memory", "Permission denied"),
    // Privileges: Docker's default capabilities, none to inherit; no new ones; a filter.
    (
        "while read k v; do
             case $k in Cap*|NoNew*|Seccomp:) echo $k$v;; esac
         done < /proc/self/status",
        "CapInh:0000000000000000\nCapPrm:00000000a80425fb\nCapEff:00000000a80425fb\n\
         CapBnd:00000000a80425fb\nCapAmb:0000000000000000\nNoNewPrivs:1\nSeccomp:2",
    ),
    // No descriptor but the three, and the one that lists them.
    ("ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3 "),
    ("readlink /proc/self/exe; readlink /proc/1/cwd", "/usr/bin/readlink\n/"),
];

/// Files that root can write to on the host, if its kernel has them.
const READ_ONLY: &[&str] = &[
    "/proc/sysrq-trigger",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/kernel/core_pattern",
    "/proc/irq/default_smp_affinity",
    "/sys/kernel/profiling",
    "/sys/kernel/mm/ksm/run",
];

#[test]
fn host_settings_are_read_only() {
    let Some(scratch) = shell("settings") else { return };
    let there: Vec<_> = READ_ONLY.iter().filter(|path| Path::new(path).exists()).collect();
    assert!(there.len() > 1, "{there:?}");
    for path in there {
        // Opening is enough: nothing is written, should it succeed.
        let script = format!("e=$( {{ : >> {path}; }} 2>&1 ); echo \"${{e##*: }}\"");
        assert_eq!(ask(&scratch, &[], &script), "Read-only file system", "{path}");
    }
}

#[test]
fn closed_by_default() {
    let Some(scratch) = shell("closed") else { return };
    let why = "why() { local e=$( { eval \"$@\"; } 2>&1 ); echo \"${e##*: }\"; }";
    for (script, answer) in CLOSED {
        assert_eq!(ask(&scratch, &[], &format!("{why}\n{script}")), *answer, "{script}");
    }
}

#[test]
fn each_kind_of_namespace_is_the_containers_own() {
    let Some(scratch) = shell("namespaces") else { return };
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let own = |kind: &str, options: &[&str]| {
        let inside = ask(&scratch, options, &format!("readlink /proc/self/ns/{kind}"));
        let outside = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        Path::new(&inside) != outside
    };
    for kind in kinds {
        assert!(own(kind, &[]), "{kind}");
    }
    assert!(!own("net", &["--net", "host"]));
    assert!(!own("user", &[]));
    assert!(own("user", &["--userns"]));
}

/// `/..` leads to whatever is mounted on top of the root; that was once the unpacked image, writable,
/// with the host's root below it.
#[test]
fn nothing_is_mounted_on_top_of_the_root() {
    let Some(scratch) = shell("above") else { return };
    let look = "cut -d' ' -f5 /proc/self/mountinfo | grep -cx /; echo x 2>/dev/null > /../tmp/x
                stat -c %d:%i / /.. | uniq | wc -l";
    for options in ["", "--userns", "--read-only", "--userns --read-only", "--userns --init --tty"]
    {
        let options: Vec<&str> = options.split_ascii_whitespace().collect();
        assert_eq!(ask(&scratch, &options, look).replace('\r', ""), "1\n1", "{options:?}");
    }
    assert_eq!(ask(&scratch, &["--read-only"], "ls -A /tmp"), "", "the image itself was written");
}

#[test]
fn root_of_a_user_namespace_is_nobody_outside() {
    let Some(scratch) = shell("userns") else { return };
    let secret = scratch.file("secret", "of root\n");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let volume = format!("{}:/secret", secret.display());
    let read = "id -u; cat /secret 2>/dev/null; true";
    assert_eq!(ask(&scratch, &["--volume", &volume], read), "0\nof root");
    assert_eq!(ask(&scratch, &["--userns", "--volume", &volume], read), "0");
}
