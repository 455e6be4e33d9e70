//! `Root`: nothing leaves the root, both resolvers agree, and the walk that records links agrees
//! with the kernel.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::fs;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use common::root::{Resolver, Root};
use proptest::prelude::*;
use rustix::io::Errno;

/// A tree of everything that has ever confused a resolver. `secret` lies beside the root.
fn nasty() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    fs::create_dir_all(root.join("usr/lib/deep/er")).unwrap();
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(temp.path().join("secret"), "host").unwrap();
    fs::write(root.join("secret"), "image").unwrap();
    fs::write(root.join("usr/lib/libc.so"), "libc").unwrap();
    fs::write(root.join("etc/file"), "file").unwrap();
    for (link, target) in [
        ("lib", "usr/lib"),
        ("lib64", "/usr/lib"),
        ("up", "../../../../secret"),
        ("etc/up", "../../secret"),
        ("absolute", "/secret"),
        ("dangling", "nowhere/at/all"),
        ("loop", "loop"),
        ("ping", "pong"),
        ("pong", "ping"),
        ("usr/lib/deep/back", "../../../lib/deep"),
        ("usr/lib/libc.so.6", "libc.so"),
        ("root", "/"),
        ("dot", "."),
        ("dotdot", ".."),
        ("slash", "usr/lib/"),
        ("fileslash", "etc/file/"),
        ("through", "etc/file/.."),
        ("spaces and\nlines", "etc/./../etc//file"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    symlink(std::ffi::OsStr::from_bytes(b"etc/\xff"), root.join("bytes")).unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"etc/\xff")), "bytes").unwrap();
    // 40 links are followed, 41 are not: /chain1 -> ... -> /chain41 -> etc/file.
    for i in 1..=41 {
        let target = if i == 41 { "etc/file".to_owned() } else { format!("chain{}", i + 1) };
        symlink(target, root.join(format!("chain{i}"))).unwrap();
    }
    temp
}

/// Where the kernel says that a descriptor is, seen from the root.
fn place(root: &Path, fd: &OwnedFd) -> Vec<u8> {
    let real = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
    let below = real.strip_prefix(root.canonicalize().unwrap()).expect("left the root");
    [b"/", below.as_os_str().as_bytes()].concat()
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or_else(|| panic!("no error number: {error}"))
}

/// The kernel, libpathrs and the recording walk answer alike.
fn check(folder: &Path, kernel: &Root, pathrs: &Root, path: &[u8]) {
    let shown = String::from_utf8_lossy(path);
    let expected = kernel.resolve(path).map(|fd| place(folder, &fd)).map_err(|e| errno(&e));
    let walked = kernel.resolve_chain(path).map_err(|e| errno(&e));
    assert_eq!(
        walked.as_ref().map(|r| r.real.as_bytes().to_vec()).map_err(|e| *e),
        expected,
        "{shown}"
    );
    let fallback = pathrs.resolve(path).map(|fd| place(folder, &fd)).map_err(|e| errno(&e));
    assert_eq!(fallback, expected, "{shown}: fallback");
    let itself = |root: &Root| root.read_link(path).map_err(|e| errno(&e));
    assert_eq!(itself(pathrs), itself(kernel), "{shown}: read_link");
    for (link, target) in walked.map(|r| r.links).unwrap_or_default() {
        assert_eq!(kernel.read_link(link.as_bytes()).unwrap(), target, "{shown}");
        let parent = link.parent().unwrap();
        assert_eq!(place(folder, &kernel.resolve(parent.as_bytes()).unwrap()), parent.as_bytes());
    }
}

fn roots(temp: &tempfile::TempDir) -> (std::path::PathBuf, Root, Root) {
    let folder = temp.path().join("root");
    let open = || Root::open(&folder).unwrap();
    let (kernel, pathrs) = (open(), open().with_resolver(Resolver::Pathrs));
    (folder, kernel, pathrs)
}

#[test]
fn kernel_fallback_and_walk_agree_on_nasty_paths() {
    let temp = nasty();
    let (folder, kernel, pathrs) = roots(&temp);
    let long = [b"/".as_slice(), &[b'x'; 256]].concat();
    let longest = b"./".repeat(2048);
    for path in [
        &b"/"[..],
        b"",
        b".",
        b"..",
        b"/../../secret",
        b"secret",
        b"up",
        b"/etc/up",
        b"absolute",
        b"lib/libc.so",
        b"lib64/libc.so.6",
        b"lib/",
        b"/lib//./libc.so.6",
        b"dangling",
        b"loop",
        b"ping",
        b"usr/lib/deep/back/back/er",
        b"root/root/lib/../lib/libc.so",
        b"dot/dotdot/etc",
        b"slash",
        b"fileslash",
        b"through",
        b"etc/file/",
        b"etc/file/.",
        b"etc/file/..",
        b"etc/file/x",
        b"nowhere",
        b"nowhere/..",
        b"spaces and\nlines",
        b"bytes",
        b"etc/\xff",
        b"chain2",
        b"chain2/",
        b"lib/../secret",
        b"lib64/../../../secret",
        b"dotdot/lib/..",
        &long,
        &longest,
        &longest[2..],
        b"a\0b",
    ] {
        check(&folder, &kernel, &pathrs, path);
    }
    let expected =
        if std::env::var_os(HIDDEN).is_some() { Resolver::Pathrs } else { Resolver::Kernel };
    assert_eq!(kernel.resolver(), expected);
}

/// libpathrs has a limit of its own (128), so this is only about the walk and the kernel.
#[test]
fn the_41st_link_is_a_loop() {
    let temp = nasty();
    let (_, root, _) = roots(&temp);
    assert_eq!(root.resolve_chain(b"chain2").unwrap().links.len(), 40);
    assert_eq!(errno(&root.resolve_chain(b"chain1").unwrap_err()), Errno::LOOP);
    if root.resolver() == Resolver::Kernel && std::env::var_os(HIDDEN).is_none() {
        assert_eq!(errno(&root.resolve(b"chain1").unwrap_err()), Errno::LOOP);
    }
}

#[test]
fn kernel_fallback_and_walk_agree_on_random_paths() {
    const PARTS: [&str; 22] = [
        "", ".", "..", "usr", "lib", "lib64", "deep", "back", "er", "etc", "file", "up", "root",
        "dot", "dotdot", "slash", "through", "ping", "chain20", "absolute", "dangling", "x",
    ];
    let tree = nasty();
    let (folder, kernel, pathrs) = roots(&tree);
    let parts = prop::collection::vec(prop::sample::select(PARTS.to_vec()), 1..9);
    proptest!(ProptestConfig::with_cases(400), |(parts in parts, absolute: bool)| {
        let path = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        check(&folder, &kernel, &pathrs, path.as_bytes());
    });
}

#[test]
fn a_chain_names_every_link_in_order_and_once() {
    let temp = nasty();
    let (_, root, _) = roots(&temp);
    let chain = root.resolve_chain(b"/lib/deep/back/../libc.so.6").unwrap();
    let links: Vec<_> = chain
        .links
        .iter()
        .map(|(link, target)| (link.to_string(), String::from_utf8(target.clone()).unwrap()))
        .collect();
    let link = |at: &str, says: &str| (at.to_owned(), says.to_owned());
    assert_eq!(
        links,
        [
            link("/lib", "usr/lib"),
            link("/usr/lib/deep/back", "../../../lib/deep"),
            link("/usr/lib/libc.so.6", "libc.so"),
        ]
    );
    assert_eq!(chain.real.to_string(), "/usr/lib/libc.so");
}

#[test]
fn contents_come_from_inside() {
    let temp = nasty();
    let (_, kernel, pathrs) = roots(&temp);
    for root in [kernel, pathrs] {
        for path in [&b"up"[..], b"/etc/up", b"absolute", b"../secret", b"lib64/../../../secret"] {
            let mut text = String::new();
            root.open_file(path).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "image");
        }
        assert_eq!(root.read_dir(b"lib").unwrap(), [&b"deep"[..], b"libc.so", b"libc.so.6"]);
        assert_eq!(errno(&root.read_dir(b"etc/file").unwrap_err()), Errno::NOTDIR);
        assert_eq!(errno(&root.open_file(b"gone").unwrap_err()), Errno::NOENT);
        assert_eq!(root.metadata(b"lib/libc.so.6").unwrap().st_size, 4);
        assert_eq!(root.symlink_metadata(b"lib/libc.so.6").unwrap().st_size, 7);
    }
}

#[test]
fn magic_links_are_refused() {
    let root = Root::open(Path::new("/proc/self")).unwrap();
    for path in [&b"exe"[..], b"root/etc", b"cwd", b"fd/0"] {
        assert_eq!(errno(&root.resolve(path).unwrap_err()), Errno::LOOP);
        assert_eq!(errno(&root.resolve_chain(path).unwrap_err()), Errno::LOOP);
    }
    assert!(root.resolve_chain(b"status").is_ok());
}

#[test]
fn a_fifo_does_not_block() {
    let temp = nasty();
    let (folder, kernel, pathrs) = roots(&temp);
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("fifo"), rustix::fs::Mode::RUSR).unwrap();
    for root in [kernel, pathrs] {
        let mut text = String::new();
        assert_eq!(root.open_file(b"fifo").unwrap().read_to_string(&mut text).unwrap(), 0);
    }
}

/// Set where [`HIDE_OPENAT2`] acts.
const HIDDEN: &str = "CORACLE_TEST_HIDDEN";

/// Runs a program with `openat2` answering the error number in the first argument.
const HIDE_OPENAT2: &str = r"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(argv[1])),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 1;
    execv(argv[2], argv + 2);
    return 1;
}
";

/// Every other test of this file that resolves, once more where the kernel (ENOSYS) or an old
/// container engine's filter (EPERM) has no `openat2`.
#[test]
fn without_openat2_everything_still_holds() {
    if std::env::var_os(HIDDEN).is_some() {
        let temp = nasty();
        let (_, root, _) = roots(&temp);
        root.resolve(b"/").unwrap();
        assert_eq!(root.resolver(), Resolver::Pathrs);
        return;
    }
    let Some(gcc) = tests::require::program("gcc") else { return };
    let temp = tempfile::tempdir().unwrap();
    let (source, hide) = (temp.path().join("hide.c"), temp.path().join("hide"));
    fs::write(&source, HIDE_OPENAT2).unwrap();
    assert!(Command::new(gcc).arg(&source).arg("-o").arg(&hide).status().unwrap().success());
    for number in [Errno::NOSYS, Errno::PERM] {
        let output = Command::new(&hide)
            .arg(number.raw_os_error().to_string())
            .arg(std::env::current_exe().unwrap())
            .arg("--test-threads=1")
            .env(HIDDEN, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
}
