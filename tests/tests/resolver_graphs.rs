//! Graphs of libraries that nobody would build on purpose: in circles, thousands deep and wide, under names
//! of any bytes; and roots that try to make the resolver wait, or look outside. The expected answer is
//! the real loader's, in a chroot of the same root, wherever it has one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::resolve::{Closure, Options, Request, Sysroot, closure};
use common::tree::ImagePath;
use tempfile::TempDir;
use tests::elf::{Elf, library, program};
use tests::loader::{Answer, Loader};
use tests::outcome::{Outcome, run};
use tests::scratch::Scratch;

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
const MUSL: &str = "/lib/ld-musl-x86_64.so.1";
const PROGRAM: &str = "/bin/p";

/// A root that is removed with the value.
struct Root(TempDir);

impl Root {
    /// With a program, and the real loader that it names.
    fn new(program: &Elf, loader: &str) -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        root.put(PROGRAM, program);
        std::fs::create_dir_all(root.inside(loader).parent().unwrap()).unwrap();
        std::fs::copy(loader, root.inside(loader)).unwrap();
        root
    }

    fn inside(&self, path: impl AsRef<[u8]>) -> PathBuf {
        let path = path.as_ref();
        self.0.path().join(OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)))
    }

    fn put(&self, path: impl AsRef<[u8]>, object: &Elf) {
        object.write(&self.inside(path));
    }

    fn file(&self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) {
        let path = self.inside(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let path = self.inside(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn resolve(&self) -> Closure {
        let sysroot = Sysroot::open(self.0.path()).unwrap();
        let request = [Request::Program(ImagePath::new(PROGRAM).unwrap())];
        closure(&request, &sysroot, &Options::default()).unwrap()
    }

    fn loader_says(&self, path: &str) -> Answer {
        let loader = Loader { root: self.0.path(), path, library_path: None, preload: None };
        loader.list(OsStr::new(PROGRAM))
    }

    #[track_caller]
    fn agrees(&self, rule: &str, loader: &str) {
        let (expected, got) = (self.loader_says(loader), Answer::of(&self.resolve()));
        if expected != got {
            let cut = |answer: &Answer| answer.to_string().chars().take(2000).collect::<String>();
            panic!("{rule}\n  loader:   {}\n  resolver: {}", cut(&expected), cut(&got));
        }
    }
}

fn can_ask(loader: &str) -> bool {
    tests::require::root() && tests::require::file(loader).is_some()
}

#[test]
fn circles() {
    for loader in [GLIBC, MUSL] {
        if !can_ask(loader) {
            return;
        }
        for (rule, needs) in [
            ("one that needs itself", &[("liba.so", &["liba.so"][..])][..]),
            ("two", &[("liba.so", &["libb.so"]), ("libb.so", &["liba.so"])]),
            (
                "three, and each the others",
                &[
                    ("liba.so", &["libb.so", "libc1.so"]),
                    ("libb.so", &["libc1.so", "liba.so"]),
                    ("libc1.so", &["liba.so", "libb.so", "gone.so"]),
                ],
            ),
            ("through the program's own name", &[("liba.so", &["p", "libb.so"])]),
        ] {
            let root = Root::new(&program(loader, &["liba.so"]), loader);
            for (name, needed) in needs {
                root.put(format!("/usr/lib/{name}"), &library(name, needed));
            }
            root.agrees(rule, loader);
        }
    }
}

/// A chain: each needs the next, and every tenth the first as well.
fn chain(length: usize, each: impl Fn(usize, Elf) -> Elf) -> Root {
    let root = Root::new(&each(0, program(GLIBC, &["lib0.so"])), GLIBC);
    for number in 0..length {
        let mut object = library(&format!("lib{number}.so"), &[]);
        if number + 1 < length {
            object = object.needed(format!("lib{}.so", number + 1));
        }
        if number % 10 == 0 {
            object = object.needed("lib0.so");
        }
        root.put(format!("/opt/lib{number}.so"), &each(number, object));
    }
    root
}

#[test]
fn chains_of_hundreds_and_thousands() {
    if !can_ask(GLIBC) {
        return;
    }
    for (rule, root, count) in [
        ("500, each with its RUNPATH", chain(500, |_, elf| elf.runpath("/none:/opt")), 500),
        (
            "500, by the RPATH that all inherit",
            chain(500, |number, elf| if number == 0 { elf.rpath("/opt") } else { elf }),
            500,
        ),
        (
            "500, each with an RPATH that all below inherit",
            chain(500, |number, elf| elf.rpath(&format!("/none{number}:/opt"))),
            500,
        ),
        ("5000", chain(5000, |_, elf| elf.runpath("/opt")), 5000),
    ] {
        root.agrees(rule, GLIBC);
        assert_eq!(root.resolve().objects.len(), count + 2, "{rule}");
    }
}

#[test]
fn ten_thousand_names() {
    if !can_ask(GLIBC) {
        return;
    }
    let names: Vec<String> = (0..10_000).map(|number| format!("lib{number}.so")).collect();
    let many = names.iter().fold(program(GLIBC, &[]), Elf::needed).runpath("/opt");
    let root = Root::new(&many, GLIBC);
    for number in (0..10_000).step_by(100) {
        root.put(format!("/opt/lib{number}.so"), &library(&format!("lib{number}.so"), &[]));
    }
    root.agrees("10 000 names, of which 9 900 are missing", GLIBC);
    let same =
        (0..10_000).fold(program(GLIBC, &[]).runpath("/opt"), |elf, _| elf.needed("lib0.so"));
    root.put(PROGRAM, &same);
    root.agrees("one name 10 000 times", GLIBC);
    assert_eq!(root.resolve().programs[0].loads[0].dependencies.len(), 10_000);
}

/// Names that only bytes can hold.
const ODD: [&[u8]; 7] = [
    b"lib a.so",
    b" lib.so ",
    b"lib\xff\xfe.so",
    b"lib\x1b[31m.so",
    b"lib\t=.so",
    "lib\u{202e}os.so".as_bytes(),
    b"lib\\x.so",
];

#[test]
fn names_are_bytes() {
    if !can_ask(GLIBC) {
        return;
    }
    for name in ODD {
        // As a name that is searched, as the folder of a search path, and as the soname of another file.
        let other = [name, b"2"].concat();
        let elf = program(GLIBC, &[]).needed("first.so").needed(&other).needed(name);
        let root = Root::new(&elf.text(tests::elf::tag::RUNPATH, [b"/opt/", name].concat()), GLIBC);
        let folder = [b"/opt/", name, b"/"].concat();
        let object = library("", &[]);
        root.put(
            [folder.as_slice(), b"first.so"].concat(),
            &Elf::default().text(tests::elf::tag::SONAME, &other),
        );
        root.put([folder.as_slice(), name].concat(), &object);
        root.agrees(&String::from_utf8_lossy(name), GLIBC);
        assert_eq!(root.resolve().objects.len(), 4);
        std::fs::remove_file(root.inside([folder.as_slice(), name].concat())).unwrap();
        root.agrees(&String::from_utf8_lossy(name), GLIBC);
        assert_eq!(root.resolve().missing[0].name.as_bytes(), name);
    }
}

/// A root whose program, libraries, folders and links have the oddest names; also with newlines, for which
/// no loader's output can be read.
fn oddities() -> Root {
    let root = Root(tempfile::tempdir().unwrap());
    let mut elf = program(GLIBC, &["gone\n\x1b]0;title\x07.so"]);
    elf = elf.text(tests::elf::tag::RUNPATH, b"/opt/a\nb:/opt/\xff \x1b[2J");
    root.put(GLIBC, &library("ld.so", &[]));
    for (number, name) in
        ODD.iter().chain([&&b"lib\n/usr/bin/forged => /x (0x1)\n.so"[..]]).enumerate()
    {
        let folder = if number % 2 == 0 { &b"/opt/a\nb/"[..] } else { b"/opt/\xff \x1b[2J/" };
        let name: Vec<u8> =
            name.iter().map(|&byte| if byte == b'/' { b'_' } else { byte }).collect();
        root.put([folder, &name].concat(), &library("", &[]));
        elf = elf.needed(name);
    }
    root.put(PROGRAM, &elf);
    root
}

fn coracle(scratch: &Scratch, root: &Root, arguments: &[&str]) -> Outcome {
    let mut command = scratch.coracle();
    run(command.args(arguments).arg("--sysroot").arg(root.0.path()).arg(PROGRAM))
}

#[test]
fn odd_names_are_printed_escaped_and_kept_raw() {
    let scratch = Scratch::new("odd-names");
    let root = oddities();
    let closure = root.resolve();
    assert_eq!((closure.objects.len(), closure.missing.len()), (ODD.len() + 3, 1));
    for verb in ["tree", "closure"] {
        let outcome = coracle(&scratch, &root, &[verb]).exits(1);
        for text in [&outcome.stdout, &outcome.stderr] {
            let text = std::str::from_utf8(text).unwrap();
            assert!(
                !text.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')),
                "{text}"
            );
            assert!(!text.lines().any(|line| line.starts_with("/usr")), "a forged line: {text}");
        }
        assert!(outcome.errors().contains("`gone\\n\\x1b]0;title\\x07.so` is missing"));
    }
    let raw = coracle(&scratch, &root, &["closure", "-0"]).exits(1).stdout;
    let expected: Vec<u8> =
        closure.paths().iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
    assert_eq!(raw, expected);
    let json = coracle(&scratch, &root, &["tree", "--json"]).exits(1).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["programs"][0]["loads"].as_array().unwrap().len(), ODD.len() + 3);
    assert_eq!(json["missing"][0]["name"], "gone\\n\\x1b]0;title\\x07.so");
}

#[test]
fn what_is_no_file_is_never_waited_for() {
    let kinds: [(&str, fn(&Path)); 4] = [
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
        std::fs::set_permissions(root.inside(path), PermissionsExt::from_mode(0)).unwrap();
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
    std::fs::write(
        canary.join("cache"),
        tests::elf::cache(&[(b"libx.so", b"/in/libx.so", 0x303)], false),
    )
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

/// Runs `coracle` with 512 MiB of addresses.
fn confined(scratch: &Scratch, root: &Root) -> Outcome {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -v 524288; exec \"$@\"", "sh"]);
    command.arg(scratch.path().join("bin/coracle")).args(["closure", "--sysroot"]);
    run(command.arg(root.0.path()).arg(PROGRAM))
}

#[test]
fn no_number_in_a_file_takes_memory_or_time() {
    let scratch = Scratch::new("numbers");
    for (rule, bytes, length, message) in hostile() {
        let root = Root(tempfile::tempdir().unwrap());
        root.put(GLIBC, &library("ld.so", &[]));
        root.put(PROGRAM, &program(GLIBC, &["liba.so"]));
        root.file("/lib/liba.so", bytes);
        let file = std::fs::File::options().write(true).open(root.inside("/lib/liba.so")).unwrap();
        if let Some(length) = length {
            file.set_len(length).unwrap();
        }
        let outcome = confined(&scratch, &root);
        let code = if message.is_empty() { Some(0) } else { Some(1) };
        assert_eq!(outcome.status.code(), code, "{rule}: {outcome:?}");
        assert!(outcome.errors().contains(message), "{rule}: {outcome:?}");
    }
}

/// Rule, bytes of a library, the size to which its file is made, and part of what is said of it.
fn hostile() -> Vec<(&'static str, Vec<u8>, Option<u64>, &'static str)> {
    const TIB: Option<u64> = Some(1 << 40);
    let put = |mut bytes: Vec<u8>, at: usize, value: &[u8]| {
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let good = || library("liba.so", &[]).bytes();
    // As many segments as the header can count, behind the file's own bytes.
    let segments = |kind: u32, flags: u32, size: u64| {
        let mut bytes = good();
        let own = bytes[64..64 + 3 * 56].to_vec();
        let table = bytes.len() as u64;
        bytes.extend(own);
        for _ in 3..65_535_u32 {
            bytes.extend([kind.to_le_bytes(), flags.to_le_bytes()].concat());
            bytes.extend([0, 1 << 40, 0, size, size, 1_u64].map(u64::to_le_bytes).concat());
        }
        put(put(bytes, 32, &table.to_le_bytes()), 56, &[0xff, 0xff])
    };
    // A table of strings that never ends, and 1 TiB of symbols that never end.
    let long = "x".repeat(200_000);
    vec![
        ("a good one, in 1 TiB", good(), TIB, ""),
        ("a table of segments that is not there", put(good(), 56, &[0xff, 0xff]), None, "cut off"),
        ("a table of segments of zeros", put(good(), 56, &[0xff, 0xff]), TIB, ""),
        ("a table at the end of all numbers", put(good(), 32, &[0xff; 8]), TIB, "cut off"),
        (
            "65 535 segments to load",
            segments(1, 4, 1),
            None,
            "more segments than any linker writes",
        ),
        ("65 535 notes of 1 TiB", segments(4, 4, 1 << 40), None, ""),
        ("65 535 notes of the whole file", segments(4, 4, u64::MAX), TIB, ""),
        ("a segment of all numbers", put(good(), 64 + 32, &[0xff; 8]), TIB, ""),
        (
            "a string just before its table, by wrapping: an empty name",
            library("liba.so", &[]).number(1, u64::MAX).bytes(),
            None,
            "not a file but a folder",
        ),
        (
            "a string far behind the file",
            library("liba.so", &[]).number(1, 1 << 50).bytes(),
            TIB,
            "a string lies outside",
        ),
        (
            "gigabytes of one string",
            (0..60_000).fold(Elf::default().text(14, &long), |elf, _| elf.number(1, 1)).bytes(),
            None,
            "its strings have no end",
        ),
    ]
}
