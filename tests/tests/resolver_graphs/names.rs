//! Names of any bytes: found as the loader finds them, printed so that they do no harm.

use tests::elf::{Elf, library, program, tag};
use tests::scratch::Scratch;

use crate::{GLIBC, PROGRAM, Root, can_ask, coracle};

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
        let root = Root::new(&elf.text(tag::RUNPATH, [b"/opt/", name].concat()), GLIBC);
        let folder = [b"/opt/", name, b"/"].concat();
        let object = library("", &[]);
        root.put(
            [folder.as_slice(), b"first.so"].concat(),
            &Elf::default().text(tag::SONAME, &other),
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
    elf = elf.text(tag::RUNPATH, b"/opt/a\nb:/opt/\xff \x1b[2J");
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
