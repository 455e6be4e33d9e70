//! Namespaces: new ones, the host's, and existing ones of every kind.

use std::fs;

use launcher::host::{Host, Kernel};
use serde_json::{Value, json};

use crate::{Bench, text};

const NAMES: [(&str, &str); 8] = [
    ("user", "user"),
    ("pid", "pid"),
    ("mount", "mnt"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("network", "net"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

/// Which namespaces the process `pid` is in.
fn of(pid: &str) -> Vec<(&'static str, String)> {
    let link =
        |file: &str| fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap().display().to_string();
    NAMES.iter().map(|(kind, file)| (*kind, link(file))).collect()
}

fn list(kinds: &[(&str, Option<String>)]) -> Value {
    let one = |(kind, path): &(&str, Option<String>)| match path {
        Some(path) => json!({ "type": kind, "path": path }),
        None => json!({ "type": kind }),
    };
    json!({ "linux": { "namespaces": kinds.iter().map(one).collect::<Vec<_>>() } })
}

fn with_maps(mut changes: Value) -> Value {
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
    changes["linux"]["uidMappings"] = map.clone();
    changes["linux"]["gidMappings"] = map;
    changes
}

/// A container that is created, and deleted in the end.
fn created(bench: &Bench, changes: &Value) -> (String, i32) {
    bench.write("exec sleep 1000", changes);
    let id = bench.id();
    let pid = bench.create(&id);
    (id, pid)
}

fn delete(bench: &Bench, ids: &[&str]) {
    for id in ids {
        bench.paddle(&["delete", "--force", id]).ok();
    }
}

/// With a second processor, the network's is made beside the launcher's work; with one, by the child's clone.
#[test]
fn the_network_is_new_and_loopback_up_on_any_number_of_processors() {
    let Some(bench) = Bench::new("processors") else { return };
    let ours = of("self");
    let script = "readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; mount -t sysfs sysfs /sys; cat /sys/class/net/lo/flags";
    bench.write(script, &json!({ "process": { "capabilities": {
        "bounding": ["CAP_SYS_ADMIN"], "effective": ["CAP_SYS_ADMIN"], "permitted": ["CAP_SYS_ADMIN"]
    }}}));
    let paddle = bench.scratch.path().join("bin/paddle");
    let (bundle, state) = (bench.bundle(), bench.scratch.state());
    for before in ["", "taskset --cpu-list 0"] {
        let call = format!(
            "{before} {} --root {} run --bundle {} {}",
            text(&paddle),
            text(&state),
            text(&bundle),
            bench.id()
        );
        let mut command = bench.scratch.command(std::path::Path::new("/bin/sh"));
        let output = bench.finish(command.args(["-c", &call])).ok();
        let [net, ipc, flags] = output.lines().collect::<Vec<_>>()[..] else { panic!("{output}") };
        for (kind, link) in [("network", net), ("ipc", ipc)] {
            assert!(!ours.contains(&(kind, link.to_owned())), "{before}: {kind}");
        }
        // IFF_UP and IFF_LOOPBACK.
        assert_eq!(flags, "0x9", "{before}");
    }
    bench.is_clean();
}

#[test]
fn what_is_listed_is_new_and_all_else_the_hosts() {
    let Some(bench) = Bench::new("newns") else { return };
    let ours = of("self");
    for new in [
        &["mount"][..],
        &["mount", "pid"],
        &["mount", "uts", "ipc"],
        &["mount", "network", "cgroup"],
        &["mount", "pid", "time"],
    ] {
        let kinds: Vec<_> = new.iter().map(|kind| (*kind, None)).collect();
        let (id, pid) = created(&bench, &list(&kinds));
        for ((kind, ours), (_, theirs)) in ours.iter().zip(of(&pid.to_string())) {
            assert_eq!(*ours == theirs, !new.contains(kind), "{kind} of {new:?}");
        }
        delete(&bench, &[&id]);
    }
    bench.is_clean();
}

#[test]
fn existing_namespaces_of_every_kind_are_joined() {
    let Some(bench) = Bench::new("joined") else { return };
    let all = ["mount", "pid", "ipc", "uts", "network", "cgroup", "time"].map(|kind| (kind, None));
    let (holder, pid) = created(&bench, &list(&all));
    bench.paddle(&["start", &holder]).ok();
    let theirs = of(&pid.to_string());
    let path = |kind: &str| {
        let file = NAMES.iter().find(|(name, _)| *name == kind).unwrap().1;
        Some(format!("/proc/{pid}/ns/{file}"))
    };
    for joined in [
        &["ipc"][..],
        &["network", "uts"],
        &["pid"],
        &["cgroup"],
        &["time"],
        &["pid", "ipc", "network", "uts", "time"],
    ] {
        let mut kinds: Vec<_> = joined.iter().map(|kind| (*kind, path(kind))).collect();
        kinds.push(("mount", None));
        let (id, pid) = created(&bench, &list(&kinds));
        for ((kind, theirs), (_, found)) in theirs.iter().zip(of(&pid.to_string())) {
            let shared = joined.contains(kind) || *kind == "user";
            assert_eq!(*theirs == found, shared, "{kind} of {joined:?}");
        }
        bench.paddle(&["start", &id]).ok();
        assert_eq!(bench.status(&id), "running", "{joined:?}");
        // Process 1 of a namespace is another's: its end is not the end of what was joined.
        delete(&bench, &[&id]);
        assert_eq!(bench.status(&holder), "running", "{joined:?}");
    }
    delete(&bench, &[&holder]);
    bench.is_clean();
}

/// One in which the bundle is: that of another container has left the host's files behind.
#[test]
fn in_an_existing_mount_namespace_a_container_has_a_root_of_its_own() {
    let Some(bench) = Bench::new("mountns") else { return };
    let Some(unshare) = tests::require::program("unshare") else { return };
    let mut command = bench.scratch.command(&unshare);
    command.args(["--mount", "--propagation", "private", "sleep", "1000"]);
    let mut holder = command.spawn().unwrap();
    let pid = holder.id().to_string();
    assert!(crate::within_seconds(20, || of(&pid)[2] != of("self")[2]));
    let joined = [("mount", Some(format!("/proc/{pid}/ns/mnt"))), ("pid", None)];
    let (id, first) = created(&bench, &list(&joined));
    assert_eq!(of(&first.to_string())[2], of(&pid)[2]);
    bench.paddle(&["start", &id]).ok();
    assert_eq!(bench.status(&id), "running");
    assert_eq!(bench.paddle(&["exec", &id, "ls", "/"]).ok(), "bin\ndev\netc\nproc\nsys\ntmp\n");
    delete(&bench, &[&id]);
    assert_eq!(fs::read_link(format!("/proc/{pid}/root")).unwrap().as_os_str(), "/");
    holder.kill().unwrap();
    holder.wait().unwrap();
    bench.is_clean();
}

#[test]
fn a_user_namespace_is_new_or_joined_with_what_belongs_to_it() {
    let Some(bench) = Bench::new("userns") else { return };
    let kinds = ["user", "mount", "pid", "ipc", "uts", "network"].map(|kind| (kind, None));
    let (holder, pid) = created(&bench, &with_maps(list(&kinds)));
    let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t100000\t100000"), "{status}");
    bench.paddle(&["start", &holder]).ok();
    let theirs = of(&pid.to_string());
    let path = |kind: &str| {
        let file = NAMES.iter().find(|(name, _)| *name == kind).unwrap().1;
        Some(format!("/proc/{pid}/ns/{file}"))
    };
    for joined in [&["user", "network", "ipc"][..], &["user", "pid"], &["user"]] {
        let mut kinds: Vec<_> = joined.iter().map(|kind| (*kind, path(kind))).collect();
        for kind in ["mount", "pid", "uts"] {
            if !joined.contains(&kind) {
                kinds.push((kind, None));
            }
        }
        let (id, pid) = created(&bench, &list(&kinds));
        for ((kind, theirs), (_, found)) in theirs.iter().zip(of(&pid.to_string())) {
            let host = !joined.contains(kind) && !["mount", "pid", "uts"].contains(kind);
            let same = joined.contains(kind) || (host && found == *theirs);
            assert_eq!(*theirs == found, same, "{kind} of {joined:?}");
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("Uid:\t100000\t100000"), "{status}");
        bench.paddle(&["start", &id]).ok();
        assert_eq!(bench.status(&id), "running", "{joined:?}");
        delete(&bench, &[&id]);
    }
    delete(&bench, &[&holder]);
    bench.is_clean();
}

#[test]
fn a_new_user_namespace_goes_with_what_belongs_to_the_host() {
    let Some(bench) = Bench::new("mixed") else { return };
    let all = ["mount", "pid", "ipc", "network"].map(|kind| (kind, None));
    let (holder, pid) = created(&bench, &list(&all));
    bench.paddle(&["start", &holder]).ok();
    let kinds = [
        ("user", None),
        ("mount", None),
        ("pid", None),
        ("network", Some(format!("/proc/{pid}/ns/net"))),
        ("ipc", Some(format!("/proc/{pid}/ns/ipc"))),
    ];
    let (id, own) = created(&bench, &with_maps(list(&kinds)));
    let (theirs, found) = (of(&pid.to_string()), of(&own.to_string()));
    for ((kind, theirs), (_, found)) in theirs.iter().zip(&found) {
        if ["network", "ipc"].contains(kind) {
            assert_eq!(theirs, found, "{kind}");
        }
    }
    assert_ne!(found[0].1, of("self")[0].1, "its user namespace is its own");
    bench.paddle(&["start", &id]).ok();
    delete(&bench, &[&id, &holder]);
    bench.is_clean();
}

#[test]
fn a_joined_user_namespace_goes_with_what_belongs_to_the_host() {
    let Some(bench) = Bench::new("mixedjoin") else { return };
    let new = |kinds: &[&'static str]| kinds.iter().map(|kind| (*kind, None)).collect::<Vec<_>>();
    let (users, first) = created(&bench, &with_maps(list(&new(&["user", "mount", "ipc"]))));
    let (hosts, second) = created(&bench, &list(&new(&["mount", "pid", "network"])));
    let kinds = [
        ("user", Some(format!("/proc/{first}/ns/user"))),
        ("ipc", Some(format!("/proc/{first}/ns/ipc"))),
        ("network", Some(format!("/proc/{second}/ns/net"))),
        ("mount", None),
        ("pid", None),
    ];
    let (id, own) = created(&bench, &list(&kinds));
    let [first, second, own] = [first, second, own].map(|pid| of(&pid.to_string()));
    for (index, (kind, found)) in own.iter().enumerate() {
        match *kind {
            "user" | "ipc" => assert_eq!(*found, first[index].1, "{kind}"),
            "network" => assert_eq!(*found, second[index].1, "{kind}"),
            _ => {}
        }
    }
    let entered = bench.paddle(&["exec", &id, "readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(entered.trim_end(), own.iter().find(|(kind, _)| *kind == "network").unwrap().1);
    delete(&bench, &[&id, &users, &hosts]);
    bench.is_clean();
}

#[test]
fn the_clocks_of_a_time_namespace_differ() {
    let Some(bench) = Bench::new("clocks") else { return };
    let kinds = ["mount", "pid", "time"].map(|kind| (kind, None));
    let mut changes = list(&kinds);
    changes["linux"]["timeOffsets"] =
        json!({ "monotonic": { "secs": 7, "nanosecs": 5 }, "boottime": { "secs": 1_000_000 } });
    let script = "cat /proc/self/timens_offsets; cat /proc/uptime";
    let said = bench.output(script, &changes);
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[..6], ["monotonic", "7", "5", "boottime", "1000000", "0"], "{said}");
    let uptime: f64 = words[6].parse().unwrap();
    assert!(uptime >= 1_000_000.0, "{said}");
    bench.is_clean();
}

#[test]
fn names_are_set_in_new_and_joined_uts_namespaces() {
    let Some(bench) = Bench::new("names") else { return };
    let changes = json!({ "hostname": "here", "domainname": "there" });
    let said = bench.output("hostname; cat /proc/sys/kernel/domainname", &changes);
    assert_eq!(said, "here\nthere");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(bench.output("hostname", &json!({})), host.trim(), "none given: as it was");
    bench.is_clean();
}

#[test]
fn without_a_namespace_for_mounts_nothing_is_left_on_the_host() {
    let Some(bench) = Bench::new("hostmnt") else { return };
    let changes = list(&[("pid", None), ("uts", None)]);
    if Host::probe().unwrap().kernel() < Kernel::new(6, 15) {
        bench.write("echo here", &changes);
        let bundle = bench.bundle();
        let refused = bench.paddle(&["run", "--bundle", text(&bundle), &bench.id()]);
        refused.fails(1, "mounting without a mount namespace, which came with Linux 6.15");
        return bench.is_clean();
    }
    assert_eq!(bench.output("echo here; ls /", &changes).lines().next(), Some("here"));
    bench.is_clean();
    let (id, _) = created(&bench, &changes);
    bench.paddle(&["start", &id]).ok();
    let bundle = bench.bundle();
    assert!(text(&bundle).starts_with('/'));
    delete(&bench, &[&id]);
    bench.is_clean();
}
