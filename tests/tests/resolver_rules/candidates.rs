//! glibc: which files are taken, passed over, or the end.

use tests::elf::{Elf, library, machine, tag};

use super::{Case, PROGRAM, case, glibc, glibc_program};

#[test]
fn glibc_candidates() {
    let prog = || glibc_program(&["liba.so"]).runpath("/u:/v");
    let good = || ("/v/liba.so", library("liba.so", &[]));
    let object = |elf: Elf| case(vec![(PROGRAM, prog()), ("/u/liba.so", elf), good()]);
    let file = |text: &'static [u8]| Case {
        files: vec![("/u/liba.so", text)],
        ..case(vec![(PROGRAM, prog()), good()])
    };
    let link = |target: &'static str| Case {
        links: vec![("/u/liba.so", target)],
        ..case(vec![(PROGRAM, prog()), good(), ("/usr/lib/liba.so", library("liba.so", &[]))])
    };
    let a = || library("liba.so", &[]);
    glibc(vec![
        ("another class is passed", object(a().for_machine(false, false, machine::I386))),
        ("another machine is passed", object(a().for_machine(true, false, machine::AARCH64))),
        (
            "another byte order is another machine",
            object(a().for_machine(true, true, machine::S390)),
        ),
        (
            "another byte order of another class",
            object(a().for_machine(false, true, machine::S390)),
        ),
        (
            "another operating system and another machine",
            object(a().abi(9, 0).for_machine(true, false, machine::AARCH64)),
        ),
        (
            "an object file of another machine",
            object(a().kind(1).for_machine(true, false, machine::AARCH64)),
        ),
        (
            "an object file of another class",
            object(a().kind(1).for_machine(false, false, machine::I386)),
        ),
        ("an object file stops", object(a().kind(1))),
        ("a program with fixed addresses stops", object(a().kind(2))),
        ("a position independent program stops", object(a().number(tag::FLAGS_1, 0x0800_0000))),
        ("an object without a dynamic section stops", object(a().without_dynamic())),
        ("another operating system stops", object(a().abi(9, 0))),
        ("GNU objects of a known ABI version", object(a().abi(3, 1))),
        ("an unknown ABI version stops", object(a().abi(0, 1))),
        ("GNU objects of an unknown ABI version", object(a().abi(3, 9))),
        ("a text file stops", file(b"INPUT(libreal.so)\n")),
        ("an empty file stops", file(b"")),
        ("a cut header stops", file(b"\x7fELF\x02\x01\x01")),
        ("a dangling link is passed", link("nowhere")),
        ("a loop of links drops the rest of the list", link("liba.so")),
        (
            "a folder of that name stops",
            Case { folders: vec!["/u/liba.so"], ..case(vec![(PROGRAM, prog()), good()]) },
        ),
        (
            "a file in place of a folder is passed",
            Case { files: vec![("/u", b"")], ..case(vec![(PROGRAM, prog()), good()]) },
        ),
        ("detached debugging information stops", object(a().with_detached_dynamic())),
    ]);
}

/// As an ordinary user.
#[test]
fn glibc_denied() {
    let a = || library("liba.so", &[]);
    let with = |denied: &[&'static str]| Case {
        denied: denied.to_vec(),
        ..case(vec![
            (PROGRAM, glibc_program(&["liba.so", "libb.so"]).rpath("/u:/u/sub:/v")),
            ("/u/liba.so", a()),
            ("/u/sub/libb.so", library("libb.so", &[])),
            ("/v/liba.so", a()),
            ("/usr/lib/libb.so", library("libb.so", &[])),
        ])
    };
    glibc(vec![
        ("a folder that cannot be entered", with(&["/u"])),
        ("a folder below that cannot be entered", with(&["/u/sub"])),
        ("a file that cannot be read", with(&["/u/liba.so"])),
        ("nothing can be read", with(&["/u", "/v", "/usr/lib"])),
    ]);
}
