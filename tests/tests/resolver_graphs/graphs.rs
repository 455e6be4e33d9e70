//! Circles, chains and crowds.

use tests::elf::{Elf, library, program};

use crate::{GLIBC, MUSL, PROGRAM, Root, can_ask};

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
