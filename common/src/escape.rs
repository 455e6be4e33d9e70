//! Bytes from an image or a file system, made safe to print.
//!
//! Names are bytes, and a hostile image chooses them: nothing may reach a terminal or a log that
//! moves the cursor, recolours, or forges a line. UTF-8 text stays readable; control characters,
//! bidirectional overrides and bytes that are no UTF-8 become `\n`, `\x1b`, `\u{202e}`.

use std::fmt;

/// Displays bytes with everything unprintable escaped. A backslash is doubled, so that the
/// original bytes can be recovered.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nearly all names are plain.
        if self.0.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b'\\')
            && let Ok(text) = str::from_utf8(self.0)
        {
            return f.write_str(text);
        }
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", c as u32)?,
                    c if c.is_control() || reorders(c) => write!(f, "\\u{{{:x}}}", c as u32)?,
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Displays text that may have been escaped already: as [`Escaped`], but backslashes stay single. For
/// messages of other libraries, which quote what they were given.
#[derive(Debug, Clone, Copy)]
pub struct Tamed<'a>(pub &'a str);

impl fmt::Display for Tamed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive('\\') {
            match part.strip_suffix('\\') {
                Some(before) => write!(f, "{}\\", Escaped(before.as_bytes()))?,
                None => Escaped(part.as_bytes()).fmt(f)?,
            }
        }
        Ok(())
    }
}

/// Characters that change how the text around them is laid out (Unicode bidirectional controls,
/// line and paragraph separators, zero-width characters).
fn reorders(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        for (bytes, shown) in [
            (&b"plain name"[..], "plain name"),
            ("grüße".as_bytes(), "grüße"),
            (b"\x1b[31mred\n", "\\x1b[31mred\\n"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"back\\slash", "back\\\\slash"),
            ("\u{202e}gnp.exe".as_bytes(), "\\u{202e}gnp.exe"),
            (b"\x7f", "\\x7f"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), shown);
        }
    }
}
