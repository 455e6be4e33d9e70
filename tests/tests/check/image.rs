//! Images, good and bad, and what a hostile one must not reach.

use std::fs;
use std::path::{Path, PathBuf};

use common::oci::layout::ImageLayout;
use serde_json::Value;
use tests::archive::{Header, archive};
use tests::elf::{Elf, Symbol, library, machine, program};
use tests::images::{self, Layer};
use tests::outcome::{Outcome, run};
use tests::samples::compile_c;
use tests::scratch::Scratch;

use super::GLIBC;

const CALL: u64 = 7;

fn layout(scratch: &Scratch) -> ImageLayout {
    ImageLayout::create(&scratch.store()).unwrap()
}

fn executable(name: &str, content: &[u8]) -> Header {
    Header::file(name, content).octal(100, 8, 0o755)
}

/// A program that needs version `V1` of `f` in liba, liba with this version, and a loader.
fn layer(loader: &[u8], version: &str) -> Vec<u8> {
    let program = program(GLIBC, &["liba.so"])
        .uses(Symbol::undefined("f").version(2), CALL)
        .needs_version("liba.so", "V1", 2, 0);
    let lib = library("liba.so", &[])
        .symbol(Symbol::defined("f").version(2))
        .defines_version("liba.so", 1, 1)
        .defines_version(version, 2, 0);
    archive([
        executable("app", &program.bytes()),
        Header::file("lib/liba.so", &lib.bytes()),
        executable(&GLIBC[1..], loader),
        // What has the size of an image and is nothing to a loader.
        Header::file("data", &vec![7; 100_000]),
    ])
}

fn check(scratch: &Scratch, arguments: &[&str]) -> Outcome {
    run(scratch.coracle().arg("check").args(arguments))
}

/// Nothing of an image may stay.
fn unpack_into(scratch: &Scratch) -> (PathBuf, impl Fn() -> usize) {
    let folder = scratch.subfolder("tmp");
    let counted = folder.clone();
    (folder, move || fs::read_dir(&counted).unwrap().count())
}

#[test]
fn a_good_image_passes_and_a_swapped_library_fails() {
    let Some(loader) = tests::require::file(GLIBC) else { return };
    let loader = fs::read(loader).unwrap();
    let scratch = Scratch::new("check-image");
    let layout = layout(&scratch);
    images::store(&layout, "good", &[Layer::gzip(&layer(&loader, "V1"))]);
    images::store(&layout, "bad", &[Layer::zstd(&layer(&loader, "V2"))]);
    // The second layer replaces the bad library.
    let lib = archive([Header::folder("lib"), Header::file("lib/.wh.liba.so", b"")]);
    let bad = Layer::plain(&layer(&loader, "V2"));
    images::store(&layout, "gone", &[bad.clone(), Layer::plain(&lib)]);
    images::store(&layout, "mended", &[bad, Layer::plain(&layer(&loader, "V1"))]);
    for good in ["good", "mended"] {
        let outcome = check(&scratch, &[good]).ok();
        assert!(outcome.text().starts_with("/app (glibc): 2 objects, 1 symbols\n"), "{outcome:?}");
        assert_eq!(outcome.errors(), "");
    }
    check(&scratch, &["bad"]).exits(1).says(&[
        "error: `/app` needs version `V1` of `liba.so`, and `/lib/liba.so` does not define it",
        "in `/app`",
        "hint: take a liba.so that defines V1",
        "error: `/app` needs `f@V1`, and nothing that is loaded defines it",
    ]);
    check(&scratch, &["gone"]).exits(1).says(&["error: `liba.so` is missing, needed by `/app`"]);
    let json: Value =
        serde_json::from_slice(&check(&scratch, &["--json", "bad"]).exits(1).stdout).unwrap();
    assert_eq!(json[0]["problems"][1]["problem"], "undefined", "{json}");
    assert_eq!(json[0]["problems"][0]["version"], "V1", "{json}");
    assert_eq!(json[0]["scopes"][0]["loader"]["asked"], "no", "{json}");
    // Two images and a program: one that fails, fails all.
    check(&scratch, &["good", "bad", GLIBC]).exits(1);
    check(&scratch, &["good", "absent"])
        .exits(1)
        .says(&["neither an image nor a program `absent`"]);
    check(&scratch, &[]).exits(2);
    check(&scratch, &["--ask-loader", "--no-loader", "good"]).exits(2);
}

#[test]
fn a_name_of_the_store_is_an_image_and_a_path_is_what_is_there() {
    let (Some(loader), Some(sh)) = (tests::require::file(GLIBC), tests::require::program("sh"))
    else {
        return;
    };
    let scratch = Scratch::new("check-name");
    images::store(
        &layout(&scratch),
        "sh",
        &[Layer::plain(&layer(&fs::read(loader).unwrap(), "V1"))],
    );
    assert!(check(&scratch, &["sh"]).ok().text().starts_with("/app (glibc)"));
    let store = scratch.store();
    assert!(check(&scratch, &[store.to_str().unwrap()]).ok().text().starts_with("/app (glibc)"));
    assert!(!check(&scratch, &[sh.to_str().unwrap()]).ok().text().contains("/app"));
    // Inside another root there are only programs.
    check(&scratch, &["--sysroot", "/", "sh"]).ok();
}

#[test]
fn archives_that_climb_make_nothing_outside() {
    let object = program(GLIBC, &[]).bytes();
    let outside = tempfile::tempdir().unwrap();
    let away = outside.path().to_str().unwrap();
    let file = |name: &str| executable(name, &object);
    let link = |name: &str, target: &str| Header::link(name, b'2', target);
    for (attack, layers, expected) in [
        ("..", vec![archive([file("../x")])], "`..`"),
        ("absolute", vec![archive([file("/x")])], "absolute"),
        (
            "through a link",
            vec![archive([link("a", away), file("a/x")])],
            "the image has `/a/x`, and `/a` is no folder",
        ),
        (
            "through a link of a lower layer",
            vec![archive([link("a", away)]), archive([file("a/x")])],
            "the image has `/a/x`, and `/a` is no folder",
        ),
        (
            "through a relative link",
            vec![archive([link("a", "../../../../../../../../tmp"), file("a/x")])],
            "the image has `/a/x`, and `/a` is no folder",
        ),
        (
            "a folder put on a link",
            vec![
                archive([link("a", away), file("app")]),
                archive([Header::folder("a"), file("a/x")]),
            ],
            "",
        ),
        ("hard link outside", vec![archive([Header::link("x", b'1', "../etc/passwd")])], "`..`"),
        (
            "hard link of another layer",
            vec![archive([file("app")]), archive([Header::link("x", b'1', "app")])],
            "is no earlier file of the archive",
        ),
        ("device", vec![archive([Header::new("x", b'3', b"")])], "character device"),
        ("whiteout of the parent", vec![archive([Header::file("a/.wh...", b"")])], "whiteout"),
    ] {
        let scratch = Scratch::new("check-attack");
        let layers: Vec<Layer> = layers.iter().map(|tar| Layer::plain(tar)).collect();
        images::store(&layout(&scratch), "app", &layers);
        let (folder, left) = unpack_into(&scratch);
        let outcome = run(scratch.coracle().env("TMPDIR", &folder).args(["check", "app"])).exits(1);
        assert!(outcome.errors().contains(expected), "{attack}: {outcome:?}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{attack}");
        assert_eq!(left(), 0, "{attack}");
    }
}

/// Tells every way out that it finds, in the form of a loader's answer; then does as it is told.
const HOSTILE: &str = r#"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
static void way(const char *name, int open) {
    if (open) printf("\t%s => /out (0x1)\n", name);
}
int main(int count, char **arguments) {
    way("ran", 1);
    way("write", creat("/made", 0600) >= 0);
    way("host", access("CANARY", F_OK) == 0);
    way("chroot", chroot(".") == 0);
    way("mount", mount("none", "/lib", "tmpfs", 0, NULL) == 0);
    way("root", getuid() == 0 || geteuid() == 0);
    way("setuid", setuid(0) == 0);
    way("other-processes", getpid() != 1);
    way("remount", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL) == 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    way("network", fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    for (int i = 3; i < 100; i++) if (i != fd) way("descriptor", fcntl(i, F_GETFD) >= 0);
    extern char **environ;
    for (char **e = environ; *e; e++)
        way("environment", strncmp(*e, "LD_TRACE", 8) != 0 && strncmp(*e, "GLIBC_TUNABLES", 14) != 0);
    fflush(stdout);
    if (count > 1 && strstr(arguments[1], "hang")) {
        if (fork() == 0) setsid();
        for (;;) pause();
    }
    if (count > 1 && strstr(arguments[1], "flood")) for (;;) puts("more");
    return 0;
}
"#;

fn hostile(scratch: &Scratch, port: u16) -> Option<PathBuf> {
    let canary = scratch.file("canary", "untouched");
    let source = HOSTILE.replace("CANARY", canary.to_str().unwrap());
    let file = scratch.path().join("loader");
    compile_c("gcc", &["-static"], &source.replace("PORT", &port.to_string()), &file)?;
    Some(file)
}

/// In a root of a program of that name and of the loader.
fn ask(scratch: &Scratch, loader: &Path, name: &str) -> Outcome {
    let root = scratch.subfolder(&format!("root-{name}"));
    for folder in ["lib", "lib64"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    program(GLIBC, &[]).write(&root.join(name));
    fs::hard_link(loader, root.join(&GLIBC[1..])).unwrap();
    let outcome =
        check(scratch, &["--ask-loader", "--sysroot", root.to_str().unwrap(), &format!("/{name}")]);
    assert!(!root.join("made").exists(), "{outcome:?}");
    outcome
}

fn jail(scratch: &Scratch) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let Some(loader) = hostile(scratch, port) else { return };
    let outcome = ask(scratch, &loader, "app").exits(1);
    let ways: Vec<String> = outcome
        .errors()
        .lines()
        .filter(|line| line.starts_with("error: "))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(ways, ["error: the loader finds `/out` as `ran`, and the search nothing"]);
    let hang = ask(scratch, &loader, "hang").ok();
    assert!(hang.text().contains("not asked: it gave no answer in"), "{hang:?}");
    let flood = ask(scratch, &loader, "flood").ok();
    assert!(flood.text().contains("not asked: it says more than"), "{flood:?}");
}

#[test]
fn a_hostile_loader_finds_no_way_out_of_its_jail() {
    jail(&Scratch::new("check-jail"));
}

#[test]
fn a_hostile_loader_finds_no_way_out_when_an_ordinary_user_asks() {
    if tests::require::root() && tests::require::user_namespaces() {
        jail(&Scratch::of_user("check-jail-user", 1000));
    }
}

#[test]
fn loaders_are_asked_only_where_they_may_be() {
    let Some(loader) = tests::require::file(GLIBC) else { return };
    let scratch = Scratch::new("check-asked");
    let loader = fs::read(loader).unwrap();
    images::store(&layout(&scratch), "app", &[Layer::plain(&layer(&loader, "V1"))]);
    let says = |arguments: &[&str], expected: &str| {
        let outcome = check(&scratch, arguments).ok();
        assert!(outcome.text().contains(expected), "{expected}: {outcome:?}");
    };
    says(&["app"], "loader of 1 programs not asked: it is of a foreign root");
    says(&["--ask-loader", "app"], "; the loader agrees on 1 names");
    says(&["--no-loader", "app"], "not asked: it was not asked");
    // The machine's own is asked for the machine's own programs.
    says(&["/bin/sh"], "; the loader agrees on 1 names");
    says(&["--sysroot", "/", "/bin/sh"], "; the loader agrees on 1 names");
    says(&["--no-loader", "/bin/sh"], "not asked: it was not asked");
    // One that cannot run here.
    let other = |elf: Elf| elf.for_machine(true, true, machine::S390).bytes();
    let foreign = archive([
        executable("app", &other(program("/lib/ld64.so.1", &[]))),
        executable("lib/ld64.so.1", &other(library("ld64.so.1", &[]))),
    ]);
    images::store(&layout(&scratch), "foreign", &[Layer::plain(&foreign)]);
    says(&["--ask-loader", "foreign"], "not asked: this machine cannot run it");
}

#[test]
fn built_images_fit() {
    if tests::require::program("bash").is_none() || tests::require::program("python3").is_none() {
        return;
    }
    let scratch = Scratch::new("check-built");
    for name in ["bash", "/usr/bin/python3"] {
        scratch.pack(&[name]);
        let image = Path::new(name).file_name().unwrap().to_str().unwrap();
        let outcome = check(&scratch, &["--ask-loader", image]).ok();
        assert!(outcome.text().contains("the loader agrees on"), "{outcome:?}");
        assert!(outcome.text().contains(" modules: "), "{outcome:?}");
    }
}
