//! `#!` lines: which program a script's interpreter starts, against the programs themselves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use builder::resolve::shebang::shebang;

const ENV: &str = "/usr/bin/env";

/// Arguments of env in a script's first line.
#[rustfmt::skip]
const LINES: &[&[u8]] = &[
    b"python3", b"python3 -u", b"A=1", b"A=1 x", b"-", b"-i", b"-ix", b"-u", b"-uA", b"-Sx y",
    b"-S x y", b"-iS x y", b"-viS'x y' z", b"-uAS x", b"--split-string=x y", b"--split-string x",
    b"--split=x y", b"-S", b"-S --", b"-S -- x", b"-S -- A=1 x", b"-S A=1 B=2 x", b"-S A=1 -i x",
    b"-S =1 x", b"-S -i -u A x", b"-S -iu A x", b"-S -iuA x", b"-S --unset=A x", b"-S --unset A x",
    b"-S --un A x", b"-S --ignore x", b"-S --ignore-e x", b"-S -C / x", b"-S --chdir=/ x",
    b"-S - x", b"-S - - x", b"-S -S 'x y' z", b"-S -i -S'A=1 x' z", b"-S --default-signal x",
    b"-S --default-signal=PIPE x", b"-S --nonsense x", b"-S --help x", b"-S -0 x", b"-S -x y",
    b"-S -v x", b"-S 'x y' z", b"-S \"x y\" z", b"-S x'y'\"z\" w", b"-S '' x", b"-S 'x", b"-S x\"",
    b"-S 'x\"y' z", b"-S x\\ty z", b"-S \"x\\ty\" z", b"-S 'x\\ty' z", b"-S x\\_y z",
    b"-S \"x\\_y\" z", b"-S '\\_x' z", b"-S x\\cy z", b"-S \"x\\cy\" z", b"-S \\cx", b"-S x\\qy",
    b"-S 'x\\qy'", b"-S x\\", b"-S 'x\\'y' z", b"-S 'x\\\\y' z", b"-S x\\#y", b"-S #x",
    b"-S A=1 #x", b"-S x#y", b"-S 'x'#y", b"-S \\$x", b"-S '$x'", b"-S $x", b"-S ${} x",
    b"-S ${1} x", b"-S ${A x", b"-S A=${B} x", b"-S 'A'=\"${B}\" x", b"-S \x0bx\x0cy", b"-S x\ry",
    b"-S \\vx y", b"-S x\xff\xfe y", b"-S  x",
];

/// What the real env would execute: it says so under `-v`, and does not find it.
fn real(argument: &[u8]) -> Option<Vec<u8>> {
    let argument = std::ffi::OsStr::from_bytes(argument);
    let mut command = Command::new(ENV);
    command.env_clear().env("PATH", "/nonexistent").arg("-v").arg(argument).arg("/script");
    let errors = command.output().unwrap().stderr;
    let said = b"executing: ";
    let at = errors.windows(said.len()).position(|window| window == said)?;
    let rest = &errors[at + said.len()..];
    let end = rest.windows(10).position(|window| window == b"\n   arg[0]").unwrap_or(rest.len());
    // Without a program of its own it would start the script again.
    Some(rest[..end].to_vec()).filter(|name| name != b"/script" && !name.is_empty())
}

#[test]
fn env_starts_what_the_real_one_starts() {
    if tests::require::file(ENV).is_none() {
        return;
    }
    let mut wrong = Vec::new();
    for line in LINES {
        let head = [b"#!/usr/bin/env ", *line, b"\n"].concat();
        let got = shebang(&head).and_then(|line| line.env_program());
        let expected = real(line);
        if got != expected {
            let text = |name: &Option<Vec<u8>>| {
                name.as_ref().map(|name| String::from_utf8_lossy(name).into_owned())
            };
            let line = String::from_utf8_lossy(line);
            wrong.push(format!("{line:?}: env {:?}, ours {:?}", text(&expected), text(&got)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_program_that_the_environment_chooses_is_none() {
    for line in ["-S ${SHELL} -c", "-S A=1 ${X}sh", "-S -u ${X} sh"] {
        let head = format!("#!/usr/bin/env {line}\n");
        assert_eq!(shebang(head.as_bytes()).and_then(|line| line.env_program()), None, "{line}");
    }
}
