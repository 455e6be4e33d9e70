//! The tree for programs: as a graph, and as JSON.

use std::collections::{BTreeMap, BTreeSet};

use builder::report::tree::{self, Explained};
use builder::resolve::{Options, Request, Sysroot, explain};
use common::tree::ImagePath;
use serde_json::Value;
use tests::elf::{Elf, library, machine, program, tag};

use super::{Case, LOADER, PACKAGE, case};

/// A program whose names try to end a label, and with every kind of line in its graph.
fn everything() -> Case {
    let note = br#"{"type":"deb","name":"x\"]; y","version":"1&2\\"}"#;
    let mut all = case(vec![
        (
            "/app/run",
            program(
                LOADER,
                &["liba.so", "lib\"];\\.so", "&lt;\u{e9}\\", "libgone\n\"", "liba.so.1"],
            )
            .text(tag::AUXILIARY, "libx.so")
            .runpath("/u:/v"),
        ),
        ("/u/liba.so", library("liba.so.1", &[]).note("FDO", PACKAGE, note)),
        ("/v/liba.so", library("liba.so", &[])),
        ("/v/liba.so.1", library("liba.so.1", &[])),
        ("/u/lib\"];\\.so", library("", &["libbad.so"])),
        ("/u/&lt;\u{e9}\\", library("", &[])),
        ("/usr/lib/libx.so", library("libx.so", &[])),
        ("/x/libbad.so", Elf::default().for_machine(false, false, machine::I386)),
    ]);
    all.files = vec![("/usr/lib/libbad.so", b"text")];
    all
}

/// One statement of a graph: its words and signs, and strings as they read.
#[derive(Debug, PartialEq, Eq, Clone)]
enum Token {
    Word(String),
    Text(String),
}

/// Reads the tokens of Graphviz' language (graphviz.org, "The DOT Language"), and labels as they are shown.
fn tokens(dot: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = dot.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\n' => {}
            '"' => {
                let mut text = String::new();
                loop {
                    match rest.next().expect("the quotes are closed") {
                        '"' => break,
                        '\\' => match rest.next().expect("something behind the backslash") {
                            'n' => text.push('\n'),
                            c @ ('"' | '\\') => text.push(c),
                            c => panic!("an escape that means something else: {c:?}"),
                        },
                        '\n' => panic!("a newline in quotes"),
                        c => text.push(c),
                    }
                }
                let text = text.replace("&amp;", "\0");
                assert!(!text.contains('&'), "an entity: {text}");
                tokens.push(Token::Text(text.replace('\0', "&")));
            }
            '{' | '}' | '[' | ']' | ';' | '=' | ',' => tokens.push(Token::Word(c.to_string())),
            '-' => {
                assert_eq!(rest.next(), Some('>'));
                tokens.push(Token::Word("->".to_owned()));
            }
            c if c.is_ascii_alphanumeric() => {
                let mut word = c.to_string();
                while let Some(c) = rest.next_if(char::is_ascii_alphanumeric) {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            c => panic!("{c:?} outside of quotes"),
        }
    }
    tokens
}

#[test]
fn a_graph_stays_one_whatever_files_are_called() {
    let dot = tree::dot(&everything().explained());
    let tokens = tokens(&dot);
    let count = |sign: &str| tokens.iter().filter(|t| **t == Token::Word(sign.to_owned())).count();
    assert_eq!((count("{"), count("}")), (2, 2), "{dot}");
    assert_eq!(count("["), count("]"));
    // Nodes and the ends of lines: each identifier that is used has a node.
    let labels: BTreeMap<String, String> = tokens
        .windows(5)
        .filter_map(|window| match window {
            [
                Token::Text(id),
                Token::Word(open),
                Token::Word(key),
                Token::Word(_),
                Token::Text(label),
            ] if open == "[" && key == "label" => Some((id.clone(), label.clone())),
            _ => None,
        })
        .collect();
    let ends = tokens.windows(3).filter_map(|window| match window {
        [Token::Text(from), Token::Word(arrow), Token::Text(to)] if arrow == "->" => {
            Some([from.clone(), to.clone()])
        }
        _ => None,
    });
    let ends: BTreeSet<String> = ends.flatten().collect();
    assert_eq!(labels.keys().cloned().collect::<BTreeSet<_>>(), ends);
    let shown: BTreeSet<&str> = labels.values().map(String::as_str).collect();
    assert_eq!(
        shown,
        BTreeSet::from([
            "/app/run",
            LOADER,
            "/u/liba.so\ndeb x\"]; y 1&2\\\\",
            "/u/lib\"];\\\\.so",
            "/u/&lt;é\\\\",
            "libgone\\n\"\nmissing",
            "/lib/libx.so",
            "/lib/libbad.so\nnot an ELF file",
        ]),
        "{dot}"
    );
}

/// What a reader of the JSON does to get a file's bytes back: the other direction of
/// [`common::escape::Escaped`].
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            bytes.extend(c.to_string().bytes());
            continue;
        }
        let (kind, after) = rest.split_at(1);
        rest = after;
        match kind {
            "n" => bytes.push(b'\n'),
            "t" => bytes.push(b'\t'),
            "r" => bytes.push(b'\r'),
            "x" => {
                bytes.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                rest = &rest[2..];
            }
            "u" => {
                let end = rest.find('}').unwrap();
                let number = u32::from_str_radix(&rest[1..end], 16).unwrap();
                bytes.extend(char::from_u32(number).unwrap().to_string().bytes());
                rest = &rest[end + 1..];
            }
            _ => bytes.extend(kind.bytes()),
        }
    }
    bytes
}

#[test]
fn bytes_of_names_come_back_from_json() {
    let names: [&[u8]; 7] = [
        b"plain",
        b"a\\x41",
        b"\xff\xc3(",
        b"n\nt\tr\r\x1b",
        "é\u{85}\u{202e}".as_bytes(),
        b"\x85",
        b" \"{",
    ];
    let needing = names.iter().fold(program(LOADER, &[]), Elf::needed);
    let text = tree::json(&case(vec![("/app/run", needing)]).explained()).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let dependencies = value["programs"][0]["loads"][0]["dependencies"].as_array().unwrap();
    let read: Vec<Vec<u8>> =
        dependencies.iter().map(|d| unescape(d["name"].as_str().unwrap())).collect();
    assert_eq!(read, names);
}

#[test]
fn json_has_everything() {
    let mut all = case(vec![
        (
            "/app/run",
            program(LOADER, &["liba.so.1", "libb.so", "libgone.so"]).runpath("$ORIGIN/u:/v"),
        ),
        ("/app/u/liba.so.1", library("libb.so", &[]).note("FDO", PACKAGE, br#"{"name":"a"}"#)),
        ("/v/liba.so.1", library("liba.so.1", &[])),
        ("/v/libb.so", library("libb.so", &[])),
    ]);
    all.links = vec![("/app/u/libgone.so", "nowhere")];
    let text = tree::json(&all.explained()).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    for (pointer, wanted) in [
        ("/version", "1"),
        ("/programs/0/libc", r#""glibc""#),
        ("/programs/0/loads/2/number", "2"),
        ("/programs/0/loads/2/needed_by", "0"),
        ("/programs/0/loads/2/package", r#"{"name":"a"}"#),
        ("/programs/0/loads/2/soname", r#""libb.so""#),
        (
            "/programs/0/loads/2/how",
            r#"{"folder":"/app/u","of":"/app/run","rule":"runpath","written":"$ORIGIN/u"}"#,
        ),
        (
            "/programs/0/loads/0/dependencies/0/shadows",
            r#"[{"how":{"folder":"/v","of":"/app/run","rule":"runpath"},"opened":"/v/liba.so.1","path":"/v/liba.so.1"}]"#,
        ),
        ("/programs/0/loads/0/dependencies/1/answer", r#""already-by-soname""#),
        ("/programs/0/loads/0/dependencies/1/load", "2"),
        ("/programs/0/loads/0/dependencies/1/instead_of/path", r#""/v/libb.so""#),
        ("/programs/0/loads/0/dependencies/2/answer", r#""missing""#),
        ("/programs/0/loads/0/dependencies/2/tried/0/reason", r#""dangling""#),
        ("/missing/0/tried/0/how/written", r#""$ORIGIN/u""#),
        ("/missing/0/needed_by", r#""/app/run""#),
        ("/files/0/path", r#""/app/run""#),
    ] {
        let found = value.pointer(pointer).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(wanted), "{pointer} in {text}");
    }
    let sizes =
        value["files"].as_array().unwrap().iter().map(|file| file["size"].as_u64().unwrap());
    assert_eq!(Some(sizes.sum()), value["bytes"].as_u64());
}

/// A module's loads go on where those of its program end, in numbers and in what answers to a name.
#[test]
fn a_module_is_told_in_the_scope_of_its_program() {
    let root = case(vec![
        ("/app/run", program(LOADER, &["liba.so"]).rpath("/opt")),
        ("/opt/liba.so", library("liba.so", &[])),
        ("/mod/one.so", library("one.so", &["liba.so", "libm.so"]).runpath("$ORIGIN")),
        ("/mod/liba.so", library("liba.so", &[])),
        ("/mod/libm.so", library("libm.so", &[])),
    ])
    .root();
    let path = |text: &str| ImagePath::new(text).unwrap();
    let requests = [
        Request::Program(path("/app/run")),
        Request::Module { path: path("/mod/one.so"), program: path("/app/run") },
    ];
    let sysroot = Sysroot::open(root.path()).unwrap();
    let (closure, explanation) = explain(&requests, &sysroot, &Options::default()).unwrap();
    let explained = Explained { closure, explanation };
    let value: Value = serde_json::from_str(&tree::json(&explained).unwrap()).unwrap();
    let module = &value["programs"][1];
    assert_eq!(module["context"], 0);
    // The program, its interpreter and its library come first.
    assert_eq!(module["loads"][0]["number"], 3);
    let [liba, libm] = [0, 1].map(|number| &module["loads"][0]["dependencies"][number]);
    assert_eq!((&liba["answer"], &liba["load"]), (&"already-by-name".into(), &2.into()));
    assert_eq!(liba["instead_of"]["opened"], "/mod/liba.so");
    assert_eq!(liba["instead_of"]["how"]["written"], "$ORIGIN");
    assert_eq!((&libm["answer"], &libm["load"]), (&"found".into(), &4.into()));
    let dot = tree::dot(&explained);
    assert!(dot.contains("  \"p1n3\" -> \"p0n2\" [style=solid, color=grey50, label="), "{dot}");
    assert!(dot.contains("  \"p1n3\" -> \"p1n4\" [style=solid, color=black, label="), "{dot}");
}
