//! The fields of a header block, parsed strictly (POSIX.1-2017 `pax`, "ustar Interchange Format";
//! base-256 numbers and the second magic are GNU's).

use tar::Header;

use super::{BLOCK, Problem};

/// A block whose checksum and magic were right.
pub(super) struct Fields {
    header: Header,
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Ustar,
    Gnu,
    V7,
}

impl Fields {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, Problem> {
        let header = Header::from_byte_slice(block).clone();
        let expected = octal(&header.as_old().cksum).ok_or(Problem::Checksum)?;
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(i, byte)| if (148..156).contains(&i) { 32 } else { u64::from(*byte) })
            .sum();
        if sum != expected {
            return Err(Problem::Checksum);
        }
        let format = match &block[257..265] {
            b"ustar\x0000" => Format::Ustar,
            b"ustar  \0" => Format::Gnu,
            [0, 0, 0, 0, 0, 0, 0, 0] => Format::V7,
            _ => return Err(Problem::Magic),
        };
        Ok(Self { header, format })
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.header.as_old().linkflag[0]
    }

    /// The name, with ustar's prefix.
    pub(super) fn name(&self) -> Result<Vec<u8>, Problem> {
        let name = text(&self.header.as_old().name, "name")?;
        match self.header.as_ustar() {
            Some(ustar) if self.format == Format::Ustar => match text(&ustar.prefix, "name")? {
                b"" => Ok(name.to_vec()),
                prefix => Ok([prefix, b"/", name].concat()),
            },
            _ => Ok(name.to_vec()),
        }
    }

    pub(super) fn link(&self) -> Result<Vec<u8>, Problem> {
        Ok(text(&self.header.as_old().linkname, "link target")?.to_vec())
    }

    pub(super) fn size(&self) -> Result<u64, Problem> {
        unsigned(&self.header.as_old().size).ok_or(Problem::Number("size"))
    }

    /// Permission bits. Some tools store the file type above them, which the type flag says better.
    pub(super) fn mode(&self) -> Result<u32, Problem> {
        unsigned(&self.header.as_old().mode)
            .and_then(|mode| u32::try_from(mode).ok())
            .filter(|mode| *mode <= 0o177_777)
            .map(|mode| mode & 0o7777)
            .ok_or(Problem::Number("mode"))
    }

    pub(super) fn uid(&self) -> Result<u32, Problem> {
        unsigned(&self.header.as_old().uid).and_then(id).ok_or(Problem::Number("uid"))
    }

    pub(super) fn gid(&self) -> Result<u32, Problem> {
        unsigned(&self.header.as_old().gid).and_then(id).ok_or(Problem::Number("gid"))
    }

    pub(super) fn mtime(&self) -> Result<i64, Problem> {
        number(&self.header.as_old().mtime).ok_or(Problem::Number("mtime"))
    }
}

/// An owner. The highest value means "no one" to chown(2), which would leave the owner as it is.
pub(super) fn id(value: u64) -> Option<u32> {
    u32::try_from(value).ok().filter(|id| *id != u32::MAX)
}

/// Text up to the first NUL; behind it only NULs (else two readers could see two names).
fn text<'a>(field: &'a [u8], what: &'static str) -> Result<&'a [u8], Problem> {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let (text, rest) = field.split_at(end);
    if rest.iter().all(|&b| b == 0) { Ok(text) } else { Err(Problem::Nul(what)) }
}

fn unsigned(field: &[u8]) -> Option<u64> {
    number(field).and_then(|value| u64::try_from(value).ok())
}

/// Octal text, or base-256 when the first bit is set. `None`: neither, or more than an `i64`.
fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        // The marker bit of a positive number, and the sign of a negative one, fill the first byte.
        Some(0x80) => binary(field, 0),
        Some(0xff) => binary(field, 0xff),
        _ => octal(field).and_then(|value| i64::try_from(value).ok()),
    }
}

/// Big-endian two's complement behind the first byte; what is more than an `i64` must be `sign`.
fn binary(field: &[u8], sign: u8) -> Option<i64> {
    let digits = &field[1..];
    let (high, low) = digits.split_at(digits.len().saturating_sub(8));
    let mut bytes = [sign; 8];
    bytes[8 - low.len()..].copy_from_slice(low);
    let value = i64::from_be_bytes(bytes);
    let whole = high.iter().all(|&b| b == sign) && (value < 0) == (sign == 0xff);
    whole.then_some(value)
}

/// Spaces, octal digits, then spaces or NULs to the end. Nothing at all is zero.
fn octal(field: &[u8]) -> Option<u64> {
    let start = field.iter().position(|&b| b != b' ').unwrap_or(field.len());
    let field = &field[start..];
    let end = field.iter().position(|b| !b.is_ascii_digit()).unwrap_or(field.len());
    let (digits, rest) = field.split_at(end);
    if !rest.iter().all(|b| matches!(b, b' ' | 0)) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_strict() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777777\0", Some(0o777_7777_7777)),
            (b"777777777777", Some(0o7777_7777_7777)),
            (b"0000648\0", None),
            (b"-000644\0", None),
            (b"+000644\0", None),
            (b"0x00644\0", None),
            (b"64 4\0\0\0\0", None),
            (b"644\0junk", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(0x2_0000_0000)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\x80\0\0\0\0\0\0\0", None),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\x81\0\0\0\0\0\0\0\0\0\0\0", None),
            (b"\xff\0\0\0\0\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number(field), value, "{}", field.escape_ascii());
        }
        assert_eq!(unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xfe"), None);
        assert_eq!(id(u64::from(u32::MAX)), None);
    }

    #[test]
    fn nothing_hides_behind_a_nul() {
        assert_eq!(text(b"name\0\0", "name"), Ok(&b"name"[..]));
        assert_eq!(text(b"name", "name"), Ok(&b"name"[..]));
        assert_eq!(text(b"name\0x", "name"), Err(Problem::Nul("name")));
    }
}
