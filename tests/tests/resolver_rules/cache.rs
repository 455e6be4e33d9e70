//! glibc: `/etc/ld.so.cache`, whole, stale and broken.

use tests::elf::{library, machine, tag};

use super::{Case, NODEFLIB, PROGRAM, case, glibc, glibc_program};

#[test]
fn glibc_cache() {
    let a = || library("liba.so", &[]);
    let prog = || glibc_program(&["liba.so"]);
    glibc(vec![
        (
            "a cached folder",
            Case {
                cached: vec!["/opt/x"],
                ..case(vec![(PROGRAM, prog()), ("/opt/x/liba.so", a())])
            },
        ),
        (
            "the cache knows sonames, not file names",
            Case {
                cached: vec!["/opt/x"],
                ..case(vec![
                    (PROGRAM, glibc_program(&["libfile.so", "libname.so"])),
                    ("/opt/x/libfile.so", library("libname.so", &[])),
                ])
            },
        ),
        (
            "the cache stands before the system directories",
            Case {
                cached: vec!["/opt/x"],
                ..case(vec![(PROGRAM, prog()), ("/opt/x/liba.so", a()), ("/usr/lib/liba.so", a())])
            },
        ),
        (
            "a stale entry falls through",
            Case {
                cached: vec!["/opt/x"],
                removed: vec!["/opt/x/liba.so"],
                ..case(vec![(PROGRAM, prog()), ("/opt/x/liba.so", a()), ("/usr/lib/liba.so", a())])
            },
        ),
        (
            "NODEFLIB takes no entry of a system directory",
            Case {
                cached: vec!["/opt/x"],
                ..case(vec![
                    (
                        PROGRAM,
                        glibc_program(&["liba.so", "libb.so"]).number(tag::FLAGS_1, NODEFLIB),
                    ),
                    ("/opt/x/liba.so", a()),
                    ("/usr/lib/libb.so", library("libb.so", &[])),
                ])
            },
        ),
        (
            "objects of another machine in the cache",
            Case {
                cached: vec!["/opt/x", "/opt/y"],
                ..case(vec![
                    (PROGRAM, prog()),
                    ("/opt/x/liba.so", a().for_machine(false, false, machine::I386)),
                    ("/opt/y/liba.so", a()),
                ])
            },
        ),
        (
            "a broken cache counts as none",
            Case {
                files: vec![("/etc/ld.so.cache", b"glibc-ld.so.cache1.1\xff\xff\xff\x7f")],
                ..case(vec![(PROGRAM, prog()), ("/usr/lib/liba.so", a())])
            },
        ),
        (
            "ld.so.conf alone means nothing",
            Case {
                files: vec![("/etc/ld.so.conf", b"/opt/x\n")],
                ..case(vec![(PROGRAM, prog()), ("/opt/x/liba.so", a())])
            },
        ),
    ]);
}

/// What ldconfig writes: the old layout alone, both, the new one alone.
#[test]
fn glibc_cache_layouts() {
    let layout = |options: &'static [&'static str]| Case {
        cached: vec!["/opt/x", "/opt/y"],
        ldconfig: options,
        ..case(vec![
            (PROGRAM, glibc_program(&["liba.so.10", "liba.so.9", "libb.so"])),
            ("/opt/x/liba.so.10", library("liba.so.10", &[])),
            ("/opt/x/liba.so.9", library("liba.so.9", &[])),
            ("/opt/x/libb.so", library("libb.so", &[]).for_machine(false, false, machine::I386)),
            ("/opt/y/libb.so", library("libb.so", &[])),
        ])
    };
    glibc(vec![
        ("old", layout(&["-c", "old"])),
        ("old and new", layout(&["-c", "compat"])),
        ("new", layout(&["-c", "new"])),
    ]);
}

/// Offsets are those of the new layout: 20 the number of entries, 28 the byte order, 48 the first entry; of an
/// entry, 0 are the flags, 4 the name, 8 the path.
#[test]
fn glibc_damaged_caches() {
    let damaged = |damage: fn(&mut Vec<u8>)| Case {
        cached: vec!["/opt/x"],
        ldconfig: &["-c", "new"],
        damage: Some(damage),
        ..case(vec![
            (PROGRAM, glibc_program(&["liba.so", "libb.so", "libc.so"])),
            ("/opt/x/liba.so", library("liba.so", &[])),
            ("/opt/x/libb.so", library("libb.so", &[])),
            ("/opt/x/libc.so", library("libc.so", &[])),
            ("/usr/lib/liba.so", library("liba.so", &[])),
            ("/usr/lib/libb.so", library("libb.so", &[])),
        ])
    };
    let old = |damage: fn(&mut Vec<u8>)| Case { ldconfig: &["-c", "old"], ..damaged(damage) };
    let both = |damage: fn(&mut Vec<u8>)| Case { ldconfig: &["-c", "compat"], ..damaged(damage) };
    glibc(vec![
        ("empty", damaged(Vec::clear)),
        ("a header alone", damaged(|cache| cache.truncate(48))),
        ("a cut header", damaged(|cache| cache.truncate(30))),
        ("cut in its entries", damaged(|cache| cache.truncate(48 + 30))),
        ("cut in its strings", damaged(|cache| cache.truncate(cache.len() - 60))),
        ("cut in its last string", damaged(|cache| cache.truncate(cache.len() - 5))),
        ("without its last zero", damaged(|cache| cache.truncate(cache.len() - 1))),
        ("of another version", damaged(|cache| cache[17] = b'2')),
        ("of no byte order", damaged(|cache| cache[28] = 0)),
        ("of an invalid byte order", damaged(|cache| cache[28] = 1)),
        ("of the other byte order", damaged(|cache| cache[28] = 3)),
        ("with other bits in its byte order", damaged(|cache| cache[28] = 0x82)),
        ("with one entry too few", damaged(|cache| cache[20] -= 1)),
        ("with one entry too many", damaged(|cache| cache[20] += 1)),
        ("with all too many entries", damaged(|cache| cache[22] = 0xff)),
        ("with no entry", damaged(|cache| cache[20] = 0)),
        ("the first name is outside", damaged(|cache| cache[54] = 0xff)),
        ("the second name is outside", damaged(|cache| cache[78] = 0xff)),
        (
            "a name ends at the end",
            damaged(|cache| {
                let length = u32::try_from(cache.len()).unwrap();
                cache[52..56].copy_from_slice(&length.to_le_bytes());
            }),
        ),
        ("the first path is outside", damaged(|cache| cache[58] = 0xff)),
        ("the first path is relative", damaged(|cache| cache[56] += 1)),
        ("of another architecture", damaged(|cache| cache[49] = 0x0a)),
        (
            "entries out of order",
            damaged(|cache| {
                let (first, second) = cache[48..96].split_at_mut(24);
                first.swap_with_slice(second);
            }),
        ),
        ("old: cut in its entries", old(|cache| cache.truncate(16 + 20))),
        ("old: cut in its strings", old(|cache| cache.truncate(cache.len() - 40))),
        ("old: one entry too many", old(|cache| cache[12] += 1)),
        ("old: all too many entries", old(|cache| cache[14] = 0xff)),
        ("old: the second name is outside", old(|cache| cache[34] = 0xff)),
        ("both: cut in the old part", both(|cache| cache.truncate(40))),
        ("both: the old count is wrong", both(|cache| cache[12] += 1)),
        ("both: cut in the new part", both(|cache| cache.truncate(cache.len() - 50))),
    ]);
}
