//! What a command must do, and what it did.

use crate::proof::MOST_COMPARED;
use crate::proof::outcome::{Printed, Problem};
use crate::spec::check::Expected;

/// Bytes of an output that a message quotes.
const EXCERPT: usize = 400;

/// Whether the piece is in it.
pub(super) fn has(bytes: &[u8], piece: &str) -> bool {
    memchr::memmem::find(bytes, piece.as_bytes()).is_some()
}

/// The bytes as text, shortened.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let start = String::from_utf8_lossy(bytes.get(..EXCERPT).unwrap_or(bytes)).into_owned();
    if bytes.len() <= EXCERPT { start } else { format!("{start}... ({} bytes)", bytes.len()) }
}

/// What is wrong with how it ended and what it printed; `None` stands for more than is kept.
pub(super) fn compare(
    expected: &Expected,
    status: u8,
    stdout: Option<&[u8]>,
    stderr: Option<&[u8]>,
) -> Result<(), Problem> {
    if status != expected.status {
        return Err(Problem::Status { expected: expected.status, got: status });
    }
    let whole = |stream, bytes: Option<&[u8]>| {
        bytes.map(<[u8]>::to_vec).ok_or(Problem::TooMuch { stream, limit: MOST_COMPARED as u64 })
    };
    if let Some(text) = &expected.stdout {
        let got = whole(Printed::Stdout, stdout)?;
        if got != text.as_bytes() {
            return Err(differs(text.as_bytes(), &got));
        }
    }
    for (stream, bytes, pieces) in [
        (Printed::Stdout, stdout, &expected.stdout_has),
        (Printed::Stderr, stderr, &expected.stderr_has),
    ] {
        if pieces.is_empty() {
            continue;
        }
        let got = whole(stream, bytes)?;
        if let Some(piece) = pieces.iter().find(|piece| !has(&got, piece)) {
            let piece = excerpt(piece.as_bytes());
            return Err(Problem::Lacks { stream, piece, got: None });
        }
    }
    Ok(())
}

/// Quotes from the first line that is another.
fn differs(expected: &[u8], got: &[u8]) -> Problem {
    let same = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    let common = &expected[..same];
    let start = common.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = memchr::memchr_iter(b'\n', common).count() + 1;
    Problem::Differs { expected: excerpt(&expected[start..]), got: excerpt(&got[start..]), line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_that_is_wrong_is_told() {
        let expected = |stdout: Option<&str>, out: &[&str], err: &[&str]| Expected {
            status: 3,
            stdout: stdout.map(str::to_owned),
            stdout_has: out.iter().map(|piece| (*piece).to_owned()).collect(),
            stderr_has: err.iter().map(|piece| (*piece).to_owned()).collect(),
        };
        let wrong = |expected: &Expected, status, stdout: Option<&[u8]>, stderr: Option<&[u8]>| {
            compare(expected, status, stdout, stderr).map_err(|problem| problem.to_string())
        };
        let any = expected(None, &[], &[]);
        assert_eq!(wrong(&any, 3, None, None), Ok(()), "what nobody asked for may be too much");
        assert!(wrong(&any, 0, None, None).unwrap_err().contains("expected status 3"));
        let exact = expected(Some("a\nb\nc\n"), &["b"], &["warn"]);
        assert_eq!(wrong(&exact, 3, Some(b"a\nb\nc\n"), Some(b"a warning")), Ok(()));
        for (stdout, stderr, fragment) in [
            (Some(&b"a\nx\nc\n"[..]), Some(&b"warn"[..]), "from line 2\nexpected: \"b\\nc\\n\""),
            (Some(b"a\nb\nc\nd"), Some(b"warn"), "from line 4\nexpected: \"\"\ngot:      \"d\""),
            (Some(b""), Some(b"warn"), "from line 1"),
            (Some(b"a\nb\nc\n"), Some(b""), "standard error lacks \"warn\""),
            (None, Some(b"warn"), "standard output has more than"),
        ] {
            let problem = wrong(&exact, 3, stdout, stderr).unwrap_err();
            assert!(problem.contains(fragment), "{problem}");
        }
        let pieces = expected(None, &["x"], &[]);
        assert!(wrong(&pieces, 3, Some(b"y"), None).unwrap_err().contains("output lacks \"x\""));
    }

    #[test]
    fn an_excerpt_is_short() {
        assert_eq!(excerpt(b"\xffa"), "\u{fffd}a");
        assert!(excerpt(&[b'a'; 1000]).ends_with("... (1000 bytes)"));
    }
}
