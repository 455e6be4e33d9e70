//! Patterns over paths, as bytes: `*` and `?` and `[a-z]` within a component, `**` for any number
//! of components.
//!
//! One pattern language for recipes and rules. A leading dot needs no special mention (unlike a
//! shell's).

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    components: Vec<Component>,
}

/// One component of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Component {
    /// Exactly this name.
    Literal(Vec<u8>),
    /// Names that match.
    Pattern(Vec<Token>),
    /// Any number of components, also none.
    Anything,
}

/// One step of a component's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// This byte.
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Many,
    /// `[a-z]`, `[!a-z]`
    Class {
        /// `!` or `^` stands first.
        negated: bool,
        /// Inclusive ranges.
        ranges: Vec<(u8, u8)>,
    },
}

impl Glob {
    /// Parses a pattern; slashes at its start and end mean nothing to it. The error says what is
    /// wrong.
    pub fn parse(pattern: &[u8]) -> Result<Self, &'static str> {
        let mut components = Vec::new();
        for part in pattern.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err("it has a `..`"),
                b"**" => components.push(Component::Anything),
                _ => components.push(component(part)?),
            }
        }
        Ok(Self { components })
    }

    /// The components, first to last.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// The path, if the pattern names exactly one.
    pub fn literal(&self) -> Option<Vec<u8>> {
        let mut path = Vec::new();
        for component in &self.components {
            let Component::Literal(name) = component else { return None };
            path.push(b'/');
            path.extend_from_slice(name);
        }
        Some(path)
    }

    /// Whether the whole path matches; what each `*` stood for, in order, if so.
    pub fn matches(&self, path: &[u8]) -> Option<Vec<Vec<u8>>> {
        let names: Vec<&[u8]> =
            path.split(|&b| b == b'/').filter(|name| !name.is_empty()).collect();
        let mut captures = Vec::new();
        path_matches(&self.components, &names, &mut captures).then_some(captures)
    }
}

impl Component {
    /// Whether one name matches.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Pattern(tokens) => name_matches(tokens, name, &mut Vec::new()),
            Self::Anything => true,
        }
    }
}

fn component(part: &[u8]) -> Result<Component, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = part;
    while let [first, tail @ ..] = rest {
        rest = tail;
        tokens.push(match first {
            b'*' => Token::Many,
            b'?' => Token::One,
            b'[' => {
                let (token, tail) = class(rest)?;
                rest = tail;
                token
            }
            b'\\' => {
                let [escaped, tail @ ..] = rest else { return Err("`\\` at its end") };
                rest = tail;
                Token::Byte(*escaped)
            }
            byte => Token::Byte(*byte),
        });
    }
    let literal: Option<Vec<u8>> = tokens
        .iter()
        .map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None })
        .collect();
    Ok(literal.map_or(Component::Pattern(tokens), Component::Literal))
}

/// What follows a `[`, and what is left after its `]`.
fn class(text: &[u8]) -> Result<(Token, &[u8]), &'static str> {
    let (negated, text) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    // A `]` that stands first is a member (glob(7)).
    let end = text.iter().skip(1).position(|&b| b == b']').ok_or("`[` without `]`")? + 1;
    let (mut members, rest) = (&text[..end], &text[end + 1..]);
    let mut ranges = Vec::new();
    while let [low, tail @ ..] = members {
        if let [b'-', high, tail @ ..] = tail {
            ranges.push((*low, *high));
            members = tail;
        } else {
            ranges.push((*low, *low));
            members = tail;
        }
    }
    Ok((Token::Class { negated, ranges }, rest))
}

fn path_matches(pattern: &[Component], names: &[&[u8]], captures: &mut Vec<Vec<u8>>) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return names.is_empty() };
    let kept = captures.len();
    match first {
        Component::Anything => (0..=names.len()).any(|taken| {
            captures.truncate(kept);
            path_matches(rest, &names[taken..], captures)
        }),
        Component::Literal(literal) => {
            names.first() == Some(&literal.as_slice()) && path_matches(rest, &names[1..], captures)
        }
        Component::Pattern(tokens) => {
            names.first().is_some_and(|name| name_matches(tokens, name, captures))
                && path_matches(rest, &names[1..], captures)
        }
    }
}

/// Each `*` takes as little as it can. What an earlier one could take besides, the last one can take as
/// well: only that is ever tried again, so that no pattern costs more than its length times the name's.
fn name_matches(tokens: &[Token], name: &[u8], captures: &mut Vec<Vec<u8>>) -> bool {
    let (mut token, mut at) = (0, 0);
    // Behind the last `*`: its token. What each took: from, to.
    let mut behind = None;
    let mut taken: Vec<(usize, usize)> = Vec::new();
    loop {
        match (tokens.get(token), name.get(at)) {
            (Some(Token::Many), _) => {
                token += 1;
                taken.push((at, at));
                behind = Some(token);
            }
            (Some(one), Some(&byte)) if one.is(byte) => {
                token += 1;
                at += 1;
            }
            (None, None) => break,
            _ => {
                let (Some(start), Some(last)) = (behind, taken.last_mut()) else { return false };
                if last.1 == name.len() {
                    return false;
                }
                last.1 += 1;
                (token, at) = (start, last.1);
            }
        }
    }
    captures.extend(taken.into_iter().map(|(from, to)| name[from..to].to_vec()));
    true
}

impl Token {
    /// Whether it stands for this one byte.
    fn is(&self, byte: u8) -> bool {
        match self {
            Self::Byte(own) => *own == byte,
            Self::One => true,
            Self::Many => false,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (low..=high).contains(&&byte)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_table_says() {
        for (pattern, path, captures) in [
            ("/a/b", "/a/b", Some(vec![])),
            ("/a/b", "/a/bc", None),
            ("/usr/bin/python3.*", "/usr/bin/python3.11", Some(vec!["11"])),
            ("/usr/bin/python3.*", "/usr/bin/python3", None),
            ("**/bin/x*", "/bin/x1", Some(vec!["1"])),
            ("**/bin/x", "/opt/y/bin/x", Some(vec![])),
            ("/a/**", "/a", Some(vec![])),
            ("/a/*", "/a/b/c", None),
            ("/a/[!x-z]?", "/a/bc", Some(vec![])),
            ("/a/[!x-z]?", "/a/yc", None),
            ("/a/[]]", "/a/]", Some(vec![])),
            ("/a/\\*", "/a/*", Some(vec![])),
            ("lib*.so.*", "libc.so.6", Some(vec!["c", "6"])),
            ("*a*b", "aabab", Some(vec!["", "aba"])),
            ("*ab", "aab", Some(vec!["a"])),
        ] {
            let glob = Glob::parse(pattern.as_bytes()).unwrap();
            let expected: Option<Vec<Vec<u8>>> = captures
                .map(|list: Vec<&str>| list.iter().map(|c| c.as_bytes().to_vec()).collect());
            assert_eq!(glob.matches(path.as_bytes()), expected, "{pattern} {path}");
        }
        assert!(Glob::parse(b"/a/../b").is_err());
    }

    #[test]
    fn many_stars_cost_little() {
        let glob = Glob::parse("*a".repeat(100).as_bytes()).unwrap();
        assert!(glob.matches("a".repeat(99).as_bytes()).is_none());
        assert!(glob.matches("ba".repeat(100).as_bytes()).is_some());
    }
}
