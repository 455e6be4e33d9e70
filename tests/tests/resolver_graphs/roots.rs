//! Roots whose files are no files, whose links lead out or in circles, and whose paths are too long.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::tree::ImagePath;
use tests::elf::{cache, library, program};
use tests::scratch::Scratch;

use crate::{GLIBC, PROGRAM, Root, can_ask, coracle};

/// What it is, and who makes it.
type Kind = (&'static str, fn(&Path));

#[test]
fn what_is_no_file_is_never_waited_for() {
    let kinds: [Kind; 4] = [
        ("a pipe", |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap()),
        ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        ("a folder", |path| std::fs::create_dir(path).unwrap()),
        ("a link to a device", |path| symlink("/dev/zero", path).unwrap()),
    ];
    for (rule, make) in kinds {
        let root = Root(tempfile::tempdir().unwrap());
        root.put(PROGRAM, &program(GLIBC, &["liba.so"]).runpath("/opt:/opt2"));
        root.put(GLIBC, &library("ld.so", &[]));
        root.put("/opt2/liba.so", &library("liba.so", &[]));
        for path in ["/opt/liba.so", "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ld.so.conf"] {
            std::fs::create_dir_all(root.inside(path).parent().unwrap()).unwrap();
            make(&root.inside(path));
        }
        let closure = root.resolve();
        if rule == "a link to a device" {
            // There is no such device in that root.
            assert!(closure.is_complete(), "{rule}: {:?}", closure.missing);
        } else {
            assert_eq!(closure.refused.len(), 1, "{rule}");
        }
        root.put(PROGRAM, &program(GLIBC, &["gone.so"]));
        assert_eq!(root.resolve().missing.len(), 1, "{rule}");
    }
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    if !tests::require::root() {
        return;
    }
    let scratch = Scratch::of_user("unreadable", 65534);
    let root = Root(tempfile::tempdir().unwrap());
    std::fs::set_permissions(root.0.path(), PermissionsExt::from_mode(0o755)).unwrap();
    root.put(PROGRAM, &program(GLIBC, &["liba.so", "libb.so"]).runpath("/opt:/closed:/opt2"));
    root.put(GLIBC, &library("ld.so", &[]));
    for path in ["/opt/liba.so", "/opt2/liba.so", "/closed/libb.so"] {
        root.put(path, &library("", &[]));
    }
    for path in ["/opt/liba.so", "/closed"] {
        std::fs::set_permissions(root.inside(path), PermissionsExt::from_mode(0o000)).unwrap();
    }
    let tried = "tried `/closed/libb.so` (RUNPATH of /bin/p): not readable";
    let outcome = coracle(&scratch, &root, &["closure"]).exits(1).says(&[tried]);
    assert!(outcome.text().lines().any(|line| line == "/opt2/liba.so"), "{outcome:?}");
    assert!(outcome.errors().contains("build as a user who may read it"), "{outcome:?}");
}

#[test]
fn nothing_of_the_host_is_in_a_root_that_links_out_of_it() {
    let outside = tempfile::tempdir().unwrap();
    let canary = outside.path().join("canary");
    for name in ["libx.so", "liba.so", "ld.so"] {
        library(name, &["host.so"]).write(&canary.join(name));
    }
    std::fs::write(canary.join("cache"), cache(&[(b"libx.so", b"/in/libx.so", 0x303)], false))
        .unwrap();
    std::fs::write(canary.join("preload"), "/in/liba.so\n").unwrap();
    let up = "../".repeat(20);
    let relative = format!("{up}{}", canary.display());
    for target in [canary.to_str().unwrap(), relative.trim_start_matches('/')] {
        let root = Root(tempfile::tempdir().unwrap());
        let elf = program(GLIBC, &["libx.so"]);
        let paths =
            format!("/out:/out/../out:/dots{}:/own/{up}{}", "/..".repeat(9), canary.display());
        root.put(
            PROGRAM,
            &elf.needed(canary.join("liba.so").as_os_str().as_bytes()).runpath(&paths),
        );
        root.put("/in/liba.so", &library("liba.so", &[]));
        root.put("/own/x", &library("", &[]));
        for (path, name) in [("/out", ""), ("/usr/lib", ""), ("/lib", ""), ("/usr/lib64", "")] {
            root.link(path, format!("{target}{name}"));
        }
        root.link("/lib64/ld-linux-x86-64.so.2", format!("{target}/ld.so"));
        root.link("/etc/ld.so.cache", format!("{target}/cache"));
        root.link("/etc/ld.so.preload", format!("{target}/preload"));
        root.link("/etc/ld.so.conf", format!("{target}/conf"));
        let closure = root.resolve();
        assert_eq!(closure.files(), [&ImagePath::new(PROGRAM).unwrap()], "{target}");
        let missing: Vec<_> =
            closure.missing.iter().map(|missing| missing.name.to_string()).collect();
        assert_eq!(missing, [GLIBC, "libx.so", canary.join("liba.so").to_str().unwrap()]);
        // The same folders in the root are found.
        root.put(canary.join("libx.so").as_os_str().as_bytes(), &library("libx.so", &[]));
        let found = root.resolve();
        assert_eq!(found.objects[1].path.as_bytes(), canary.join("libx.so").as_os_str().as_bytes());
    }
}

#[test]
fn links_in_circles_end() {
    if !can_ask(GLIBC) {
        return;
    }
    let root =
        Root::new(&program(GLIBC, &["liba.so", "libb.so"]).runpath("/l/l/l:/x/y:/opt"), GLIBC);
    root.link("/l", "l");
    root.link("/x", "/y");
    root.link("/y", "/x");
    root.link("/opt/liba.so", "liba.so");
    root.put("/usr/lib/liba.so", &library("liba.so", &[]));
    root.put("/opt/libb.so", &library("libb.so", &[]));
    root.agrees("links in circles", GLIBC);
}

#[test]
fn paths_longer_than_the_kernel_takes_are_no_paths() {
    if !can_ask(GLIBC) {
        return;
    }
    let long = |levels: usize| format!("/opt{}", "/../opt".repeat(levels));
    for levels in [100, 580, 590, 2000] {
        let root = Root::new(
            &program(GLIBC, &["liba.so"]).runpath(&format!("{}:/other", long(levels))),
            GLIBC,
        );
        root.put("/opt/liba.so", &library("liba.so", &[]));
        root.put("/other/liba.so", &library("liba.so", &[]));
        root.agrees(&format!("{levels} levels"), GLIBC);
    }
}
