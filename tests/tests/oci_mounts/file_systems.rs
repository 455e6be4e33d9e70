//! New instances of file systems.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use serde_json::json;
use tests::require;

use crate::bundle::{Bundle, mount};

#[test]
fn words_of_any_file_system_become_attributes() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("words");
    for (options, of_mount, of_superblock) in [
        ("", "rw,relatime", "rw"),
        ("nosuid nodev noexec", "rw,nosuid,nodev,noexec,relatime", "rw"),
        ("noexec exec nosuid suid", "rw,relatime", "rw"),
        ("ro", "ro,relatime", "rw"),
        ("ro rw", "rw,relatime", "rw"),
        ("noatime", "rw,noatime", "rw"),
        ("strictatime", "rw", "rw"),
        ("nodiratime nostrictatime", "rw,nodiratime,relatime", "rw"),
        ("nosymfollow", "rw,relatime,nosymfollow", "rw"),
        ("sync dirsync", "rw,relatime", "rw,sync,dirsync"),
        ("lazytime silent iversion defaults", "rw,relatime", "rw,lazytime"),
        ("rro rnosuid rstrictatime", "ro,nosuid", "rw"),
        ("size=64k,mode=700", "rw,relatime", "rw,size=64k,mode=700"),
    ] {
        let line = bundle.line(&mount("/data", "tmpfs", "source", options), "/data");
        assert_eq!(line.options, of_mount, "{options}");
        assert_eq!((line.kind.as_str(), line.source.as_str()), ("tmpfs", "source"));
        let wanted = |word: &&str| !line.superblock.split(',').any(|there| there == *word);
        assert_eq!(of_superblock.split(',').find(wanted), None, "{options}: {line:?}");
    }
}

#[test]
fn mounts_travel_as_they_are_told() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("travel");
    for (options, expected) in [
        ("", ""),
        ("private", ""),
        ("rslave", ""),
        ("shared", "shared"),
        ("rshared", "shared"),
        ("unbindable", "unbindable"),
        ("runbindable private", ""),
    ] {
        let line = bundle.line(&mount("/data", "tmpfs", "tmpfs", options), "/data");
        assert_eq!(line.travels, expected, "{options}");
    }
}

#[test]
fn a_file_system_in_memory_keeps_the_permissions_of_its_folder() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("permissions");
    let folder = bundle.root().join("tmp");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o1750)).unwrap();
    bundle.check(&mount("/tmp", "tmpfs", "tmpfs", ""), &["stat=/tmp"], "41750 0:0 0:0\n");
    bundle.check(&mount("/tmp", "tmpfs", "tmpfs", "mode=0700"), &["stat=/tmp"], "40700 0:0 0:0\n");
    // What is made for it says nothing.
    bundle.check(&mount("/new", "tmpfs", "tmpfs", ""), &["stat=/new"], "41777 0:0 0:0\n");
}

#[test]
fn what_is_mounted_read_only_in_memory_still_takes_mount_points() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("late");
    let changes = json!({ "mounts": [
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "nosuid"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] },
        { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["size=1m"] },
    ] });
    bundle.check(
        &changes,
        &[
            "flags=/dev",
            "write=/dev/x",
            "write=/dev/shm/x",
            "write=/dev/null",
            "link=/dev/fd",
            "stat=/dev/zero",
        ],
        "ro,nosuid\nEROFS\nok\nok\n/proc/self/fd\n20666 0:0 1:5\n",
    );
}

#[test]
fn a_file_system_says_itself_what_it_dislikes() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("dislikes");
    for (kind, options, expected) in [
        (
            "tmpfs",
            "size=much",
            "cannot mount `tmpfs at /data (tmpfs: Bad value for 'size')`: Invalid argument",
        ),
        (
            "tmpfs",
            "colour=blue",
            "cannot mount `tmpfs at /data (tmpfs: Unknown parameter 'colour')`: Invalid argument",
        ),
        ("nonesuch", "", "cannot mount `nonesuch at /data`: this kernel has no such file system"),
        ("ext4", "", "cannot mount `ext4 at /data"),
    ] {
        let message = bundle.refusal(&mount("/data", kind, "/nowhere", options));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn procfs_takes_its_own_options() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("procfs");
    let line = bundle.line(&mount("/data", "proc", "proc", "hidepid=2 nosuid"), "/data");
    assert_eq!(line.options, "rw,nosuid,relatime");
    assert!(line.superblock.contains("hidepid=invisible"), "{line:?}");
    // On the mount alone: the instance is the pid namespace's.
    let line = bundle.line(&mount("/sys", "sysfs", "sysfs", "ro"), "/sys");
    assert_eq!((line.options.as_str(), line.superblock.as_str()), ("ro,relatime", "rw"));
}

/// fsconfig(2) takes 255 bytes a value; the layers of an engine's images need more.
#[test]
fn an_overlay_of_many_layers_is_mounted() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("layers");
    let layers: Vec<String> = (0..20)
        .map(|number| {
            let layer = bundle.host().join(format!("layer-with-a-long-name-{number}"));
            std::fs::create_dir(&layer).unwrap();
            std::fs::write(layer.join(format!("f{number}")), "x").unwrap();
            layer.display().to_string()
        })
        .collect();
    let option = format!("lowerdir={}", layers.join(":"));
    assert!(option.len() > 300);
    let changes = json!({ "mounts": [{
        "destination": "/data", "type": "overlay", "source": "overlay", "options": [option, "nosuid", "ro", "shared"],
    }] });
    let line = bundle.line(&changes, "/data");
    assert_eq!(line.options, "ro,nosuid,relatime");
    assert_eq!(line.travels, "shared");
    bundle.check(
        &changes,
        &["read=/data/f0", "read=/data/f19", "write=/data/x"],
        "ok\nok\nEROFS\n",
    );
}

#[test]
fn a_read_only_disk_is_mounted_read_only() {
    if !require::root() {
        return;
    }
    let Some(mkfs) = require::program("mkfs.ext4") else { return };
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(4 << 20).unwrap();
    let made = std::process::Command::new(mkfs).arg("-q").arg(image.path()).status().unwrap();
    assert!(made.success());
    let Some(losetup) = require::program("losetup") else { return };
    let disk = std::process::Command::new(&losetup)
        .args(["--find", "--show", "--read-only"])
        .arg(image.path())
        .output()
        .unwrap();
    let disk = String::from_utf8(disk.stdout).unwrap().trim().to_owned();
    assert!(disk.starts_with("/dev/loop"), "{disk}");
    let bundle = Bundle::new("disk");
    let mut changes = mount("/data", "ext4", &disk, "ro");
    changes["linux"] = json!({ "resources": { "devices": [{ "allow": true, "access": "rwm" }] } });
    let line = std::panic::catch_unwind(|| bundle.line(&changes, "/data"));
    let detached = std::process::Command::new(losetup).args(["--detach", &disk]).status().unwrap();
    assert!(detached.success());
    let line = line.unwrap();
    assert_eq!((line.options.as_str(), line.kind.as_str()), ("ro,relatime", "ext4"));
    assert!(line.superblock.starts_with("ro"), "{line:?}");
}

#[test]
fn a_remount_changes_what_is_named_and_nothing_else() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("remount");
    let remounted = |options: &str| {
        let again: Vec<&str> = options.split(' ').collect();
        json!({ "mounts": [
            { "destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "size=64k"] },
            { "destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": again },
        ] })
    };
    for (options, of_mount, of_superblock) in [
        ("remount ro", "ro,nosuid,noexec,relatime", "size=64k"),
        ("remount exec nodev noatime", "rw,nosuid,nodev,noatime", "size=64k"),
        ("remount bind suid", "rw,noexec,relatime", "size=64k"),
        ("remount size=128k", "rw,nosuid,noexec,relatime", "size=128k"),
    ] {
        let line = bundle.line(&remounted(options), "/data");
        assert_eq!(line.options, of_mount, "{options}");
        assert!(line.superblock.contains(of_superblock), "{options}: {line:?}");
    }
    let message = bundle.refusal(&mount("/tmp", "tmpfs", "tmpfs", "remount ro"));
    assert!(message.contains("cannot remount `/tmp`: nothing is mounted there"), "{message}");
    let message = bundle.refusal(&remounted("remount size=much"));
    assert!(message.contains("Bad value for 'size'"), "{message}");
}

#[test]
fn a_file_system_in_memory_starts_with_what_was_there() {
    if !require::root() {
        return;
    }
    let bundle = Bundle::new("copied");
    let root = bundle.root();
    std::fs::create_dir_all(root.join("data/a/b")).unwrap();
    std::fs::write(root.join("data/a/file"), "content\n").unwrap();
    chown(root.join("data/a/file"), Some(7), Some(8)).unwrap();
    std::fs::set_permissions(root.join("data/a/file"), std::fs::Permissions::from_mode(0o4751))
        .unwrap();
    std::fs::set_permissions(root.join("data/a"), std::fs::Permissions::from_mode(0o711)).unwrap();
    symlink("/etc/shadow", root.join("data/link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("data/pipe"),
        rustix::fs::FileType::Fifo,
        0o640.into(),
        0,
    )
    .unwrap();
    let changes = mount("/data", "tmpfs", "tmpfs", "tmpcopyup,size=1m");
    bundle.check(
        &changes,
        &[
            "cat=/data/a/file",
            "stat=/data/a/file",
            "stat=/data/a",
            "ls=/data/a",
            "link=/data/link",
            "stat=/data/pipe",
            "write=/data/a/file",
        ],
        "content\n104751 7:8 0:0\n40711 0:0 0:0\nb file \n/etc/shadow\n10640 0:0 0:0\nok\n",
    );
    assert_eq!(std::fs::read_to_string(root.join("data/a/file")).unwrap(), "content\n");
}

#[test]
fn the_groups_of_the_container_are_shown() {
    if !require::root() || require::controller("memory").is_none() {
        return;
    }
    let bundle = Bundle::new("groups");
    let writable = mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev");
    let readonly = mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,ro");
    for (namespace, options) in
        [(true, &writable), (true, &readonly), (false, &writable), (false, &readonly)]
    {
        let mut changes = options.clone();
        if !namespace {
            changes["linux"] = json!({ "namespaces": [
                { "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" },
            ] });
        }
        let ran = bundle.run(&changes, &["cat=/proc/self/mountinfo"]);
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
        let below = |line: &crate::bundle::Line| line.kind.starts_with("cgroup");
        let lines: Vec<_> =
            ran.stdout.lines().filter_map(crate::bundle::Line::parse).filter(below).collect();
        assert!(!lines.is_empty(), "{}", ran.stdout);
        for line in lines {
            let way = if options == &readonly { "ro" } else { "rw" };
            assert_eq!(line.options, format!("{way},nosuid,nodev,noexec,relatime"), "{line:?}");
            assert_eq!(line.travels, "", "{line:?}");
            let pure = line.at == "/sys/fs/cgroup";
            // Inside its namespace it is the root; without one, its own group is what is shown.
            assert!(pure || (line.root == "/") == namespace, "{line:?}");
        }
    }
}
