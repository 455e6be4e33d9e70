//! `/etc/ld.so.conf` as the real ldconfig reads it, and what it explains.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use builder::resolve::{Options, Request, Sysroot, Target, closure, ld_conf};
use common::tree::ImagePath;
use tests::chroot::inside;
use tests::elf::{cache, library, machine, program};

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const LDCONFIG: &str = "/sbin/ldconfig";

/// Folders that every root of the table has.
const FOLDERS: [&[u8]; 9] = [
    b"opt/a",
    b"opt/b",
    b"opt/c",
    b"opt/a b",
    b"opt/\xff\x01",
    b"opt/a=b",
    b"opt/#d",
    b"etc/ld.so.conf.d",
    b"include",
];

/// A path, and its contents; or with `-> ` the target of a link.
type File<'a> = (&'a str, &'a [u8]);

fn make(root: &Path, files: &[File<'_>]) {
    for folder in FOLDERS {
        std::fs::create_dir_all(root.join(OsStr::from_bytes(folder))).unwrap();
    }
    for (path, text) in files {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        match text.strip_prefix(b"-> ") {
            Some(target) => symlink(OsStr::from_bytes(target), root.join(path)).unwrap(),
            None => std::fs::write(root.join(path), text).unwrap(),
        }
    }
}

/// Folders that ldconfig would scan, without those that it always does.
fn ldconfig(root: &Path) -> Vec<Vec<u8>> {
    std::fs::create_dir_all(root.join("sbin")).unwrap();
    std::fs::copy(LDCONFIG, root.join("sbin/ldconfig")).unwrap();
    // Closed input would be `/dev/null`, which such a root does not have.
    let run = || Command::new(LDCONFIG).args(["-v", "-N", "-X"]).stdin(Stdio::inherit()).output();
    let output = inside(root, run).unwrap();
    output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.starts_with(b"\t"))
        .filter_map(|line| {
            let from = b": (from /";
            let at = line.windows(from.len()).position(|window| window == from)?;
            Some(line[..at].to_vec())
        })
        .collect()
}

/// The same by our reading: those that exist, each once.
fn ours(root: &Path) -> Vec<Vec<u8>> {
    let sysroot = Sysroot::open(root).unwrap();
    let mut seen = BTreeSet::new();
    ld_conf::folders(&sysroot)
        .iter()
        .map(|folder| folder.as_bytes().to_vec())
        .filter(|folder| match sysroot.lookup(folder) {
            Ok((walk, Target::Folder)) => seen.insert(walk.real),
            _ => false,
        })
        .collect()
}

#[test]
fn folders_are_those_that_ldconfig_scans() {
    if !tests::require::root() || tests::require::file(LDCONFIG).is_none() {
        return;
    }
    let conf = "etc/ld.so.conf";
    let cases: &[(&str, &[File<'_>])] = &[
        ("none", &[]),
        ("one a line", &[(conf, b"/opt/a\n\n/opt/b\n/opt/none")]),
        (
            "blanks and slashes",
            &[(conf, b" \t/opt/a \r\n/opt/b// \n/opt/c/ /\x0b\n/opt//a\n/opt/a b\n")],
        ),
        ("comments", &[(conf, b"#/opt/a\n/opt/b#c\n/opt/#d\n # x\n/opt/c # y\n")]),
        ("types", &[(conf, b"/opt/a=libc6\n/opt/b = libc5\n/opt/a=b\n=libc6\n/opt/c=\n")]),
        ("the root itself", &[(conf, b"/\n//\n/opt/a\n")]),
        ("bytes", &[(conf, b"/opt/\xff\x01\n/opt/a\0/opt/b\n\0/opt/c\n/opt/c\n")]),
        ("hwcap", &[(conf, b"hwcap 1 x\nHwCap\t2\nhwcap\n/opt/a\n")]),
        ("twice", &[(conf, b"/opt/a\n/opt/b\n/opt/a\n/opt/../opt/b\n")]),
        ("relative to the root", &[(conf, b"opt/a\n./opt/b\n")]),
        (
            "include is a word",
            &[(conf, b"include\nInclude /etc/x\nincludes /etc/x\n"), ("etc/x", b"/opt/a")],
        ),
        (
            "include in its place",
            &[
                (conf, b"/opt/a\n  include /etc/x\t/etc/none /etc/y\n/opt/c\n"),
                ("etc/x", b"/opt/b"),
                ("etc/y", b"/opt/a b"),
            ],
        ),
        (
            "relative include",
            &[
                (conf, b"include x y/*\n"),
                ("etc/x", b"/opt/b"),
                ("etc/y/z", b"include ../x w"),
                ("etc/y/w", b"/opt/c"),
            ],
        ),
        (
            "patterns",
            &[
                (conf, b"include /etc/ld.so.conf.d/*.conf\n"),
                ("etc/ld.so.conf.d/b.conf", b"/opt/b"),
                ("etc/ld.so.conf.d/a.conf", b"/opt/a"),
                ("etc/ld.so.conf.d/.hidden.conf", b"/opt/c"),
                ("etc/ld.so.conf.d/other", b"/opt/a b"),
            ],
        ),
        (
            "more patterns",
            &[
                (conf, b"include /etc/[a-b]/? /etc/**/yy /etc/\\*\ninclude /etc/x[ /e*/.h*\n"),
                ("etc/a/x", b"/opt/b"),
                ("etc/c/x", b"/opt/a b"),
                ("etc/b/yy", b"/opt/a"),
                ("etc/*", b"/opt/c"),
                ("etc/x[", b"/opt/a=b\n/opt/\xff\x01"),
                ("etc/.h", b"/include"),
            ],
        ),
        (
            "a link to an absolute path",
            &[(conf, b"include /etc/x\n"), ("etc/x", b"-> /opt/file"), ("opt/file", b"/opt/b")],
        ),
        (
            "links to folders",
            &[
                (conf, b"/l/a\n/opt/a\ninclude /l/*.conf\n"),
                ("l", b"-> opt"),
                ("opt/x.conf", b"/opt/b"),
            ],
        ),
        ("a folder is included", &[(conf, b"include /opt/a\n/opt/b\n")]),
        ("itself", &[(conf, b"/opt/a\ninclude /etc/ld.so.conf\n/opt/b\n")]),
        ("a dangling link", &[(conf, b"-> /etc/none")]),
    ];
    let mut wrong = Vec::new();
    for (rule, files) in cases {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), files);
        let (expected, got) = (ldconfig(root.path()), ours(root.path()));
        if expected != got {
            let text = |list: &[Vec<u8>]| String::from_utf8_lossy(&list.join(&b' ')).into_owned();
            wrong.push(format!(
                "{rule}\n  ldconfig: {}\n  ours:     {}",
                text(&expected),
                text(&got)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn configuration_that_includes_without_end_is_read_once() {
    let root = tempfile::tempdir().unwrap();
    let many: String = (0..64).map(|_| "include /etc/* /a/*/*/*/*/*/*/*/*/*/*/*/*/x\n").collect();
    make(
        root.path(),
        &[("etc/ld.so.conf", many.as_bytes()), ("etc/x", b"include /etc/*\n/opt/a\n")],
    );
    for name in ["a/b", "a/c", "a/d"] {
        std::fs::create_dir_all(root.path().join("a")).unwrap();
        symlink("/a", root.path().join(name)).unwrap();
    }
    assert_eq!(ours(root.path()), [b"/opt/a"]);
}

/// Each row: what the root has besides the program, and part of the hint.
#[test]
fn a_missing_library_is_explained() {
    let lib = || library("liba.so", &[]).bytes();
    let old = || library("liba.so", &[]).for_machine(false, false, machine::I386).bytes();
    let conf = ("etc/ld.so.conf", b"include ld.so.conf.d/*\n".to_vec());
    let part = ("etc/ld.so.conf.d/opt", b"/opt/a\n".to_vec());
    let stale = ("etc/ld.so.cache", cache(&[(b"liba.so", b"/opt/b/liba.so", 0x303)], false));
    let other = ("etc/ld.so.cache", cache(&[(b"liba.so", b"/opt/b/liba.so", 0x003)], false));
    for (files, hint) in [
        (vec![], "install the package that ships liba.so"),
        (
            vec![conf.clone(), part.clone(), ("opt/a/liba.so", lib())],
            "`/opt/a/liba.so` lies in a folder of /etc/ld.so.conf, which the loader never reads, and the root's ld.so.cache is missing: run `ldconfig -r ROOT`",
        ),
        (
            vec![conf.clone(), part.clone(), stale.clone(), ("opt/a/liba.so", lib())],
            "ld.so.cache is older: run",
        ),
        (vec![conf, part, ("opt/a/liba.so", old())], "install the package that ships liba.so"),
        (vec![stale], "ld.so.cache says `/opt/b/liba.so`, which is gone"),
        (
            vec![other.clone(), ("opt/b/liba.so", old())],
            "`/opt/b/liba.so` is for another architecture",
        ),
        (vec![other], "install the package that ships liba.so"),
        (vec![("usr/lib/liba.so", old())], "`/usr/lib/liba.so` is for another architecture"),
        (
            vec![("usr/lib/liba.so", b"-> gone".to_vec())],
            "`/usr/lib/liba.so` is a link that leads nowhere",
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        let borrowed: Vec<File<'_>> =
            files.iter().map(|(path, text)| (*path, text.as_slice())).collect();
        make(root.path(), &borrowed);
        program(GLIBC, &["liba.so"]).write(&root.path().join("bin/p"));
        library("ld.so", &[]).write(&root.path().join(GLIBC.trim_start_matches('/')));
        let sysroot = Sysroot::open(root.path()).unwrap();
        let request = [Request::Program(ImagePath::new("/bin/p").unwrap())];
        let found = closure(&request, &sysroot, &Options::default()).unwrap();
        let [missing] = found.missing.as_slice() else { panic!("{:?}", found.missing) };
        assert!(missing.hint().contains(hint), "{}\nis not: {hint}", missing.hint());
    }
}
