//! `env`, as a script's interpreter: which program it starts for the one argument that the kernel hands
//! over.
//!
//! ```text
//! NAME                        the whole argument, blanks included
//! -S WORDS                    options, assignments, then the program: split by env's own rules
//! ```
//! Knowledge: coreutils `src/env.c` (`main`, `build_argv`), getopt(3). What env refuses, and what
//! depends on the environment, names no program.

use std::collections::VecDeque;

/// One argument of env.
#[derive(Debug, Default)]
struct Word {
    text: Vec<u8>,
    /// Whether a `${VARIABLE}` stands in it, whose value only the environment knows.
    variable: bool,
}

/// Long options, and whether a value follows one that has none behind a `=`.
const LONG: [(&[u8], bool); 13] = [
    (b"argv0", true),
    (b"block-signal", false),
    (b"chdir", true),
    (b"debug", false),
    (b"default-signal", false),
    (b"help", false),
    (b"ignore-environment", false),
    (b"ignore-signal", false),
    (b"list-signal-handling", false),
    (b"null", false),
    (b"split-string", true),
    (b"unset", true),
    (b"version", false),
];

/// The program that env starts; `None` where it starts none, or the script itself.
pub(super) fn program(argument: &[u8]) -> Option<Vec<u8>> {
    let mut words = VecDeque::from([Word { text: argument.to_vec(), variable: false }]);
    while let Some(word) = words.pop_front() {
        match word.known()? {
            b"--" => break,
            [b'-', b'-', long @ ..] => long_option(long, &mut words)?,
            [b'-', short @ ..] if !short.is_empty() => short_options(short, &mut words)?,
            _ => {
                words.push_front(word);
                break;
            }
        }
    }
    if words.front().is_some_and(|word| word.text == b"-") {
        words.pop_front();
    }
    let program = words.into_iter().find(|word| !word.text.contains(&b'='))?;
    program.known().filter(|name| !name.is_empty()).map(<[u8]>::to_vec)
}

impl Word {
    /// Its bytes, unless they depend on the environment. What is assigned to a variable does not matter.
    fn known(&self) -> Option<&[u8]> {
        (!self.variable || self.text.contains(&b'=')).then_some(self.text.as_slice())
    }
}

/// What follows two hyphens. A name may be cut as long as it is the only one.
fn long_option(option: &[u8], words: &mut VecDeque<Word>) -> Option<()> {
    let mut parts = option.splitn(2, |&byte| byte == b'=');
    let given = parts.next()?;
    let value = parts.next().map(<[u8]>::to_vec);
    let exact = LONG.iter().find(|(name, _)| *name == given);
    let mut fitting = LONG.iter().filter(|(name, _)| name.starts_with(given));
    let only = fitting.next().filter(|_| fitting.next().is_none());
    let &(name, valued) = exact.or(only)?;
    // These print something and end, or refuse to be followed by a program.
    if matches!(name, b"help" | b"version" | b"null") {
        return None;
    }
    let value = match value {
        None if valued => Some(words.pop_front()?.known()?.to_vec()),
        value => value,
    };
    if name == b"split-string" { insert(&value?, words) } else { Some(()) }
}

/// Options of one letter behind one hyphen. A value is the rest, or the next word.
fn short_options(options: &[u8], words: &mut VecDeque<Word>) -> Option<()> {
    for (at, option) in options.iter().enumerate() {
        match option {
            b'i' | b'v' => {}
            b'u' | b'C' | b'S' | b'a' => {
                let value = match &options[at + 1..] {
                    [] => words.pop_front()?.known()?.to_vec(),
                    rest => rest.to_vec(),
                };
                return if *option == b'S' { insert(&value, words) } else { Some(()) };
            }
            _ => return None,
        }
    }
    Some(())
}

/// The words of `-S` stand where it stood.
fn insert(text: &[u8], words: &mut VecDeque<Word>) -> Option<()> {
    for word in split(text)?.into_iter().rev() {
        words.push_front(word);
    }
    Some(())
}

/// Splits at blanks outside of quotes; `None` for what env refuses.
fn split(text: &[u8]) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (quote, byte) {
            (None, b'\'' | b'"') => {
                quote = Some(*byte);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == *byte => quote = None,
            (None, b' ' | b'\t'..=b'\r') => words.extend(word.take()),
            (None, b'#') if word.is_none() => return Some(words),
            (Some(b'\''), b'\\') if !matches!(rest, [b'\\' | b'\'', ..]) => {
                word.get_or_insert_default().text.push(b'\\');
            }
            (_, b'\\') => {
                let [escape, tail @ ..] = rest else { return None };
                rest = tail;
                match (escape, quote) {
                    (b'_', None) => words.extend(word.take()),
                    (b'c', None) => {
                        words.extend(word);
                        return Some(words);
                    }
                    _ => word.get_or_insert_default().text.push(escaped(*escape)?),
                }
            }
            (None | Some(b'"'), b'$') => {
                let name = variable(rest)?;
                rest = &rest[name..];
                word.get_or_insert_default().variable = true;
            }
            _ => word.get_or_insert_default().text.push(*byte),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// The byte that a backslash and this one mean inside double quotes; `\c` is refused there.
fn escaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'_' => b' ',
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'"' | b'#' | b'$' | b'\'' | b'\\' => byte,
        _ => return None,
    })
}

/// Length of `{NAME}`, the only form of a variable that there is.
fn variable(rest: &[u8]) -> Option<usize> {
    let name = rest.strip_prefix(b"{")?;
    let end = name.iter().position(|&byte| byte != b'_' && !byte.is_ascii_alphanumeric())?;
    let good = end > 0 && name[end] == b'}' && !name[0].is_ascii_digit();
    good.then_some(end + 2)
}
