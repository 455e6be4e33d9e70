//! What a source of JavaScript loads: `require("x")`, `import ... from "x"`, `import("x")`, `export ... from "x"`.
//!
//! Words are looked for in code without its comments; a word in a string may be found too much.

use std::collections::BTreeSet;

use crate::resolve::modules::text::{literal, words};

/// What follows `import` or `export` is looked at so far for its `from`.
const STATEMENT: usize = 8192;

/// Specifiers as they are written, each once.
pub(super) fn specifiers(text: &[u8]) -> BTreeSet<String> {
    let code = without_comments(text);
    let mut found = BTreeSet::new();
    for (before, word, after) in words(&code) {
        let method = before.trim_ascii_end().ends_with(b".") && !before.ends_with(b"...");
        if before.ends_with(b"$") || method {
            continue;
        }
        let after = &after[..after.len().min(STATEMENT)];
        let named = match word {
            b"require" => called(after),
            b"import" => called(after).or_else(|| literal(after)).or_else(|| from(after)),
            b"export" => from(after),
            _ => None,
        };
        if let Some((name, _)) = named
            && let Ok(name) = std::str::from_utf8(name)
        {
            found.insert(name.to_owned());
        }
    }
    found
}

/// `("x")`, with grave accents too where nothing is put in.
fn called(after: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = after.trim_ascii_start();
    let inside = rest.strip_prefix(b"(")?.trim_ascii_start();
    if let Some(rest) = inside.strip_prefix(b"`") {
        let end = rest.iter().position(|&byte| byte == b'`')?;
        return (!rest[..end].contains(&b'$') && end > 0).then(|| (&rest[..end], &rest[end + 1..]));
    }
    literal(rest)
}

/// `a, { b as c } from "x"`, `* from "x"`: names, commas, braces and stars up to the `from`.
fn from(after: &[u8]) -> Option<(&[u8], &[u8])> {
    for (before, word, rest) in words(after) {
        let clause = |byte: &u8| {
            byte.is_ascii_whitespace()
                || b"{}*,$_'\"".contains(byte)
                || byte.is_ascii_alphanumeric()
        };
        if !before.iter().all(clause) {
            return None;
        }
        if word == b"from"
            && let Some(found) = literal(rest)
        {
            return Some(found);
        }
    }
    None
}

/// The code with a blank for each comment. Strings are passed over; a regular expression that looks like a
/// comment's begin hides what follows on its line.
fn without_comments(text: &[u8]) -> Vec<u8> {
    let mut code = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut quote = None;
    while let [byte, tail @ ..] = rest {
        match (quote, byte, tail) {
            (Some(_), b'\\', [escaped, after @ ..]) => {
                code.extend([*byte, *escaped]);
                rest = after;
                continue;
            }
            // A string ends with its line at the latest, unless between grave accents.
            (Some(open), _, _) if open == *byte || (*byte == b'\n' && open != b'`') => quote = None,
            (None, b'"' | b'\'' | b'`', _) => quote = Some(*byte),
            (None, b'/', [b'/', ..]) => {
                let end = tail.iter().position(|&byte| byte == b'\n').unwrap_or(tail.len());
                code.push(b' ');
                rest = &tail[end..];
                continue;
            }
            (None, b'/', [b'*', inside @ ..]) => {
                let end = inside.windows(2).position(|two| two == b"*/");
                code.push(b' ');
                rest = end.map_or(&[], |end| &inside[end + 2..]);
                continue;
            }
            _ => {}
        }
        code.push(*byte);
        rest = tail;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifiers_are_found_where_node_would_load_them() {
        for (text, wanted) in [
            ("const a = require('a'), b = require( \"./b\" );", "./b a"),
            (
                "import x, { y as z } from 'x';\nimport * as q from \"node:fs\";import 'side';",
                "node:fs side x",
            ),
            ("import {\n  a,\n  b,\n} from '../c.mjs'", "../c.mjs"),
            ("export * from './d'; export { e } from 'f'; export const g = 'h';", "./d f"),
            ("const m = await import('./m.js'); require(`n`); require(`n${x}`)", "./m.js n"),
            ("// require('a')\n/* require('b')\n */ x = \"// \"; require('c')", "c"),
            ("foo.require('a'); $require('b'); require(x); require.resolve('c')", ""),
            ("import.meta.url; import", ""),
            ("export default function from(a) { return 'b' }", ""),
            ("/* unclosed require('a')", ""),
            ("'\\", ""),
        ] {
            let found: Vec<String> = specifiers(text.as_bytes()).into_iter().collect();
            assert_eq!(found.join(" "), wanted, "{text}");
        }
    }
}
