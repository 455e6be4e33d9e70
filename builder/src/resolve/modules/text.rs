//! Sources of perl and ruby as their lexers see them from afar: without documentation, comments and what
//! follows the end; texts inside of the source (here-documents) apart from the code.
//!
//! This is no parser: who looks for a word in what remains may find it inside a string.

use super::{Import, When};

/// One import.
pub(super) fn import(name: impl Into<String>, when: When) -> Import {
    Import::new(&name.into(), when)
}

/// How documentation between lines begins and ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Whether a line begins documentation.
    pub(super) opens: fn(&[u8]) -> bool,
    /// The word that ends it, at the begin of a line.
    pub(super) closes: &'static [u8],
}

/// A source in two parts, lines kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// What is run.
    pub(super) code: Vec<u8>,
    /// Here-documents.
    pub(super) quoted: Vec<u8>,
}

impl Parts {
    pub(super) fn of(text: &[u8], form: Form) -> Self {
        let mut parts = Self::default();
        let lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
        let mut at = 0;
        let mut documentation = false;
        while let Some(&line) = lines.get(at) {
            at += 1;
            if documentation {
                documentation = !line.starts_with(form.closes);
                continue;
            }
            if (form.opens)(line) {
                documentation = true;
                continue;
            }
            if matches!(line.trim_ascii_end(), b"__END__" | b"__DATA__") {
                break;
            }
            let line = without_comment(line);
            parts.code.extend_from_slice(line);
            parts.code.push(b'\n');
            for end in here_documents(line) {
                let is_end = |line: &&[u8]| line.trim_ascii() == end;
                // What only looks like one has no end.
                if let Some(length) = lines.iter().skip(at).position(is_end) {
                    for line in lines.iter().skip(at).take(length) {
                        parts.quoted.extend_from_slice(line);
                        parts.quoted.push(b'\n');
                    }
                    at += length + 1;
                }
            }
        }
        parts
    }
}

/// A line up to a comment: a `#` behind a blank, where all quotes before it are closed.
fn without_comment(line: &[u8]) -> &[u8] {
    let (mut single, mut double, mut escaped) = (false, false, false);
    for (at, &byte) in line.iter().enumerate() {
        let blank = at == 0 || line[at - 1].is_ascii_whitespace();
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'#' if blank && !single && !double => return &line[..at],
            b'\'' if !double => single = !single,
            b'"' if !single => double = !double,
            _ => {}
        }
    }
    line
}

/// The words that end the here-documents which begin in a line.
fn here_documents(line: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.windows(2).position(|two| two == b"<<") {
        rest = &rest[at + 2..];
        let word = match rest {
            [b'~' | b'-', word @ ..] | word => word,
        };
        let end = match word {
            [quote @ (b'"' | b'\''), word @ ..] => {
                word.iter().position(|byte| byte == quote).map(|end| &word[..end])
            }
            [b'A'..=b'Z' | b'_', ..] => Some(word_at(word)),
            _ => None,
        };
        found.extend(end.filter(|word| !word.is_empty()));
    }
    found
}

/// Letters, digits and underscores at the begin.
pub(super) fn word_at(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte != b'_' && !byte.is_ascii_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// Where the words of a text begin: each with what stands before and after it.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start =
            text[at..].iter().position(|byte| *byte == b'_' || byte.is_ascii_alphanumeric());
        let start = at + start?;
        let word = word_at(&text[start..]);
        at = start + word.len();
        Some((&text[..start], word, &text[at..]))
    })
}

/// The string in quotes at the begin of a text, blanks and an opening parenthesis passed over; `None` where
/// there is none, or where something is put into it.
pub(super) fn literal(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut text = text.trim_ascii_start();
    if let [b'(', rest @ ..] = text {
        text = rest.trim_ascii_start();
    }
    let [quote @ (b'"' | b'\''), rest @ ..] = text else { return None };
    let end = rest.iter().position(|byte| byte == quote || *byte == b'\n')?;
    let inside = rest.get(..end).filter(|_| rest[end] == *quote)?;
    let computed = *quote == b'"' && inside.iter().any(|byte| b"#$@".contains(byte));
    (!computed && !inside.is_empty() && !inside.contains(&b'\\'))
        .then(|| (inside, &rest[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_what_is_run() {
        const FORM: Form = Form { opens: |line| line.starts_with(b"=pod"), closes: b"=cut" };
        let text = b"#!/usr/bin/perl\na; # b\n=pod\nc\n=cut\nd <<E . <<~'F G';\ne\nE\n  f\n  F G\n\
            g '#' \"\\\" # h\" #i\n1 <<SHIFT;\nj\n__END__\nk\n";
        let parts = Parts::of(text, FORM);
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(
            show(&parts.code),
            "\na; \nd <<E . <<~'F G';\ng '#' \"\\\" # h\" \n1 <<SHIFT;\nj\n"
        );
        assert_eq!(show(&parts.quoted), "e\n  f\n");
    }

    #[test]
    fn a_literal_has_nothing_put_into_it() {
        for (text, wanted) in [
            (" ('a/b') x", Some("a/b")),
            ("\"a\"", Some("a")),
            ("\"a#{b}\"", None),
            ("'a#{b}'", Some("a#{b}")),
            ("\"$a\"", None),
            ("a", None),
            ("'a\n'", None),
            ("'", None),
            ("''", None),
            ("", None),
        ] {
            let found = literal(text.as_bytes()).map(|(inside, _)| inside);
            assert_eq!(found, wanted.map(str::as_bytes), "{text:?}");
        }
    }
}
