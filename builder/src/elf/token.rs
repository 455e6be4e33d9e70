//! Dynamic string tokens (`ld.so(8)`, "Dynamic string tokens").
//!
//! `$NAME` and `${NAME}` for `ORIGIN`, `LIB` and `PLATFORM`. Without braces the name must not go on
//! with a letter, digit or underscore. Anything else after a `$` stays as it is (glibc
//! `elf/dl-load.c`, `_dl_dst_substitute`).

/// Values for the tokens; `None` is a token without a value, which drops what it stands in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tokens<'a> {
    /// `$ORIGIN`: folder of the object.
    pub origin: Option<&'a [u8]>,
    /// `$LIB`: compiled into the loader.
    pub lib: Option<&'a [u8]>,
    /// `$PLATFORM`: the processor's name, from the kernel.
    pub platform: Option<&'a [u8]>,
}

/// What became of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expanded {
    /// Every token had a value.
    Value(Vec<u8>),
    /// A known token has no value here: the loader drops the whole string.
    Dropped,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Origin,
    Lib,
    Platform,
}

/// Whether a known token stands in `string`.
pub fn has_token(string: &[u8]) -> bool {
    string.contains(&b'$') && (0..string.len()).any(|at| token(&string[at..]).is_some())
}

/// Whether `$ORIGIN` stands in `string`.
pub fn has_origin(string: &[u8]) -> bool {
    (0..string.len()).any(|at| matches!(token(&string[at..]), Some((Token::Origin, _))))
}

/// Whether `$ORIGIN` stands anywhere else than at the start and as a whole component: what the
/// loader refuses in programs with privileges.
pub fn origin_is_unsafe(string: &[u8]) -> bool {
    (0..string.len()).any(|at| match token(&string[at..]) {
        Some((Token::Origin, length)) => {
            at != 0 || !matches!(string.get(at + length), None | Some(b'/'))
        }
        _ => false,
    })
}

/// Replaces the known tokens. An unknown `$X` stays as it is.
pub fn expand(string: &[u8], tokens: Tokens<'_>) -> Expanded {
    let mut result = Vec::with_capacity(string.len());
    let mut rest = string;
    while let Some(&byte) = rest.first() {
        let Some((token, length)) = token(rest) else {
            result.push(byte);
            rest = &rest[1..];
            continue;
        };
        let value = match token {
            Token::Origin => tokens.origin,
            Token::Lib => tokens.lib,
            Token::Platform => tokens.platform,
        };
        match value {
            Some(value) => result.extend_from_slice(value),
            None => return Expanded::Dropped,
        }
        rest = &rest[length..];
    }
    Expanded::Value(result)
}

/// The known token at the start of `rest`, and its length with dollar and braces.
fn token(rest: &[u8]) -> Option<(Token, usize)> {
    let rest = rest.strip_prefix(b"$")?;
    let (braced, rest) = match rest.strip_prefix(b"{") {
        Some(inner) => (true, inner),
        None => (false, rest),
    };
    let length =
        rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let token = match &rest[..length] {
        b"ORIGIN" => Token::Origin,
        b"LIB" => Token::Lib,
        b"PLATFORM" => Token::Platform,
        _ => return None,
    };
    match (braced, rest.get(length)) {
        (true, Some(b'}')) => Some((token, length + 3)),
        (true, _) => None,
        (false, _) => Some((token, length + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_with_and_without_braces() {
        let tokens = Tokens { origin: Some(b"/o"), lib: Some(b"lib64"), platform: None };
        for (given, wanted) in [
            ("$ORIGIN/../lib", Some("/o/../lib")),
            ("${ORIGIN}x", Some("/ox")),
            ("$ORIGINx", Some("$ORIGINx")),
            ("$ORIGIN.x", Some("/o.x")),
            ("${ORIGIN", Some("${ORIGIN")),
            ("/usr/$LIB/${LIB}", Some("/usr/lib64/lib64")),
            ("$$ORIGIN", Some("$/o")),
            ("$UNKNOWN/$", Some("$UNKNOWN/$")),
            ("/$PLATFORM", None),
            ("", Some("")),
        ] {
            let expanded = wanted.map_or(Expanded::Dropped, |text| Expanded::Value(text.into()));
            assert_eq!(expand(given.as_bytes(), tokens), expanded, "{given}");
        }
        assert!(has_token(b"a/$LIB"));
        assert!(!has_token(b"a/$lib"));
        assert!(has_origin(b"/a/${ORIGIN}"));
        assert!(!has_origin(b"/a/$LIB"));
    }

    #[test]
    fn origin_must_be_the_first_component_under_privileges() {
        assert!(!origin_is_unsafe(b"$ORIGIN"));
        assert!(!origin_is_unsafe(b"${ORIGIN}/lib"));
        assert!(origin_is_unsafe(b"$ORIGIN.d"));
        assert!(origin_is_unsafe(b"/opt/$ORIGIN"));
    }
}
