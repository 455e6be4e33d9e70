//! Numbers in a library that promise more than there is, or more than there can be.

use std::process::Command;

use tests::elf::{Elf, library, program};
use tests::outcome::{Outcome, run};
use tests::scratch::Scratch;

use crate::{GLIBC, PROGRAM, Root};

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
