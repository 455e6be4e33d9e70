//! Objects that are wrong, and how they are told; and that nothing makes the reader panic.

use builder::elf::{
    Class, Endian, Machine, Name, Object, architecture, read_only_data, undefined_symbols,
};
use builder::resolve::Processor;
use builder::resolve::hwcaps::Hwcaps;
use builder::resolve::ld_cache::{LdCache, Reader};
use builder::resolve::shebang;
use proptest::prelude::*;
use tests::damage::{cuts, extremes};
use tests::elf::{Elf, library, machine, program, tag};

/// Everything that reads an object, without looking at the answers.
fn read(bytes: &[u8]) {
    let _object = Object::parse(bytes);
    let _architecture = architecture(bytes);
    let _symbols = undefined_symbols(bytes);
    let _data = read_only_data(bytes, true);
}

fn sample() -> Elf {
    program("/lib64/ld-linux-x86-64.so.2", &["liba.so", "libb.so"])
        .text(tag::SONAME, "me.so")
        .rpath("$ORIGIN/../lib:/opt")
        .runpath("/run")
        .text(tag::AUXILIARY, "aux.so")
        .text(tag::FILTER, "filter.so")
        .text(tag::AUDIT, "audit.so")
        .text(tag::DEPAUDIT, "depaudit.so")
        .number(tag::FLAGS_1, 0x800)
        .note(
            "FDO",
            0x407c_0c0a,
            br#"[{"soname":["libx.so.1"],"priority":"required","feature":"x"}]"#,
        )
        .note("FDO", 0xcafe_1a7e, br#"{"name":"sample"}"#)
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
        let object = Object::parse(bytes.as_slice()).unwrap();
        assert_eq!(object.class, if wide { Class::Elf64 } else { Class::Elf32 });
        assert_eq!(object.endian, if big { Endian::Big } else { Endian::Little });
        assert_eq!(object.machine, Machine(number));
        assert_eq!(object.interpreter, Some(Name::from("/lib64/ld-linux-x86-64.so.2")));
        assert_eq!(object.soname, Some(Name::from("me.so")));
        assert_eq!(object.needed, [Name::from("liba.so"), Name::from("libb.so")]);
        assert_eq!(object.rpath, Some(Name::from("$ORIGIN/../lib:/opt")));
        assert_eq!(object.runpath, Some(Name::from("/run")));
        assert_eq!(object.auxiliary, [Name::from("aux.so")]);
        assert_eq!(object.filter, [Name::from("filter.so")]);
        assert_eq!(object.audit, Some(Name::from("audit.so")));
        assert_eq!(object.depaudit, Some(Name::from("depaudit.so")));
        assert!(object.flags.no_default_directories());
        assert_eq!(object.dlopen[0].sonames, [Name::from("libx.so.1")]);
        assert_eq!(object.package, Some(Name::from(r#"{"name":"sample"}"#)));
    }
}

#[test]
fn what_is_wrong_is_named() {
    let good = library("liba.so", &[]).bytes();
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    for (rule, bytes, message) in [
        ("empty", vec![], "not an ELF file"),
        ("text", b"#!/bin/sh\n".to_vec(), "not an ELF file"),
        ("class", changed(4, 7), "unknown ELF class 7"),
        ("byte order", changed(5, 0), "unknown ELF byte order 0"),
        (
            "object file",
            library("", &[]).kind(1).bytes(),
            "an ELF file of type 1, which is neither a program nor a shared object",
        ),
        (
            "core dump",
            library("", &[]).kind(4).bytes(),
            "an ELF file of type 4, which is neither a program nor a shared object",
        ),
        (
            "cut in the header",
            good[..40].to_vec(),
            "file is cut off: the ELF header reaches behind its end",
        ),
        (
            "cut behind the header",
            good[..64].to_vec(),
            "file is cut off: the table of program headers reaches behind its end",
        ),
        (
            "size of program headers",
            changed(54, 1),
            "bad ELF header: its program headers have an unexpected size",
        ),
        (
            "a string outside",
            library("", &[]).number(tag::NEEDED, 1 << 40).bytes(),
            "broken dynamic section: a string lies outside the file or does not end",
        ),
    ] {
        let error = Object::parse(bytes.as_slice()).unwrap_err();
        assert_eq!(error.to_string(), message, "{rule}");
    }
}

#[test]
fn section_headers_and_sizes_that_lie_do_not_matter() {
    // e_shoff, e_shentsize, e_shnum, e_shstrndx: the loader never looks at them.
    let mut bytes = sample().bytes();
    bytes[40..48].fill(0xff);
    bytes[58..64].fill(0xff);
    let object = Object::parse(bytes.as_slice()).unwrap();
    assert_eq!(object.needed.len(), 2);
    // DT_STRSZ of all ones: strings end at their NUL.
    let huge = sample().number(10, u64::MAX).bytes();
    assert_eq!(Object::parse(huge.as_slice()).unwrap().needed.len(), 2);
    // Notes whose JSON is broken are advice that is not followed.
    let note = library("a", &[]).note("FDO", 0x407c_0c0a, b"[{\"soname\":").bytes();
    assert!(Object::parse(note.as_slice()).unwrap().dlopen.is_empty());
}

#[test]
fn every_cut_of_an_object_is_survived() {
    for elf in [sample(), sample().for_machine(false, true, machine::S390)] {
        cuts(&elf.bytes()).for_each(read);
    }
}

#[test]
fn every_byte_of_an_object_may_be_any_extreme() {
    for elf in [sample(), sample().for_machine(false, false, machine::I386)] {
        extremes(&elf.bytes()).for_each(|changed| read(&changed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_survived(tail in proptest::collection::vec(any::<u8>(), 0..600), wide: bool, big: bool) {
        let head = [0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1 + u8::from(big), 1];
        read(&[head.as_slice(), &tail].concat());
        read(&tail);
        let _line = shebang::shebang(&tail).map(|line| line.env_program());
        let _line = shebang::shebang(&[b"#!/usr/bin/env -S ", tail.as_slice()].concat())
            .map(|line| line.env_program());
    }

    #[test]
    fn random_changes_are_survived(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 1..8)) {
        let mut bytes = sample().bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len() - 8);
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        read(&bytes);
    }

    #[test]
    fn random_caches_are_survived(
        count in any::<u32>(),
        tail in proptest::collection::vec(any::<u8>(), 0..400),
        name in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        let hwcaps = Hwcaps::new(Processor::default(), Machine::X86_64, Class::Elf64, None);
        let reader = Reader { id: 0x303, hwcaps };
        for magic in [&b"glibc-ld.so.cache1.1"[..], b"ld.so-1.7.0\0"] {
            for count in [count, count % 8] {
                let bytes = [magic, &count.to_le_bytes(), &tail].concat();
                if let Some(cache) = LdCache::parse(bytes, Endian::Little) {
                    let _path = cache.lookup(&name, reader);
                    let _count = cache.iter().count();
                }
            }
        }
    }
}
