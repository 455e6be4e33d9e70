//! Whole roots: objects, links, caches and configuration that the bytes choose, and what is asked of
//! them. What is found lies in the root, under the name it is told by, and is found again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use builder::elf::Name;
use builder::resolve::{Closure, Options, Request, Sysroot, Target, closure as resolve, ld_conf};
use builder::spec::search::{Cpus, DlopenLevel};
use common::tree::ImagePath;
use tempfile::TempDir;

use super::input::Input;
use crate::elf::{Elf, library, machine, program, tag};

/// Files that one input makes.
const MAX_STEPS: usize = 24;

const FOLDERS: [&str; 8] = [
    "/lib64",
    "/usr/lib64",
    "/opt",
    "/opt/a b",
    "/bin",
    "/etc",
    "/opt/glibc-hwcaps/x86-64-v2",
    "/",
];
const NAMES: [&str; 12] = [
    "liba.so",
    "libb.so",
    "libc.so.6",
    "libd\n.so",
    "p",
    "ld.so",
    "ld.so.cache",
    "ld.so.preload",
    "ld.so.conf",
    "lib64",
    "x",
    "libc.so",
];
const TARGETS: [&str; 10] = [
    "liba.so",
    "../opt/libb.so",
    "/opt",
    "..",
    ".",
    "../../../../../../../host/canary.so",
    "x",
    "/x/x",
    "/usr/lib64",
    "",
];
const LISTS: [&str; 8] = [
    "$ORIGIN",
    "$ORIGIN/../opt:/lib64",
    "/opt:/opt/a b",
    "${LIB}:$PLATFORM:/$LIB",
    ":",
    "/x/../opt",
    "/opt/$ORIGIN",
    "$ORIGINx:$$ORIGIN",
];
const INTERPRETERS: [&str; 4] =
    ["/lib64/ld.so", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1", "/bin/p"];

/// Steps that make a root, in a folder that has another one beside it; then a program, a module and a
/// library are resolved in it.
///
/// # Panics
/// When something does not hold that must.
pub fn closure(bytes: &[u8]) {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let made = TempDir::with_prefix_in("coracle-fuzz-", parent).expect("a folder");
    let outside = made.path().join("host");
    std::fs::create_dir(&outside).expect("a folder beside the root");
    library("canary.so", &[]).write(&outside.join("canary.so"));
    let root = made.path().join("root");
    let mut input = Input(bytes);
    make(&root, &mut input);
    let mut options = Options {
        library_path: (input.byte() == 1).then(|| text(&mut input, &LISTS).into()),
        preload: (0..input.byte() % 2).map(|_| text(&mut input, &NAMES).into()).collect(),
        ..Options::default()
    };
    let mut requests = requests(&mut input);
    if input.byte() % 2 == 1 {
        options.cpus = Cpus::All;
        options.dlopen.level = DlopenLevel::All;
    }
    let ask = |requests: &[Request]| {
        let sysroot = Sysroot::open(&root).expect("the root");
        let answer = resolve(requests, &sysroot, &options);
        ld_conf::folders(&sysroot);
        answer.ok()
    };
    let answer = ask(&requests).or_else(|| {
        requests.truncate(1);
        ask(&requests)
    });
    let Some(answer) = answer else { return };
    check(&answer, &root);
    let again = ask(&requests).map(|answer| serde_json::to_string(&answer).expect("JSON"));
    assert_eq!(Some(serde_json::to_string(&answer).expect("JSON")), again);
}

fn make(root: &Path, input: &mut Input<'_>) {
    for folder in FOLDERS {
        std::fs::create_dir_all(inside(root, folder.as_bytes())).expect("a folder");
    }
    // Something to start from, which steps may replace.
    let mut program = program(INTERPRETERS[0], &["liba.so", "libb.so"]);
    dynamic(&mut program, input);
    program.write(&inside(root, b"/bin/p"));
    library("ld.so", &[]).write(&inside(root, INTERPRETERS[0].as_bytes()));
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        step(root, input);
    }
}

/// One file or link. What cannot be made (a file where a folder is, a name that is too long) is not.
fn step(root: &Path, input: &mut Input<'_>) {
    let kind = input.byte();
    let path = inside(root, &path(input));
    let _replaced = std::fs::remove_file(&path);
    let _made = match kind % 8 {
        0..=2 => std::fs::write(&path, object(input).bytes()),
        3 => std::os::unix::fs::symlink(OsStr::from_bytes(&text(input, &TARGETS)), &path),
        4 => std::fs::create_dir(&path),
        5 => std::fs::write(&path, lines(input)),
        6 => std::fs::hard_link(inside(root, &self::path(input)), &path),
        _ => {
            // An object with a piece written over.
            let mut bytes = object(input).bytes();
            let at = usize::from(input.byte()) * 4 % bytes.len();
            let piece = input.chunk();
            let count = piece.len().min(bytes.len() - at);
            bytes[at..at + count].copy_from_slice(&piece[..count]);
            std::fs::write(&path, bytes)
        }
    };
}

fn object(input: &mut Input<'_>) -> Elf {
    let kind = input.byte();
    let mut elf = if kind & 1 == 0 {
        library(NAMES[usize::from(kind >> 1) % NAMES.len()], &[])
    } else {
        program(INTERPRETERS[usize::from(kind >> 1) % INTERPRETERS.len()], &[])
    };
    if kind & 0x80 != 0 {
        elf = elf.for_machine(kind & 0x40 != 0, kind & 0x20 != 0, machine::I386);
    }
    dynamic(&mut elf, input);
    elf
}

fn dynamic(elf: &mut Elf, input: &mut Input<'_>) {
    const TAGS: [u64; 8] = [
        tag::NEEDED,
        tag::NEEDED,
        tag::RPATH,
        tag::RUNPATH,
        tag::AUXILIARY,
        tag::FILTER,
        tag::AUDIT,
        tag::SONAME,
    ];
    for _ in 0..input.byte() % 8 {
        let tag = *input.choose(&TAGS);
        let lists = tag == tag::RPATH || tag == tag::RUNPATH;
        let value = if lists { text(input, &LISTS) } else { name(input) };
        *elf = elf.clone().text(tag, value);
    }
    if input.byte() == 1 {
        *elf = elf.clone().number(tag::FLAGS_1, 0x800);
    }
}

/// A name as it is needed: searched, or with a path.
fn name(input: &mut Input<'_>) -> Vec<u8> {
    match input.byte() % 4 {
        0 => path(input),
        1 => [b"$ORIGIN/", text(input, &NAMES).as_slice()].concat(),
        _ => text(input, &NAMES),
    }
}

/// A list of them, for preload files, configuration and scripts.
fn lines(input: &mut Input<'_>) -> Vec<u8> {
    let start = *input.choose(&["", "#!/bin/p\n", "include /etc/*\n", "#!/usr/bin/env -S p\n"]);
    let more = input.chunk();
    [start.as_bytes(), &path(input), b"\n", more].concat()
}

/// One of several, or bytes as they come, without NUL.
fn text(input: &mut Input<'_>, usual: &[&str]) -> Vec<u8> {
    let choice = usize::from(input.byte());
    match usual.get(choice) {
        Some(text) => text.as_bytes().to_vec(),
        None if choice < 0xe0 => usual[choice % usual.len()].as_bytes().to_vec(),
        None => input.chunk().iter().copied().filter(|&byte| byte != 0).collect(),
    }
}

fn path(input: &mut Input<'_>) -> Vec<u8> {
    let folder = input.choose(&FOLDERS).as_bytes();
    [folder, b"/", &text(input, &NAMES)].concat()
}

/// Below the root, whatever `..` the bytes have.
fn inside(root: &Path, path: &[u8]) -> PathBuf {
    let mut inside = root.to_owned();
    let parts = path.split(|&byte| byte == b'/');
    inside.extend(parts.filter(|part| !matches!(*part, b".." | b".")).map(OsStr::from_bytes));
    inside
}

fn requests(input: &mut Input<'_>) -> Vec<Request> {
    let program = ImagePath::new("/bin/p").expect("a path");
    let mut requests = vec![Request::Program(program.clone())];
    for _ in 0..input.byte() % 3 {
        let name = name(input);
        requests.push(match ImagePath::new(&name) {
            Ok(path) => Request::Module { path, program: program.clone() },
            Err(_) => Request::Library {
                name: Name::from(name),
                program: program.clone(),
                caller: None,
                optional: input.byte() == 0,
            },
        });
    }
    requests
}

fn check(closure: &Closure, root: &Path) {
    let canonical = root.canonicalize().expect("the root");
    let sysroot = Sysroot::open(root).expect("the root");
    let real = |path: &ImagePath| inside(&canonical, path.as_bytes());
    for path in closure.files() {
        // No link is left in it, and it leads nowhere else.
        assert_eq!(real(path).canonicalize().ok(), Some(real(path)), "{path} is not in the root");
        assert!(real(path).is_file(), "{path} is no file");
    }
    for (path, link) in &closure.links {
        let says = std::fs::read_link(real(path)).expect("a link");
        assert_eq!(says.as_os_str().as_bytes(), link.target.as_bytes(), "{path}");
    }
    let distinct: BTreeSet<_> = closure.objects.iter().map(|found| &found.path).collect();
    assert_eq!(distinct.len(), closure.objects.len(), "an object is there twice");
    for program in &closure.programs {
        let end = program.first + program.loads.len();
        for (number, load) in (program.first..).zip(&program.loads) {
            let (walk, target) = sysroot.lookup(load.opened.as_bytes()).expect("what was opened");
            assert!(matches!(target, Target::File(_)), "{} is no file", load.opened);
            assert_eq!(walk.real, closure.objects[load.object].path, "{}", load.opened);
            assert!(load.by.is_none_or(|by| by < number), "loaded before who asks for it");
            let answers = load.dependencies.iter().filter_map(|dependency| dependency.load);
            assert!(answers.max().is_none_or(|answer| answer < end), "an answer that is no load");
        }
    }
    for missing in &closure.missing {
        assert!(!missing.to_string().contains('\x1b') && !missing.hint().contains('\n'));
    }
}
