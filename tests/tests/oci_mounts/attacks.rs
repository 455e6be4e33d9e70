//! Attacks on runtimes that worked once, against bundles: the root file system is hostile, the configuration is not.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tests::require;

use crate::bundle::{Bundle, bind, mount};

/// Makes `/name` of the root a link.
fn link(bundle: &Bundle, name: &str, target: &str) {
    let path = bundle.root().join(name);
    fs::remove_dir_all(&path).ok();
    fs::remove_file(&path).ok();
    symlink(target.replace("%HOST", bundle.host().to_str().unwrap()), path).unwrap();
}

/// CVE-2019-16884, CVE-2019-19921, CVE-2023-27561: with `/proc` or `/sys` a link, file systems of the kernel go where the image chooses.
#[test]
fn links_do_not_choose_where_the_kernels_file_systems_go() {
    if !require::root() {
        return;
    }
    for (name, kind) in [("proc", "proc"), ("sys", "sysfs")] {
        for target in ["/", "/tmp", "tmp", "/proc/self/fd/3", "%HOST", "../../../../%HOST"] {
            let bundle = Bundle::new("kernels");
            link(&bundle, name, target);
            let message = bundle.refusal(&mount(&format!("/{name}"), kind, kind, ""));
            // Callers look for these words.
            assert!(
                message.contains("must be mounted on ordinary directory"),
                "/{name} -> {target}: {message}"
            );
        }
    }
}

/// CVE-2021-30465, CVE-2024-45310: destinations through links, in a volume that another container can write, reach the host.
#[test]
fn destinations_stay_inside() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("inside");
    fs::create_dir(bundle.host().join("victim")).unwrap();
    fs::create_dir(bundle.host().join("volume")).unwrap();
    fs::write(bundle.host().join("volume/file"), "").unwrap();
    for target in [
        "%HOST/victim",
        "../../../../../../../../%HOST/victim",
        "/proc/self/root/%HOST/victim",
        "/proc/1/root",
    ] {
        let target = target.replace("%HOST", bundle.host().to_str().unwrap());
        let within = bundle.host().join("volume/link");
        fs::remove_file(&within).ok();
        symlink(&target, &within).unwrap();
        let changes = json!({ "mounts": [
            { "destination": "/data", "type": "bind", "source": "%HOST/volume", "options": ["rbind"] },
            { "destination": "/data/link/deep", "type": "tmpfs", "source": "tmpfs" },
            { "destination": "/data/link/file", "type": "bind", "source": "%HOST/volume/file", "options": ["bind"] },
            { "destination": "/data/link/group", "type": "cgroup", "source": "cgroup", "options": ["ro"] },
        ], "linux": { "devices": [
            { "path": "/data/link/node", "type": "c", "major": 1, "minor": 3 },
        ], "maskedPaths": ["/data/link"], "readonlyPaths": ["/data/link"] }, "process": { "cwd": "/data/link/cwd" } });
        let ran = bundle.run(&changes, &["write=/data/link/written", "write=written"]);
        let made: Vec<_> = fs::read_dir(bundle.host().join("victim")).unwrap().collect();
        assert!(made.is_empty(), "{target} reached the host: {made:?} {ran:?}");
        assert!(ran.status == Some(125) || ran.status == Some(0), "{target}: {ran:?}");
    }
}

/// The same while somebody exchanges a folder and a link all the time.
#[test]
fn destinations_stay_inside_while_links_are_exchanged() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, Ordering};
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("race");
    let (host, victim) = (bundle.host(), bundle.host().join("victim"));
    fs::create_dir_all(victim.join("deep")).unwrap();
    fs::create_dir_all(host.join("volume/one/deep")).unwrap();
    symlink(&victim, host.join("volume/two")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (one, two) = (host.join("volume/one"), host.join("volume/two"));
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &two, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let changes = json!({ "mounts": [
            { "destination": "/data", "type": "bind", "source": "%HOST/volume", "options": ["rbind", "rshared"] },
            { "destination": "/data/one/deep", "type": "tmpfs", "source": "tmpfs" },
            { "destination": "/data/one/new/file", "type": "bind", "source": "%HOST/volume", "options": ["bind"] },
        ], "linux": { "devices": [{ "path": "/data/one/node", "type": "p" }], "maskedPaths": ["/data/one"] } });
        let ran: Vec<_> = (0..15)
            .map(|_| {
                bundle
                    .plan(&changes, &["write=/data/one/deep/written"])
                    .map(|plan| bundle.run_plan(&plan))
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        assert!(
            ran.iter().all(|one| one.as_ref().is_ok_and(|one| one.status.is_some())),
            "{ran:?}"
        );
    });
    let made: Vec<_> = walkdir::WalkDir::new(&victim)
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .collect();
    assert_eq!(made, [victim.clone(), victim.join("deep")]);
}

/// CVE-2025-31133: another file in the place of `/dev/null` is what would be bound over masked paths.
#[test]
fn masks_are_the_hosts_null_and_nothing_of_the_image() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("null");
    for target in ["/proc/sys/kernel/core_pattern", "/secret", "%HOST"] {
        fs::remove_file(bundle.root().join("dev/null")).ok();
        link(&bundle, "dev/null", target);
        fs::write(bundle.root().join("secret"), "secret\n").unwrap();
        let changes = json!({ "linux": { "maskedPaths": ["/secret", "/proc/keys", "/etc", "/nowhere", "/secret/nothing"] } });
        let ran = bundle.run(
            &changes,
            &["stat=/secret", "stat=/proc/keys", "cat=/secret", "ls=/etc", "write=/etc/x"],
        );
        if ran.status == Some(0) {
            assert_eq!(ran.stdout, "20666 0:0 1:3\n20666 0:0 1:3\n\nEROFS\n", "{target}: {ran:?}");
        } else {
            assert!(ran.stderr.contains("`/dev/null`"), "{target}: {ran:?}");
        }
    }
}

/// CVE-2025-52565: `/dev/console` as a link, so that the terminal goes where something else is about to be hidden or made read-only.
#[test]
fn a_console_does_not_lay_open_what_is_covered() {
    if !require::root() {
        return;
    }
    for target in [
        "/proc/keys",
        "/proc/sys/kernel/core_pattern",
        "/etc/file",
        "%HOST/file",
        "/proc/self/fd/1",
    ] {
        let bundle = Bundle::new("console");
        fs::write(bundle.host().join("file"), "untouched\n").unwrap();
        fs::write(bundle.root().join("etc/file"), "secret\n").unwrap();
        link(&bundle, "dev/console", target);
        let changes = json!({
            "process": { "terminal": true },
            "mounts": [{ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] }],
            "linux": { "maskedPaths": ["/proc/keys", "/etc/file"], "readonlyPaths": ["/proc/sys"] },
        });
        let ran = bundle.run(
            &changes,
            &["stat=/proc/keys", "stat=/etc/file", "write=/proc/sys/kernel/core_pattern", "tty"],
        );
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(125), ""), "{target}: {ran:?}");
        let expected = "cannot set up terminal `/dev/console`: the image has a link there";
        assert!(ran.stderr.contains(expected), "{target}: {ran:?}");
        fs::remove_file(bundle.root().join("dev/console")).unwrap();
        let ran = bundle.run(
            &changes,
            &["stat=/proc/keys", "stat=/etc/file", "write=/proc/sys/kernel/core_pattern", "tty"],
        );
        let expected = "20666 0:0 1:3\r\n20666 0:0 1:3\r\nEROFS\r\ntty /dev/pts/0\r\n";
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), expected), "{ran:?}");
        assert_eq!(fs::read_to_string(bundle.host().join("file")).unwrap(), "untouched\n");
    }
}

/// CVE-2019-16884: an image's volume at `/proc`, with files that only look like the kernel's.
#[test]
fn a_forged_proc_is_not_written_to() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("forged");
    let forged = bundle.host().join("proc/sys/net/ipv4");
    fs::create_dir_all(&forged).unwrap();
    fs::write(forged.join("ip_forward"), "untouched\n").unwrap();
    let mut changes = bind("/proc", "%HOST/proc", "rbind");
    changes["linux"] = json!({ "sysctl": { "net.ipv4.ip_forward": "1" } });
    // The real one is below; that is what is written to.
    bundle.check(&changes, &["cat=/proc/sys/net/ipv4/ip_forward"], "untouched\n");
    assert_eq!(fs::read_to_string(forged.join("ip_forward")).unwrap(), "untouched\n");
}

/// A path that is masked or read-only and that the image made a link is covered where it leads, inside; a loop is an error.
#[test]
fn covered_paths_are_covered_where_they_lead() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("covered");
    fs::create_dir_all(bundle.root().join("dir/sub")).unwrap();
    for file in ["dir/file", "dir/sub/file", "file"] {
        fs::write(bundle.root().join(file), "content\n").unwrap();
    }
    link(&bundle, "alias", "file");
    let covered = |key: &str, paths: &[&str]| -> Value { json!({ "linux": { key: paths } }) };
    // Those of the conformance suites, the order included: what is hidden already is passed over.
    let all = ["/dir", "/alias", "/dir/sub", "/dir/file", "/dir/sub/file", "relative"];
    bundle.check(
        &covered("maskedPaths", &all),
        &["ls=/dir", "cat=/file", "cat=/dir/file"],
        "\nENOENT\n",
    );
    bundle.check(
        &covered("readonlyPaths", &all),
        &["write=/dir/x", "write=/dir/file", "write=/file", "write=/dir/sub/x", "write=/y"],
        "EROFS\nEROFS\nEROFS\nEROFS\nok\n",
    );
    link(&bundle, "loop", "../loop");
    for key in ["maskedPaths", "readonlyPaths"] {
        let message = bundle.refusal(&covered(key, &["/loop"]));
        assert!(message.contains("`/loop`"), "{message}");
    }
    for kind in [
        rustix::fs::FileType::Fifo,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::FileType::BlockDevice,
    ] {
        let node = bundle.root().join("node");
        fs::remove_file(&node).ok();
        rustix::fs::mknodat(rustix::fs::CWD, &node, kind, 0o666.into(), 0).unwrap();
        bundle.check(&covered("maskedPaths", &["/node"]), &["stat=/node"], "20666 0:0 1:3\n");
        bundle.check(&covered("readonlyPaths", &["/node"]), &["flags=/node"], "ro\n");
    }
}

/// `readonlyPaths` hold for what is mounted below, too.
#[test]
fn nothing_below_a_read_only_path_is_written() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("sealed");
    let mut changes = mount("/tmp/deep", "tmpfs", "tmpfs", "");
    changes["linux"] = json!({ "readonlyPaths": ["/tmp"] });
    bundle.check(&changes, &["write=/tmp/x", "write=/tmp/deep/x"], "EROFS\nEROFS\n");
}

/// A file system in memory that starts with the image's files: no link of these leads the copier anywhere.
#[test]
fn nothing_of_the_host_is_copied_up() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("copier");
    fs::write(bundle.host().join("secret"), "secret\n").unwrap();
    fs::create_dir(bundle.root().join("data")).unwrap();
    link(&bundle, "data/file", "%HOST/secret");
    link(&bundle, "data/folder", "%HOST");
    let host = bundle.host().display().to_string();
    bundle.check(
        &mount("/data", "tmpfs", "tmpfs", "tmpcopyup"),
        &["cat=/data/file", "ls=/data/folder", "link=/data/folder"],
        &format!("ENOENT\nENOENT\n{host}\n"),
    );
    let mut deep = bundle.root().join("data");
    for _ in 0..150 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let message = bundle.refusal(&mount("/data", "tmpfs", "tmpfs", "tmpcopyup"));
    assert!(
        message.contains("cannot copy what is at `/data`: folders are nested too deep there"),
        "{message}"
    );
    fs::remove_dir_all(bundle.root().join("data/d")).unwrap();
    fs::write(bundle.root().join("data/large"), vec![b'x'; 1 << 20]).unwrap();
    let message = bundle.refusal(&mount("/data", "tmpfs", "tmpfs", "tmpcopyup size=64k"));
    assert!(message.contains("the file system in memory is too small"), "{message}");
}

/// R3: what a mount must not allow it never allows, not even while it is being made; and inside a user namespace it stays so.
#[test]
fn attributes_cannot_be_taken_back_from_a_nested_namespace() {
    if !require::root() {
        return;
    }
    let Some(busybox) = require::file("/bin/busybox") else { return };
    let bundle = Bundle::new("locked");
    fs::copy(&busybox, bundle.root().join("busybox")).unwrap();
    fs::create_dir(bundle.host().join("data")).unwrap();
    let mut plan = bundle.plan(&bind("/data", "%HOST/data", "rbind,ro"), &[]).unwrap();
    let script = "/busybox unshare -Ur -m /busybox mount -o remount,rw,bind /data";
    plan.process.argv = ["/busybox", "sh", "-c", script].map(str::to_owned).to_vec();
    let ran = bundle.run_plan(&plan);
    assert!(ran.status != Some(0) && ran.stderr.contains("denied"), "{ran:?}");
}
