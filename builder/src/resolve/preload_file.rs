//! `/etc/ld.so.preload`, as the loader reads it. Takes bytes, answers names.
//!
//! Names stand apart by blanks, tabs, ends of lines and colons; `#` starts a comment. Knowledge: glibc
//! `elf/rtld.c`, `dl_main`, with what follows from its way of doing it.

use crate::elf::Name;

const BETWEEN: &[u8] = b" \t\n:";

/// The names that the loader takes from a file, in order.
pub(super) fn names(mut text: Vec<u8>) -> Vec<Name> {
    blank_comments(&mut text);
    // What stands behind the last separator is taken by itself: it has no room for a zero of its own.
    let last = text.iter().rposition(|byte| BETWEEN.contains(byte)).map_or(0, |at| at + 1);
    let (listed, last) = text.split_at(last);
    // Both parts are strings of C.
    let string = |part: &[u8]| part.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    string(listed)
        .split(|byte| BETWEEN.contains(byte))
        .map(<[u8]>::to_vec)
        .chain([string(last)])
        .filter(|name| !name.is_empty())
        .map(Name::from)
        .collect()
}

/// Makes blanks of comments. The loader counts down how much is left and looks for the next `#` from the start
/// all the same: it overlooks one that stands further from the start than that.
fn blank_comments(text: &mut [u8]) {
    let mut rest = text.len();
    while let Some(mut at) = text[..rest].iter().position(|&byte| byte == b'#') {
        rest -= at;
        loop {
            text[at] = b' ';
            (at, rest) = (at + 1, rest - 1);
            if rest == 0 || text.get(at).is_none_or(|&byte| byte == b'\n') {
                break;
            }
        }
    }
}
