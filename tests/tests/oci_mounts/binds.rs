//! Binds: copies of the host's mounts.

use launcher::host::{Host, Kernel};
use serde_json::json;
use tests::require;

use crate::bundle::{Bundle, bind, mount};

/// `%HOST/data` is a file system, and `%HOST/data/below` another on it.
const TWO: &str = "mkdir -p %HOST/data; mount -t tmpfs -o OPTIONS tmpfs %HOST/data; mkdir %HOST/data/below
    mount -t tmpfs tmpfs %HOST/data/below; echo top >%HOST/data/file; echo below >%HOST/data/below/file";

fn two(name: &'static str, options: &str) -> Bundle {
    Bundle::new(name).before(&TWO.replace("OPTIONS", options))
}

#[test]
fn a_bind_is_alone_or_with_all_below() {
    if !require::root() {
        return;
    }
    let bundle = two("alone", "nosuid");
    let questions = ["cat=/data/file", "cat=/data/below/file", "flags=/data"];
    bundle.check(&bind("/data", "%HOST/data", "bind"), &questions, "top\nENOENT\nrw,nosuid\n");
    bundle.check(&bind("/data", "%HOST/data", "rbind"), &questions, "top\nbelow\nrw,nosuid\n");
    // Engines write it in all of these ways.
    for (kind, options) in [("bind", ""), ("none", "rbind"), ("", "rbind"), ("tmpfs", "bind,rbind")]
    {
        bundle.check(
            &mount("/data", kind, "%HOST/data", options),
            &questions,
            "top\nbelow\nrw,nosuid\n",
        );
    }
}

/// Images have links to where their own files are made at boot (`/etc/resolv.conf` is one): what is missing there is made, inside.
#[test]
fn a_mount_point_is_made_where_a_link_leads() {
    if !require::root() {
        return;
    }
    for (links, destination, found) in [
        ("ln -s ../run/made/hosts %ROOT/etc/hosts", "/etc/hosts", "/run/made/hosts"),
        ("ln -s /run/made/hosts %ROOT/etc/hosts", "/etc/hosts", "/run/made/hosts"),
        ("ln -s ../../../../run %ROOT/etc/out", "/etc/out/a/b", "/run/a/b"),
        ("ln -s two %ROOT/etc/one; ln -s /run/x/../y/ %ROOT/etc/two", "/etc/one/z", "/run/y/z"),
        ("ln -s ../../nowhere %ROOT/etc/one; ln -s one/.. %ROOT/etc/two", "/etc/two/z", "/z"),
    ] {
        let bundle = Bundle::new("links").before(&format!(
            "mkdir -p %ROOT/etc; rm -rf %ROOT/etc/* %ROOT/run %ROOT/nowhere; echo shown >%HOST/file; {links}"
        ));
        bundle.check(
            &bind(destination, "%HOST/file", "bind"),
            &[&format!("cat={found}")],
            "shown\n",
        );
    }
    let bundle = Bundle::new("loop").before(
        "mkdir -p %ROOT/etc; ln -s two %ROOT/etc/one; ln -s one %ROOT/etc/two; echo >%HOST/file",
    );
    let ran = bundle.run(&bind("/etc/one/x", "%HOST/file", "bind"), &[]);
    assert!(ran.stderr.contains("in a loop"), "{ran:?}");
}

/// What is not named stays as the host has it, as with mount(8).
#[test]
fn attributes_are_of_the_mount_or_of_all_below() {
    if !require::root() {
        return;
    }
    let bundle = two("below", "nosuid,noexec,noatime");
    for (options, top, below) in [
        ("rbind", "rw,nosuid,noexec,noatime", "rw,relatime"),
        ("rbind ro", "ro,nosuid,noexec,noatime", "rw,relatime"),
        ("rbind rro", "ro,nosuid,noexec,noatime", "ro,relatime"),
        ("rbind rro rw", "ro,nosuid,noexec,noatime", "ro,relatime"),
        ("rbind suid exec relatime", "rw,relatime", "rw,relatime"),
        ("rbind rnodev rsuid rexec rnoatime", "rw,nodev,noatime", "rw,nodev,noatime"),
        ("rbind rnodiratime rstrictatime", "rw,nosuid,noexec,nodiratime", "rw,nodiratime"),
        ("rbind rnosymfollow", "rw,nosuid,noexec,noatime,nosymfollow", "rw,relatime,nosymfollow"),
        // Options of a file system mean nothing here.
        ("rbind mode=755 size=1k sync", "rw,nosuid,noexec,noatime", "rw,relatime"),
    ] {
        let changes = bind("/data", "%HOST/data", options);
        assert_eq!(bundle.line(&changes, "/data").options, top, "{options}");
        assert_eq!(bundle.line(&changes, "/data/below").options, below, "{options}");
    }
    bundle.check(
        &bind("/data", "%HOST/data", "rbind,rro"),
        &["write=/data/x", "write=/data/below/x"],
        "EROFS\nEROFS\n",
    );
}

#[test]
fn files_folders_and_relative_sources_are_bound() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::bare("files");
    std::fs::write(bundle.host().join("file"), "content\n").unwrap();
    std::fs::create_dir(bundle.host().join("folder")).unwrap();
    std::os::unix::fs::symlink("file", bundle.host().join("link")).unwrap();
    let changes = json!({ "mounts": [
        { "destination": "/made/for/file", "type": "bind", "source": "%HOST/file", "options": ["bind"] },
        { "destination": "/made/for/folder", "type": "bind", "source": "%HOST/folder", "options": ["rbind", "ro"] },
        // On top of an earlier one.
        { "destination": "/made/for/folder/deep", "type": "tmpfs", "source": "tmpfs" },
        { "destination": "/link", "type": "bind", "source": "%HOST/link", "options": ["bind"] },
        // From the bundle, and from the root.
        { "destination": "relative", "type": "bind", "source": "host/file", "options": ["bind"] },
    ] });
    let message = bundle.refusal(&changes);
    assert!(
        message.contains("cannot make mount point `/made/for/folder/deep`: it is missing, and cannot be made on what is read-only"),
        "{message}"
    );
    std::fs::create_dir(bundle.host().join("folder/deep")).unwrap();
    bundle.check(
        &changes,
        &[
            "cat=/made/for/file",
            "cat=/link",
            "cat=/relative",
            "write=/made/for/folder/x",
            "write=/made/for/folder/deep/x",
        ],
        "content\ncontent\ncontent\nEROFS\nok\n",
    );
    let message = bundle.refusal(&bind("/x", "%HOST/nowhere", "bind"));
    assert!(
        message.contains("cannot open `TEST/host/nowhere`: No such file or directory"),
        "{message}"
    );
}

/// Suites compare the order of a mount table with that of the specification.
#[test]
fn the_mount_table_is_in_the_order_of_the_specification() {
    if !require::root() {
        return;
    }
    for root in ["rslave", "private", "shared"] {
        let bundle = two("order", "nosuid");
        let mut changes = json!({ "mounts": [
            { "destination": "/one", "type": "bind", "source": "%HOST/data", "options": ["rbind"] },
            { "destination": "/two", "type": "tmpfs", "source": "tmpfs" },
            { "destination": "/three", "type": "bind", "source": "%HOST/data", "options": ["bind", "shared"] },
            { "destination": "/four", "type": "tmpfs", "source": "tmpfs" },
        ] });
        changes["linux"] = json!({ "rootfsPropagation": root });
        let ran = bundle.run(&changes, &["cat=/proc/self/mountinfo"]);
        let all = ran.stdout.lines().filter_map(crate::bundle::Line::parse).map(|line| line.at);
        let all: Vec<String> = all.filter(|at| at.len() > 1 && !at.starts_with("/proc")).collect();
        if root == "shared" && Host::probe().unwrap().kernel() < Kernel::new(6, 15) {
            continue;
        }
        assert_eq!(all, ["/one", "/one/below", "/two", "/three", "/four"], "{root}: {ran:?}");
    }
}

/// What a bind is to the mount that it is a copy of: by its own words, and by `rootfsPropagation`.
#[test]
fn a_bind_travels_as_it_and_the_root_are_told() {
    if !require::root() {
        return;
    }
    let bundle = two("relations", "nosuid");
    for (root, options, top, below) in [
        ("", "rbind", "slave", "slave"),
        ("", "rbind rprivate", "", ""),
        ("", "rbind private", "", "slave"),
        ("", "rbind rslave", "slave", "slave"),
        ("", "rbind rshared", "shared slave", "shared slave"),
        ("", "rbind shared", "shared slave", "slave"),
        ("slave", "rbind", "slave", "slave"),
        ("rslave", "rbind rprivate", "", ""),
        ("private", "rbind", "", ""),
        ("rprivate", "rbind rslave", "", ""),
        ("private", "rbind rshared", "shared", "shared"),
        ("shared", "rbind", "shared", "shared"),
        ("rshared", "rbind rshared", "shared", "shared"),
        ("shared", "rbind rslave", "slave", "slave"),
        ("shared", "rbind rprivate", "", ""),
        ("shared", "bind unbindable", "unbindable", "-"),
    ] {
        let mut changes = bind("/data", "%HOST/data", options);
        if !root.is_empty() {
            changes["linux"] = json!({ "rootfsPropagation": root });
        }
        // With a mount on it that the root makes shared in the end.
        let expected = if root == "rshared" && top.is_empty() { "shared" } else { top };
        assert_eq!(bundle.line(&changes, "/data").travels, expected, "{root} {options}");
        if below != "-" {
            assert_eq!(bundle.line(&changes, "/data/below").travels, below, "{root} {options}");
        }
    }
}

#[test]
fn mounts_of_the_host_travel_in() {
    if !require::root() {
        return;
    }
    let late = "while ! [ -e %HOST/data/ready ]; do sleep 0.01; done
        mkdir %HOST/data/late; mount -t tmpfs tmpfs %HOST/data/late; touch %HOST/data/late/seen %HOST/data/go";
    let questions = ["write=/data/ready", "wait=/data/go", "ls=/data/late"];
    for (options, expected) in
        [("rbind rslave", "seen "), ("rbind", "seen "), ("rbind rprivate", "")]
    {
        let bundle = two("in", "nosuid").beside(late);
        bundle.check(
            &bind("/data", "%HOST/data", options),
            &questions,
            &format!("ok\nthere\n{expected}\n"),
        );
    }
}

#[test]
fn mounts_of_the_container_travel_out_only_where_both_agree() {
    if !require::root() {
        return;
    }
    for (root, options, expected) in [
        ("rshared", "rbind rshared", "out\n"),
        ("shared", "rbind shared", "out\n"),
        ("shared", "rbind rslave", "in\n"),
        ("", "rbind rshared", "in\n"),
        ("rslave", "rbind rshared", "in\n"),
        ("private", "rbind rshared", "in\n"),
    ] {
        let bundle = two("out", "nosuid")
            .after("if grep -q ' %HOST/data/below/made ' /proc/self/mountinfo; then echo out; else echo in; fi");
        let mut changes = bind("/data", "%HOST/data", options);
        if !root.is_empty() {
            changes["linux"] = json!({ "rootfsPropagation": root });
        }
        let questions = ["mkdir=/data/below/made", "mount=/data/below/made"];
        bundle.check(&changes, &questions, &format!("ok\nok\n{expected}"));
    }
}

/// With a user namespace the copies are made by the launcher, whose folders root inside may not pass through.
#[test]
fn in_a_user_namespace_private_folders_are_bound_too() {
    if !require::root() {
        return;
    }
    let bundle = two("closed", "nosuid,mode=755")
        .before(&format!("{}; chmod 700 %HOST", TWO.replace("OPTIONS", "nosuid,mode=755")));
    for entry in walkdir::WalkDir::new(bundle.root()) {
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(200_000), Some(200_000)).unwrap();
    }
    let mut changes = bind("/data", "%HOST/data", "rbind rro");
    changes["linux"] = user_namespace();
    bundle.check(
        &changes,
        &[
            "cat=/data/below/file",
            "write=/data/below/x",
            "stat=/data/file",
            "write=/x",
            "stat=/dev/null",
        ],
        "below\nEROFS\n100644 65534:65534 0:0\nok\n20666 65534:65534 1:3\n",
    );
    std::fs::set_permissions(bundle.host(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
}

/// A user namespace whose root is user 200000 outside.
pub fn user_namespace() -> serde_json::Value {
    let map = json!([{ "containerID": 0, "hostID": 200_000, "size": 65_536 }]);
    json!({
        "namespaces": [
            { "type": "user" }, { "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" },
            { "type": "network" }, { "type": "cgroup" },
        ],
        "uidMappings": map, "gidMappings": map,
    })
}
