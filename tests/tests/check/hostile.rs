//! Tables of symbols, versions and notes that are wrong in every way: nothing panics, grows or hangs.

use std::path::Path;

use builder::elf::{
    Binding, IsaLevel, Kernel, Name, Platform, Symbols, Versions, undefined_symbols,
};
use builder::resolve::Sysroot;
use proptest::prelude::*;
use tests::damage::{cuts, extremes};
use tests::elf::{Elf, Symbol, library, machine, program};

use super::{GLIBC, check};

/// Everything that a check reads of an object.
fn read(bytes: &[u8]) {
    let _versions = Versions::read(bytes);
    let _platform = Platform::read(bytes);
    let _undefined = undefined_symbols(bytes);
    if let Ok(symbols) = Symbols::read(bytes) {
        let names: usize = symbols.used().chain(symbols.findable()).map(|s| s.name.len()).sum();
        assert!(names <= bytes.len() * (symbols.len() + 1), "names come from the file");
    }
}

fn sample() -> Elf {
    program(GLIBC, &["liba.so"])
        .symbol(Symbol::defined("d").version(4))
        .uses(Symbol::undefined("f").version(2), 7)
        .uses(Symbol::undefined("w").binding(2).version(0x8003), 1)
        .needs_version("liba.so", "V1", 2, 0)
        .needs_version("liba.so", "V2", 3, 2)
        .defines_version("me", 1, 1)
        .defines_version("V3", 4, 0)
        .note("GNU", 1, &[0, 3, 2, 0].map(u32::to_le_bytes).concat())
        .note("GNU", 5, &[0xc000_8002, 4, 5, 0].map(u32::to_le_bytes).concat())
}

#[test]
fn every_class_and_byte_order_is_read_alike() {
    for (wide, big, number) in [
        (true, false, machine::X86_64),
        (true, false, machine::AARCH64),
        (true, true, machine::S390),
        (false, false, machine::I386),
        (false, true, machine::S390),
    ] {
        let bytes = sample().for_machine(wide, big, number).bytes();
        let symbols = Symbols::read(bytes.as_slice()).unwrap();
        let used: Vec<_> = symbols.used().collect();
        assert_eq!(used.iter().map(|s| s.name).collect::<Vec<_>>(), [b"f", b"w"]);
        assert_eq!(used.iter().map(|s| s.version).collect::<Vec<_>>(), [Some(2), Some(3)]);
        assert_eq!(used.iter().map(|s| s.hidden).collect::<Vec<_>>(), [false, true]);
        assert_eq!(used[1].binding, Binding::Weak);
        assert_eq!(symbols.findable().filter(|s| s.defined).count(), 1);
        let versions = Versions::read(bytes.as_slice()).unwrap();
        assert_eq!(versions, symbols.versions);
        let needed: Vec<_> = versions.needs.iter().flat_map(|need| &need.versions).collect();
        assert_eq!(
            needed.iter().map(|v| &v.name).collect::<Vec<_>>(),
            [&Name::from("V1"), &Name::from("V2")]
        );
        assert_eq!(needed.iter().map(|v| v.weak).collect::<Vec<_>>(), [false, true]);
        let defined = versions.definitions.unwrap();
        assert_eq!(defined.iter().map(|v| v.base).collect::<Vec<_>>(), [true, false]);
    }
}

#[test]
fn notes_say_kernel_and_processor() {
    let level = |bits: u32| {
        let note = [0xc000_8002, 4, bits, 0].map(u32::to_le_bytes).concat();
        // Behind a property of another kind.
        let note = [[0xc000_0002, 4, 3, 0].map(u32::to_le_bytes).concat(), note].concat();
        Platform::read(library("", &[]).note("GNU", 5, &note).bytes().as_slice()).unwrap().isa
    };
    for (bits, expected) in [
        (0, None),
        (1, Some(IsaLevel::Baseline)),
        (3, Some(IsaLevel::V2)),
        (4, Some(IsaLevel::V3)),
        (15, Some(IsaLevel::V4)),
        (u32::MAX, Some(IsaLevel::V4)),
    ] {
        assert_eq!(level(bits), expected, "{bits}");
    }
    let bytes = sample().bytes();
    let platform = Platform::read(bytes.as_slice()).unwrap();
    assert_eq!(platform, Platform { isa: Some(IsaLevel::V3), kernel: Some(Kernel(3, 2, 0)) });
    // Hurd's note says nothing of Linux.
    let hurd = [1, 9, 9, 9].map(u32::to_le_bytes).concat();
    let bytes = library("", &[]).note("GNU", 1, &hurd).bytes();
    assert_eq!(Platform::read(bytes.as_slice()).unwrap().kernel, None);
}

#[test]
fn a_newer_processor_and_the_floor_are_told() {
    let root = tempfile::tempdir().unwrap();
    let note = [0xc000_8002, 4, 7, 0].map(u32::to_le_bytes).concat();
    let needs = |elf: Elf, version| elf.needs_version("libc.so.6", version, 2, 0);
    let libc = (2..).zip(["GLIBC_2.9", "GLIBC_2.10", "GLIBC_2.40"]);
    let libc = libc
        .fold(library("libc.so.6", &[]).defines_version("libc.so.6", 1, 1), |lib, (n, v)| {
            lib.defines_version(v, n, 0)
        });
    for (path, object) in [
        ("app", needs(program(GLIBC, &["liba.so", "libm.so.6", "libc.so.6"]), "GLIBC_2.9")),
        (
            "lib/liba.so",
            needs(library("liba.so", &["libc.so.6"]), "GLIBC_2.10").note("GNU", 5, &note),
        ),
        // A part of glibc may need what it likes, but not be newer than its library.
        (
            "lib/libm.so.6",
            needs(library("libm.so.6", &["libc.so.6"]), "GLIBC_2.40")
                .defines_version("libm.so.6", 1, 1)
                .defines_version("GLIBC_2.41", 3, 0)
                .defines_version("GLIBC_PRIVATE", 4, 0),
        ),
        ("lib/libc.so.6", libc),
        ("lib64/ld-linux-x86-64.so.2", library("ld-linux-x86-64.so.2", &[])),
    ] {
        object.write(&root.path().join(path));
    }
    let report = check(&Sysroot::open(root.path()).unwrap(), &["/app"]);
    let notices: Vec<String> = report.notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices, ["`/lib/liba.so` needs a processor of level x86-64-v3"]);
    let problems: Vec<String> = report.problems.iter().map(|f| f.problem.to_string()).collect();
    assert_eq!(
        problems,
        [
            "`/lib/libc.so.6` (GLIBC_2.40) and `/lib/libm.so.6` (GLIBC_2.41) are of different builds of glibc"
        ]
    );
    let floor = &report.floor.versions[0];
    assert_eq!((floor.kind, floor.version.as_str()), ("GLIBC", "2.10"));
    assert_eq!(floor.needed_by.to_string(), "/lib/liba.so");
}

#[test]
fn a_loader_of_another_build_is_found() {
    let (Some(loader), Some(libc)) =
        (tests::require::file(GLIBC), tests::require::file("/lib/x86_64-linux-gnu/libc.so.6"))
    else {
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let inside = |path: &str| root.path().join(path.trim_start_matches('/'));
    program(GLIBC, &["libc.so.6"]).write(&inside("app"));
    std::fs::create_dir_all(inside("lib64")).unwrap();
    std::fs::create_dir_all(inside("lib")).unwrap();
    std::fs::copy(libc, inside("lib/libc.so.6")).unwrap();
    let problems = |loader: &[u8]| {
        std::fs::write(inside(GLIBC), loader).unwrap();
        let report = check(&Sysroot::open(root.path()).unwrap(), &["/app"]);
        report.problems.iter().map(|f| f.problem.to_string()).collect::<Vec<_>>()
    };
    let mut loader = std::fs::read(loader).unwrap();
    assert_eq!(problems(&loader), Vec::<String>::new());
    // Another revision of the distribution: the last digit of what it says of itself.
    let line = b" stable release version ";
    let at = loader.windows(line.len()).position(|window| window == line).unwrap();
    loader[at - 2] ^= 1;
    let problems = problems(&loader);
    assert!(problems[0].contains("are of different builds of glibc"), "{problems:?}");
}

#[test]
fn tables_that_do_not_end_are_ended() {
    // A chain of records that lead one byte forward, through a file that grows them for ever.
    let good = sample().bytes();
    let place =
        |wanted: &[u8]| good.windows(wanted.len()).position(|window| window == wanted).unwrap();
    let need = place(&[1, 0, 1, 0]);
    let mut endless = good.clone();
    endless[need + 12..need + 16].copy_from_slice(&1_u32.to_le_bytes());
    read(&endless);
    // A relocation that names the last possible symbol does not make a table of that size.
    let relocation = place(&(2_u64 << 32 | 7).to_le_bytes());
    let mut far = good.clone();
    far[relocation + 4..relocation + 8].fill(0xff);
    let error = Symbols::read(far.as_slice()).unwrap_err();
    assert!(error.to_string().contains("a relocation names a symbol that cannot exist"), "{error}");
    // What cannot be read is a problem, and the others are checked all the same.
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("app"), far).unwrap();
    library("ld-linux-x86-64.so.2", &[]).write(&root.path().join(Path::new(&GLIBC[1..])));
    let report = check(&Sysroot::open(root.path()).unwrap(), &["/app"]);
    assert!(
        report.problems[0].problem.to_string().starts_with("the symbols of `/app` cannot be read")
    );
}

#[test]
fn every_cut_and_every_extreme_byte_is_survived() {
    for elf in [sample(), sample().for_machine(false, true, machine::S390)] {
        let bytes = elf.bytes();
        cuts(&bytes).for_each(read);
        extremes(&bytes).for_each(|changed| read(&changed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_changes_are_survived(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 1..8)) {
        let mut bytes = sample().bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len() - 8);
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        read(&bytes);
    }
}
