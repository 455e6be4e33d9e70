//! `#!` lines, as the kernel reads them, and what `env` makes of its argument.
//!
//! The kernel looks at the first 256 bytes (`BINPRM_BUF_SIZE`), takes one interpreter and hands over the
//! rest of the line as a single argument (`fs/binfmt_script.c`). Takes bytes, never paths.

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
    /// The program that `env` starts: its argument, or under `-S` the first word that is neither an
    /// option nor an assignment. `None` when the interpreter is not `env`, or starts nothing.
    pub fn env_program(&self) -> Option<Vec<u8>> {
        if self.interpreter.rsplit(|&byte| byte == b'/').next()? != b"env" {
            return None;
        }
        let argument = self.argument.as_deref()?;
        let split = [&b"-S"[..], b"--split-string="].iter().find_map(|o| argument.strip_prefix(*o));
        // `-vS`: the same, telling about it.
        let split = split.or_else(|| argument.strip_prefix(b"-vS"));
        let Some(text) = split else {
            // Without -S the whole rest is one name, blanks included.
            return (!argument.starts_with(b"-") && !argument.contains(&b'='))
                .then(|| argument.to_vec());
        };
        let mut words = words(text).into_iter();
        while let Some(word) = words.next() {
            match word.as_slice() {
                b"-u" | b"--unset" | b"-C" | b"--chdir" => {
                    words.next();
                }
                word if word.starts_with(b"-") || word.contains(&b'=') => {}
                _ => return Some(word),
            }
        }
        None
    }
}

/// Splits as `env -S` does: blanks, quotes, backslashes (only the common escapes).
fn words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == byte => quote = None,
            (None, _) if byte.is_ascii_whitespace() => words.extend(word.take()),
            (None | Some(b'"'), b'\\') => match bytes.next() {
                Some(b'_') if quote.is_none() => words.extend(word.take()),
                Some(b'_') => word.get_or_insert_default().push(b' '),
                Some(b'c') | None => break,
                Some(byte) => word.get_or_insert_default().push(byte),
            },
            (None, b'#') if word.is_none() => break,
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words
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
            ("#!/usr/bin/env -S A=1 -i 'my prog' x\n", Some("my prog")),
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
