//! What objects ask of a processor, by the processor that they are loaded on.

use std::collections::BTreeSet;

use builder::check::{Notice, check};
use builder::report::check::text;
use builder::resolve::{Options, Request, Sysroot, closure};
use common::tree::ImagePath;
use tests::elf::{Elf, library, program};

use super::GLIBC;

/// A library that says it needs these levels: bits of `GNU_PROPERTY_X86_ISA_1_NEEDED`.
fn needing(bits: u32) -> Elf {
    let property = [0xc000_8002, 4, bits, 0].map(u32::to_le_bytes).concat();
    library("liba.so", &[]).note("GNU", 5, &property)
}

#[test]
fn a_variant_may_ask_for_its_level_and_the_baseline_for_nothing() {
    let root = tempfile::tempdir().unwrap();
    for (path, object) in [
        ("app", program(GLIBC, &["liba.so"]).runpath("/u")),
        ("u/liba.so", needing(1)),
        ("u/glibc-hwcaps/x86-64-v2/liba.so", needing(4)),
        ("u/glibc-hwcaps/x86-64-v3/liba.so", needing(4)),
        (GLIBC.trim_start_matches('/'), library("ld-linux-x86-64.so.2", &[])),
    ] {
        object.write(&root.path().join(path));
    }
    let sysroot = Sysroot::open(root.path()).unwrap();
    let requests = [Request::Program(ImagePath::new("/app").unwrap())];
    for (cpu, complaints) in [
        ("baseline", &[][..]),
        ("x86-64-v3", &[]),
        (
            "x86-64-v2",
            &["`/u/glibc-hwcaps/x86-64-v2/liba.so` needs a processor of level x86-64-v3"],
        ),
    ] {
        let options = Options { cpus: cpu.parse().unwrap(), ..Options::default() };
        let closure = closure(&requests, &sysroot, &options).unwrap();
        let report = check(&closure, &sysroot, &BTreeSet::new());
        let told: Vec<String> = report
            .notices
            .iter()
            .filter(|notice| matches!(notice, Notice::Isa { .. }))
            .map(ToString::to_string)
            .collect();
        assert_eq!(told, complaints, "{cpu}");
        assert_eq!(text(&report).contains(&format!("(glibc, {cpu})")), cpu != "baseline");
    }
}
