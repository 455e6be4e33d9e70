//! `#!` lines, as the kernel reads them.
//!
//! The kernel looks at the first 256 bytes (`BINPRM_BUF_SIZE`), takes one interpreter and hands over the
//! rest of the line as a single argument (`fs/binfmt_script.c`). Takes bytes, never paths.

use super::env;

/// Bytes of a script that the kernel looks at.
pub const HEAD: usize = 256;
/// Interpreters that are scripts themselves: the kernel follows so many.
pub const MAX_DEPTH: usize = 5;

/// A script's first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shebang {
    /// The interpreter's path, as it stands.
    pub interpreter: Vec<u8>,
    /// The rest of the line, blanks at both ends removed.
    pub argument: Option<Vec<u8>>,
}

/// The `#!` line at the start of a file; `None` where the kernel would not take it for a script.
pub fn shebang(head: &[u8]) -> Option<Shebang> {
    let head = &head[..head.len().min(HEAD)];
    let rest = head.strip_prefix(b"#!")?;
    let end = rest.iter().position(|&byte| byte == b'\n' || byte == 0);
    let line = rest[..end.unwrap_or(rest.len())].trim_ascii_start();
    let line = if end.is_some() || head.len() < HEAD { trim_end(line) } else { line };
    let stop = line.iter().position(|&byte| blank(byte));
    // A name that is cut by the end of the buffer is refused (ENOEXEC), a cut argument is not.
    if end.is_none() && stop.is_none() && head.len() == HEAD {
        return None;
    }
    let (interpreter, argument) = line.split_at(stop.unwrap_or(line.len()));
    let argument = trim_start(argument);
    (!interpreter.is_empty()).then(|| Shebang {
        interpreter: interpreter.to_vec(),
        argument: (!argument.is_empty()).then(|| argument.to_vec()),
    })
}

impl Shebang {
    /// The program that `env` starts. `None` when the interpreter is not `env`, or starts nothing.
    pub fn env_program(&self) -> Option<Vec<u8>> {
        if self.interpreter.rsplit(|&byte| byte == b'/').next()? != b"env" {
            return None;
        }
        env::program(self.argument.as_deref()?)
    }
}

fn blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !blank(byte)).unwrap_or(text.len());
    &text[start..]
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| !blank(byte)).map_or(0, |at| at + 1);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_as_the_kernel_reads_it() {
        for (head, wanted) in [
            ("#!/bin/sh\n", Some(("/bin/sh", None))),
            ("#! /bin/sh -e -u \nrest", Some(("/bin/sh", Some("-e -u")))),
            ("#!\t/bin/sh\t-e", Some(("/bin/sh", Some("-e")))),
            ("#!/bin/sh", Some(("/bin/sh", None))),
            ("#!/bin/sh\r\n", Some(("/bin/sh\r", None))),
            ("#!\n/bin/sh", None),
            ("#!", None),
            ("", None),
            ("#/bin/sh", None),
        ] {
            let found = shebang(head.as_bytes());
            let wanted = wanted.map(|(interpreter, argument)| Shebang {
                interpreter: interpreter.into(),
                argument: argument.map(Into::into),
            });
            assert_eq!(found, wanted, "{head:?}");
        }
        let long = format!("#!/{}", "x".repeat(300));
        assert_eq!(shebang(long.as_bytes()), None);
    }

    #[test]
    fn env_names_a_program() {
        for (line, program) in [
            ("#!/usr/bin/env python3\n", Some("python3")),
            ("#!/usr/bin/env python3 -u\n", Some("python3 -u")),
            ("#!/usr/bin/env -S python3 -u\n", Some("python3")),
            ("#!/usr/bin/env -S -i A=1 'my prog' x\n", Some("my prog")),
            ("#!/usr/bin/env -S -u HOME sh\n", Some("sh")),
            ("#!/usr/bin/env -vS sh\n", Some("sh")),
            ("#!/usr/bin/env\n", None),
            ("#!/bin/sh -S x\n", None),
        ] {
            let found = shebang(line.as_bytes()).unwrap().env_program();
            assert_eq!(found, program.map(Into::into), "{line:?}");
        }
    }
}
