//! A command in one argument, split into words as a shell does (POSIX, 2.2 "Quoting"), without what only a
//! shell can do.

/// Why a command cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// There is no word.
    #[error("it has no words")]
    Empty,
    /// A quote has no end.
    #[error("a `{0}` has no end")]
    Open(char),
    /// A shell would do something at this character.
    #[error("`{0}` means something to a shell only")]
    Shell(char),
}

/// Splits a command. What a shell would replace or act on, is refused: nothing else is meant by it.
pub(super) fn split(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err(WordsError::Open('\'')),
                    }
                }
            }
            '"' => quoted(&mut rest, word.get_or_insert_default())?,
            '\\' => match rest.next() {
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err(WordsError::Open('\\')),
            },
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' | '[' => {
                return Err(WordsError::Shell(c));
            }
            '#' | '~' if word.is_none() => return Err(WordsError::Shell(c)),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.is_empty() { Err(WordsError::Empty) } else { Ok(words) }
}

fn quoted(rest: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    loop {
        match rest.next() {
            Some('"') => return Ok(()),
            Some(c @ ('$' | '`')) => return Err(WordsError::Shell(c)),
            Some('\\') => match rest.next() {
                Some('\n') => {}
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err(WordsError::Open('"')),
            },
            Some(c) => word.push(c),
            None => return Err(WordsError::Open('"')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_by_a_shell() {
        for (text, words) in [
            ("a b  c", vec!["a", "b", "c"]),
            (" a\tb\n", vec!["a", "b"]),
            ("'a b' c'd'\"e\"", vec!["a b", "cde"]),
            ("'' \"\"", vec!["", ""]),
            (r"a\ b \'", vec!["a b", "'"]),
            (r#""a\"b\c\\" '\'"#, vec![r#"a"b\c\"#, r"\"]),
            ("a\\\nb", vec!["ab"]),
            ("a#b a~", vec!["a#b", "a~"]),
            ("'$x' \"\\$x\" \\*", vec!["$x", "$x", "*"]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_can_do_is_refused() {
        for (text, error) in [
            ("", WordsError::Empty),
            ("'a", WordsError::Open('\'')),
            ("\"a", WordsError::Open('"')),
            ("a\\", WordsError::Open('\\')),
            ("a | b", WordsError::Shell('|')),
            ("a $x", WordsError::Shell('$')),
            ("a \"$x\"", WordsError::Shell('$')),
            ("a *.c", WordsError::Shell('*')),
            ("~/a", WordsError::Shell('~')),
            ("a # b", WordsError::Shell('#')),
        ] {
            assert_eq!(split(text), Err(error), "{text}");
        }
    }
}
