//! The tree as text.
#![expect(clippy::too_many_lines, reason = "the tests are tables")]

use std::process::Command;

use builder::report::tree::{self, Style};
use builder::resolve::Options;
use tests::elf::{Elf, library, machine, program, tag};
use tests::outcome::run;

use super::{Case, LOADER, MUSL, PACKAGE, case, explained};

const PLAIN: Style = Style { depth: None, verbose: false, repeat: false };

impl Case {
    /// The text without what every case has: the first lines (program, interpreter) and the summary.
    #[track_caller]
    fn check(&self, style: Style, wanted: &str) {
        let text = tree::text(&self.explained(), style);
        let lines: Vec<&str> = text.lines().collect();
        let middle = lines[2..lines.len() - 2].join("\n");
        assert_eq!(middle, wanted.trim_matches('\n'), "\n{middle}\n");
    }
}

#[test]
fn every_rule_says_its_name() {
    let mut all = case(vec![
        (
            "/app/run",
            program(LOADER, &["libr.so", "libc.so", "libe.so", "/abs/liba.so", "libs.so"])
                .rpath("$ORIGIN/../r//:/plain"),
        ),
        ("/r/libr.so", library("libr.so", &["libin.so", "libn.so"])),
        ("/plain/libin.so", library("libin.so", &[])),
        ("/plain/libn.so", library("libn.so", &["libu.so"]).runpath("/u/$LIB:${ORIGIN}/u")),
        ("/plain/u/libu.so", library("libu.so", &[])),
        ("/cached/libc.so", library("libc.so", &[])),
        ("/env/libe.so", library("libe.so", &[])),
        ("/abs/liba.so", library("liba.so", &[])),
        ("/usr/lib/libs.so", library("libs.so", &[])),
        ("/pre/libp.so", library("libp.so", &["libr.so"])),
    ]);
    all.cached = vec!["/cached"];
    all.library_path = Some("/env");
    all.preload = Some("/pre/libp.so");
    all.check(
        PLAIN,
        "
├─ /pre/libp.so (preload)
│  └─ libr.so (loaded already)
├─ libr.so => /app/../r/libr.so (RPATH of /app/run: $ORIGIN/../r//)
│  ├─ libin.so => /plain/libin.so (RPATH of /app/run)
│  └─ libn.so => /plain/libn.so (RPATH of /app/run)
│     └─ libu.so => /plain/u/libu.so (RUNPATH of /plain/libn.so: ${ORIGIN}/u)
├─ libc.so => /cached/libc.so (ld.so.cache)
├─ libe.so => /env/libe.so (library path)
├─ /abs/liba.so (by its path)
└─ libs.so => /lib/libs.so (ld.so.cache)
",
    );
    case(vec![
        ("/app/run", program(MUSL, &["libr.so", "libpthread.so.0"]).runpath("$ORIGIN/r")),
        ("/app/r/libr.so", library("libr.so", &["libin.so", "libc.musl-x86_64.so.1"])),
        ("/app/r/libin.so", library("libin.so", &[])),
    ])
    .check(
        PLAIN,
        "
├─ libr.so => /app/r/libr.so (RUNPATH of /app/run: $ORIGIN/r)
│  ├─ libin.so => /app/r/libin.so (RUNPATH of /app/run: $ORIGIN/r)
│  └─ libc.musl-x86_64.so.1 (loaded already, the interpreter)
└─ libpthread.so.0 (loaded already, the interpreter)
",
    );
}

#[test]
fn what_is_passed_over_and_what_is_shadowed() {
    let other = |elf: Elf| elf.for_machine(false, false, machine::I386);
    let mut all = case(vec![
        (
            "/app/run",
            program(LOADER, &["liba.so", "libb.so"]).runpath("/32:/arm:/dangling:/none:/x:/y"),
        ),
        ("/32/liba.so", other(library("liba.so", &[]))),
        ("/arm/liba.so", library("liba.so", &[]).for_machine(true, false, machine::AARCH64)),
        ("/x/liba.so", library("liba.so", &["libb.so"])),
        ("/y/liba.so", library("liba.so", &[])),
        ("/usr/lib/x86_64-linux-gnu/liba.so", library("liba.so", &[])),
        ("/cached/liba.so", library("liba.so", &[])),
        ("/usr/lib/libb.so", library("libb.so", &[])),
    ]);
    all.links = vec![("/dangling/liba.so", "nowhere"), ("/usr/lib/liba.so", "/x/liba.so")];
    all.cached = vec!["/cached"];
    all.check(
        PLAIN,
        "
├─ liba.so => /x/liba.so (RUNPATH of /app/run)
│  │ passed over /32/liba.so (RUNPATH of /app/run): an object for another word size
│  │ passed over /arm/liba.so (RUNPATH of /app/run): an object for another machine
│  │ passed over /dangling/liba.so (RUNPATH of /app/run): a dangling link
│  │ shadows /y/liba.so (RUNPATH of /app/run)
│  │ shadows /cached/liba.so (ld.so.cache)
│  │ shadows /lib/x86_64-linux-gnu/liba.so (system directory)
│  └─ libb.so (loaded already)
└─ libb.so => /lib/libb.so (ld.so.cache)
",
    );
    all.check(
        Style { verbose: true, ..PLAIN },
        "
├─ liba.so => /x/liba.so (RUNPATH of /app/run)
│  │ passed over /32/liba.so (RUNPATH of /app/run): an object for another word size
│  │ passed over /arm/liba.so (RUNPATH of /app/run): an object for another machine
│  │ passed over /dangling/liba.so (RUNPATH of /app/run): a dangling link
│  │ tried /none/liba.so (RUNPATH of /app/run): no such file
│  │ shadows /y/liba.so (RUNPATH of /app/run)
│  │ shadows /cached/liba.so (ld.so.cache)
│  │ shadows /lib/x86_64-linux-gnu/liba.so (system directory)
│  └─ libb.so (loaded already)
└─ libb.so => /lib/libb.so (ld.so.cache)
     tried /32/libb.so (RUNPATH of /app/run): no such file
     tried /arm/libb.so (RUNPATH of /app/run): no such file
     tried /dangling/libb.so (RUNPATH of /app/run): no such file
     tried /none/libb.so (RUNPATH of /app/run): no such file
     tried /x/libb.so (RUNPATH of /app/run): no such file
     tried /y/libb.so (RUNPATH of /app/run): no such file
",
    );
    all.check(
        Style { depth: Some(1), ..PLAIN },
        "
├─ liba.so => /x/liba.so (RUNPATH of /app/run)
│    passed over /32/liba.so (RUNPATH of /app/run): an object for another word size
│    passed over /arm/liba.so (RUNPATH of /app/run): an object for another machine
│    passed over /dangling/liba.so (RUNPATH of /app/run): a dangling link
│    shadows /y/liba.so (RUNPATH of /app/run)
│    shadows /cached/liba.so (ld.so.cache)
│    shadows /lib/x86_64-linux-gnu/liba.so (system directory)
└─ libb.so => /lib/libb.so (ld.so.cache)
",
    );
}

/// The table of names comes before any search path (glibc `elf/dl-load.c`,
/// `_dl_map_object`): the usual cause of a wrong library.
#[test]
fn an_object_that_answers_to_its_name_stands_in_for_another_file() {
    let mut all = case(vec![
        ("/app/run", program(LOADER, &["libone.so.1", "libb.so", "liba.so"]).runpath("/u:/v")),
        ("/u/libone.so.1", library("liba.so", &[])),
        (
            "/v/libb.so",
            library("libb.so", &["liba.so", "libi.so", "libl.so", "libh.so"]).runpath("/v"),
        ),
        ("/v/liba.so", library("liba.so", &[])),
        ("/usr/lib/liba.so", library("liba.so", &[])),
        ("/usr/lib/libi.so", library("", &["libb.so"])),
    ]);
    all.links = vec![("/v/libl.so", "../u/libone.so.1")];
    all.hard = vec![("/v/libh.so", "/u/libone.so.1")];
    all.check(
        PLAIN,
        "
├─ libone.so.1 => /u/libone.so.1 (RUNPATH of /app/run)
├─ libb.so => /v/libb.so (RUNPATH of /app/run)
│  ├─ liba.so => /u/libone.so.1 (loaded already, by its soname)
│  │    instead of /v/liba.so (RUNPATH of /v/libb.so)
│  ├─ libi.so => /lib/libi.so (system directory)
│  │  └─ libb.so (loaded already)
│  ├─ libl.so (loaded already, the same file as /u/libone.so.1)
│  └─ libh.so (loaded already, the same file as /u/libone.so.1)
└─ liba.so => /u/libone.so.1 (loaded already, by its soname)
     instead of /v/liba.so (RUNPATH of /app/run)
",
    );
    all.check(
        Style { verbose: true, ..PLAIN },
        "
├─ libone.so.1 => /u/libone.so.1 (RUNPATH of /app/run)
├─ libb.so => /v/libb.so (RUNPATH of /app/run)
│  │ tried /u/libb.so (RUNPATH of /app/run): no such file
│  ├─ liba.so => /u/libone.so.1 (loaded already, by its soname)
│  │    instead of /v/liba.so (RUNPATH of /v/libb.so)
│  │    shadows /lib/liba.so (system directory)
│  ├─ libi.so => /lib/libi.so (system directory)
│  │  │ tried /v/libi.so (RUNPATH of /v/libb.so): no such file
│  │  │ tried /lib/x86_64-linux-gnu/libi.so (system directory): no such file
│  │  │ tried /usr/lib/x86_64-linux-gnu/libi.so (system directory): no such file
│  │  └─ libb.so (loaded already)
│  ├─ libl.so (loaded already, the same file as /u/libone.so.1)
│  └─ libh.so (loaded already, the same file as /u/libone.so.1)
└─ liba.so => /u/libone.so.1 (loaded already, by its soname)
     instead of /v/liba.so (RUNPATH of /app/run)
     shadows /lib/liba.so (system directory)
",
    );
    all.check(
        Style { repeat: true, ..PLAIN },
        "
├─ libone.so.1 => /u/libone.so.1 (RUNPATH of /app/run)
├─ libb.so => /v/libb.so (RUNPATH of /app/run)
│  ├─ liba.so => /u/libone.so.1 (loaded already, by its soname)
│  │    instead of /v/liba.so (RUNPATH of /v/libb.so)
│  ├─ libi.so => /lib/libi.so (system directory)
│  │  └─ libb.so (loaded already)
│  ├─ libl.so (loaded already, the same file as /u/libone.so.1)
│  └─ libh.so (loaded already, the same file as /u/libone.so.1)
└─ liba.so => /u/libone.so.1 (loaded already, by its soname)
     instead of /v/liba.so (RUNPATH of /app/run)
",
    );
}

#[test]
fn what_is_missing_is_told_in_its_place() {
    let mut all = case(vec![
        (
            "/app/run",
            program(LOADER, &["libgone.so", "libbad.so", "$PLATFORM-$LIB/x", "rel/liba.so"])
                .text(tag::AUXILIARY, "libaux.so")
                .text(tag::FILTER, "libfil.so")
                .runpath("/o:/o/:/loop:/p"),
        ),
        ("/o/libgone.so", library("", &[]).for_machine(false, false, machine::I386)),
    ]);
    all.links = vec![("/loop/libgone.so", "libgone.so")];
    all.files = vec![("/p/libbad.so", b"text")];
    all.check(
        PLAIN,
        "
├─ libgone.so => missing
│    tried /o/libgone.so (RUNPATH of /app/run): an object for another word size
│    tried /loop/libgone.so (RUNPATH of /app/run): a loop of links
│    tried /lib/x86_64-linux-gnu/libgone.so (system directory): no such file
│    tried /usr/lib/x86_64-linux-gnu/libgone.so (system directory): no such file
│    tried /lib/libgone.so (system directory): no such file
│    tried /usr/lib/libgone.so (system directory): no such file
├─ libbad.so => /p/libbad.so (cannot be loaded: not an ELF file)
├─ $PLATFORM-$LIB/x => missing
│    tried x86_64-lib/x86_64-linux-gnu/x (by its path): relative to the working directory
├─ rel/liba.so => missing
│    tried rel/liba.so (by its path): relative to the working directory
├─ libaux.so => missing (auxiliary)
└─ libfil.so => missing (filter)
     tried /o/libfil.so (RUNPATH of /app/run): no such file
     tried /loop/libfil.so (RUNPATH of /app/run): no such file
     tried /p/libfil.so (RUNPATH of /app/run): no such file
     tried /lib/x86_64-linux-gnu/libfil.so (system directory): no such file
     tried /usr/lib/x86_64-linux-gnu/libfil.so (system directory): no such file
     tried /lib/libfil.so (system directory): no such file
     tried /usr/lib/libfil.so (system directory): no such file
",
    );
}

#[test]
fn names_and_notes_of_others_forge_no_line() {
    let forged = "libx.so => evil (ld.so.cache)";
    let note = br#"{"type":"deb","name":"a\u001b[2J\nb","version":"1] => 2"}"#;
    let all = case(vec![
        ("/app/run", program(LOADER, &[forged, "lib\n\u{202e}\"\\.so"]).runpath("/with blank")),
        ("/with blank/libx.so => evil (ld.so.cache)", library("", &[]).note("FDO", PACKAGE, note)),
    ]);
    all.check(PLAIN, r#"
├─ "libx.so => evil (ld.so.cache)" => "/with blank/libx.so => evil (ld.so.cache)" (RUNPATH of /app/run) [deb "a\x1b[2J\nb" "1] => 2"]
└─ "lib\n\u{202e}\"\\.so" => missing
     tried "/with blank/lib\n\u{202e}\"\\.so" (RUNPATH of /app/run): no such file
     tried "/lib/x86_64-linux-gnu/lib\n\u{202e}\"\\.so" (system directory): no such file
     tried "/usr/lib/x86_64-linux-gnu/lib\n\u{202e}\"\\.so" (system directory): no such file
     tried "/lib/lib\n\u{202e}\"\\.so" (system directory): no such file
     tried "/usr/lib/lib\n\u{202e}\"\\.so" (system directory): no such file
"#);
}

#[test]
fn packages_links_and_sums() {
    let note = br#"{"type":"rpm","name":"zlib","version":"1.3-1.fc40","architecture":"x86_64"}"#;
    let mut all = case(vec![
        ("/usr/bin/real", program(LOADER, &["libz.so.1", "libgone.so"]).note("FDO", PACKAGE, note)),
        ("/usr/lib/libz.so.1.3", library("libz.so.1", &[]).note("FDO", PACKAGE, note)),
    ]);
    all.links = vec![
        ("/app/run", "../usr/bin/real"),
        ("/usr/lib/x86_64-linux-gnu/libz.so.1", "/etc/alternatives/libz"),
        ("/etc/alternatives/libz", "../../lib/libz.so.1.3"),
    ];
    assert_eq!(
        tree::text(&all.explained(), PLAIN),
        "\
/app/run -> ../usr/bin/real (glibc) [rpm zlib 1.3-1.fc40]
├─ /lib64/ld-linux-x86-64.so.2 (interpreter)
├─ libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 -> /etc/alternatives/libz -> ../../lib/libz.so.1.3 \
         (system directory) [rpm zlib 1.3-1.fc40]
└─ libgone.so => missing
     tried /lib/x86_64-linux-gnu/libgone.so (system directory): no such file
     tried /usr/lib/x86_64-linux-gnu/libgone.so (system directory): no such file
     tried /lib/libgone.so (system directory): no such file
     tried /usr/lib/libgone.so (system directory): no such file

3 files, 1.8 kB, 1 missing
"
    );
}

/// As many levels as a chain of libraries has; the bars before them stay within bounds.
#[test]
fn a_long_chain_is_told_to_its_end() {
    let names: Vec<String> = (0..500).map(|number| format!("lib{number}.so")).collect();
    let root = case(vec![("/app/run", program(LOADER, &["lib0.so"]))]).root();
    for (number, name) in names.iter().enumerate() {
        let next: Vec<&str> = names.get(number + 1).map(String::as_str).into_iter().collect();
        library(name, &next).write(&root.path().join("usr/lib").join(name));
    }
    let explained = explained(root.path(), &Options::default());
    for repeat in [false, true] {
        let text = tree::text(&explained, Style { repeat, ..PLAIN });
        assert!(text.contains("[500] lib499.so => /lib/lib499.so (system directory)\n"));
        assert!(text.lines().all(|line| line.len() < 400));
    }
}

/// Where everybody needs everybody, repeating has no end; it stops where something stands above, and
/// after many lines.
#[test]
fn repeating_ends() {
    let names: Vec<String> = (0..12).map(|number| format!("lib{number}.so")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let case = case(vec![("/app/run", program(LOADER, &all))]);
    let root = case.root();
    for name in &names {
        library(name, &all).write(&root.path().join("usr/lib").join(name));
    }
    let explained = explained(root.path(), &Options::default());
    assert_eq!(tree::text(&explained, PLAIN).lines().count(), 1 + 1 + 12 + 12 * 12 + 2);
    let text = tree::text(&explained, Style { repeat: true, ..PLAIN });
    assert!(text.contains("\n... more than 100000 lines; try --depth\n"));
}

#[test]
fn the_verb_prints_what_it_found_and_ends_with_1() {
    let root = case(vec![("/app/run", program(LOADER, &["libgone.so"]))]).root();
    let verb = |arguments: &[&str], status: i32| {
        let mut command = Command::new(tests::programs::coracle());
        command.arg("tree").args(arguments).arg("--sysroot").arg(root.path());
        run(&mut command).exits(status)
    };
    let said = verb(&["--depth", "1", "app/run"], 1);
    assert!(said.text().starts_with("/app/run (glibc)\n├─ "), "{said:?}");
    assert!(said.text().ends_with("\n\n2 files, 1.0 kB, 1 missing"), "{said:?}");
    assert!(said.errors().contains("error: `libgone.so` is missing, needed by `/app/run`\n"));
    let flat = verb(&["-d0", "/app/run"], 1).text();
    assert_eq!(flat, "/app/run (glibc)\n\n2 files, 1.0 kB, 1 missing");
    assert!(verb(&["--dot", "/app/run"], 1).text().starts_with("digraph coracle {\n"));
    assert!(verb(&["--json", "/app/run"], 1).text().starts_with("{\n  \"version\": 1,\n"));
    verb(&["--dot", "--json", "/app/run"], 2);
    verb(&["/app/gone"], 1);
}
