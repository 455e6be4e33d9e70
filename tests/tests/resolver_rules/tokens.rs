//! glibc: `$ORIGIN`, `$LIB` and `$PLATFORM`.

use tests::elf::library;

use super::{Case, PROGRAM, case, glibc, glibc_program};

#[test]
fn glibc_tokens() {
    let a = || library("liba.so", &[]);
    let with = |list: &str, at: &'static str| {
        case(vec![(PROGRAM, glibc_program(&["liba.so"]).runpath(list)), (at, a())])
    };
    glibc(vec![
        ("origin", with("$ORIGIN/../lib", "/app/lib/liba.so")),
        ("origin in braces", with("${ORIGIN}/../lib", "/app/lib/liba.so")),
        ("lib", with("/opt/$LIB", "/opt/lib/x86_64-linux-gnu/liba.so")),
        ("an unknown token stays", with("/opt/$XYZ", "/opt/$XYZ/liba.so")),
        ("a longer name is another token", with("/opt/$LIBRARY", "/opt/$LIBRARY/liba.so")),
        ("an open brace stays", with("/opt/${LIB", "/opt/${LIB/liba.so")),
        ("several elements, slashes doubled", with("/none:/opt//x//", "/opt/x/liba.so")),
        (
            "origin of a library is where it was opened, not where it is",
            Case {
                links: vec![("/u/libb.so", "/real/libb.so")],
                ..case(vec![
                    (PROGRAM, glibc_program(&["libb.so"]).runpath("/u")),
                    ("/real/libb.so", library("libb.so", &["liba.so"]).runpath("$ORIGIN/sub")),
                    ("/real/sub/liba.so", a()),
                    ("/u/sub/liba.so", a()),
                ])
            },
        ),
        (
            "a token in a needed name",
            case(vec![(PROGRAM, glibc_program(&["$ORIGIN/liba.so"])), ("/app/bin/liba.so", a())]),
        ),
        (
            "tokens and slashes in needed names",
            case(vec![
                (PROGRAM, glibc_program(&["${ORIGIN}/../x/liba.so", "/opt/$LIB/libb.so"])),
                ("/app/x/liba.so", library("liba.so", &["$ORIGIN/libc.so", "$NONE/libd.so"])),
                ("/app/x/libc.so", library("libc.so", &[])),
                ("/opt/lib/x86_64-linux-gnu/libb.so", library("libb.so", &[])),
            ]),
        ),
        (
            "a token in a needed name without a slash",
            case(vec![
                (PROGRAM, glibc_program(&["lib$PLATFORM.so"]).runpath("/u")),
                ("/u/libx86_64.so", a()),
                ("/u/lib$PLATFORM.so", a()),
            ]),
        ),
        (
            "one object, asked for by a token and by its path",
            case(vec![
                (PROGRAM, glibc_program(&["$ORIGIN/liba.so", "/app/bin/liba.so", "liba.so"])),
                ("/app/bin/liba.so", library("other.so", &[])),
                ("/usr/lib/liba.so", a()),
            ]),
        ),
        ("platform", with("/opt/$PLATFORM", "/opt/x86_64/liba.so")),
        (
            "tokens side by side",
            with("/opt/$LIB$PLATFORM", "/opt/lib/x86_64-linux-gnux86_64/liba.so"),
        ),
        ("a dollar at the end", with("/opt/$:/v", "/opt/$/liba.so")),
        ("two dollars", with("$$ORIGIN/x", "/app/bin/x/liba.so")),
        ("empty braces", with("/opt/${}", "/opt/${}/liba.so")),
        ("origin of a program in the root's own folder", with("/$ORIGIN/x", "/app/bin/x/liba.so")),
    ]);
}
