//! PAX records: `LENGTH KEY=VALUE\n`, the length counting itself (POSIX.1-2017 `pax`, "pax Extended
//! Header"). Reading knows which keys change an entry, which mean nothing to us and which must not be.

use std::collections::BTreeMap;

use super::Problem;
use super::header::id;

/// Prefix of extended attributes; star's, and what every container tool writes.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";

/// What a PAX header says about the entry behind it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Overrides {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The records of a header that belongs to one entry.
pub(super) fn parse(bytes: &[u8]) -> Result<Overrides, Problem> {
    let mut overrides = Overrides::default();
    for (key, value) in records(bytes)? {
        overrides.take(key, value)?;
    }
    Ok(overrides)
}

/// A global header may only say what changes no entry: `git archive` writes a comment.
pub(super) fn check_global(bytes: &[u8]) -> Result<(), Problem> {
    for key in records(bytes)?.keys() {
        if !matches!(*key, b"comment" | b"atime" | b"ctime" | b"LIBARCHIVE.creationtime") {
            return Err(Problem::PaxGlobal(key.to_vec()));
        }
    }
    Ok(())
}

impl Overrides {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Problem> {
        let wrong = || Problem::PaxValue(key.to_vec());
        match key {
            // An empty value means "as if there were no record", which not every reader knows.
            b"path" | b"linkpath" if value.is_empty() => return Err(wrong()),
            b"path" | b"linkpath" if value.contains(&0) => return Err(Problem::Nul("name")),
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value).ok_or_else(wrong)?),
            b"uid" => self.uid = Some(decimal(value).and_then(id).ok_or_else(wrong)?),
            b"gid" => self.gid = Some(decimal(value).and_then(id).ok_or_else(wrong)?),
            b"mtime" => self.mtime = Some(seconds(value).ok_or_else(wrong)?),
            // Names are bytes to us either way.
            b"hdrcharset" if !matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => {
                return Err(wrong());
            }
            b"SCHILY.realsize" => return Err(Problem::Sparse),
            _ if key.starts_with(b"GNU.sparse.") => return Err(Problem::Sparse),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    check_xattr(name)?;
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                }
                // The rest (atime, ctime, comment, uname, LIBARCHIVE.*, SCHILY.dev ...) is not kept.
            }
        }
        Ok(())
    }
}

/// An attribute of overlayfs would steer the mount that the image is part of (rule U5). Linux limits
/// names to 255 bytes (xattr(7)).
fn check_xattr(name: &[u8]) -> Result<(), Problem> {
    let overlay = [&b"trusted.overlay."[..], b"user.overlay."];
    let steers = overlay.iter().any(|prefix| name.starts_with(prefix));
    if steers || name.is_empty() || name.len() > 255 || name.contains(&0) {
        return Err(Problem::Xattr(name.to_vec()));
    }
    Ok(())
}

/// All records, each key once.
fn records(mut bytes: &[u8]) -> Result<BTreeMap<&[u8], &[u8]>, Problem> {
    let mut all = BTreeMap::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&b| b == b' ').ok_or(Problem::Pax)?;
        let length = decimal(&bytes[..space])
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(Problem::Pax)?;
        // At least the space, one letter, `=` and the end of the line.
        if length > bytes.len() || length < space + 4 {
            return Err(Problem::Pax);
        }
        let (record, rest) = bytes.split_at(length);
        let record = record[space + 1..].strip_suffix(b"\n").ok_or(Problem::Pax)?;
        let equals = record.iter().position(|&b| b == b'=').ok_or(Problem::Pax)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if key.is_empty() || key.contains(&0) {
            return Err(Problem::Pax);
        }
        if all.insert(key, value).is_some() {
            return Err(Problem::PaxTwice(key.to_vec()));
        }
        bytes = rest;
    }
    Ok(all)
}

/// One record's bytes. The length counts its own digits, so it is searched for.
pub(super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// Digits only: no sign, no space.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, digit| {
        digit.is_ascii_digit().then_some(())?;
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// Seconds, the fraction cut off towards the past, as file systems round.
fn seconds(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |&b| b == b'.');
    let whole = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match (negative, fraction.iter().any(|&b| b != b'0')) {
        (false, _) => Some(whole),
        (true, false) => Some(-whole),
        (true, true) => (-whole).checked_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_itself() {
        for length in [0, 1, 80, 89, 90, 91, 92, 979, 980, 981, 982, 983, 984, 9975] {
            let value = vec![b'v'; length];
            let bytes = record(b"key", &value);
            assert_eq!(records(&bytes).unwrap(), BTreeMap::from([(&b"key"[..], &value[..])]));
        }
    }

    #[test]
    fn records_are_strict() {
        for (bytes, problem) in [
            (&b"6 a=b"[..], Problem::Pax),
            (b"5 a=b\n", Problem::Pax),
            (b"7 a=b\n", Problem::Pax),
            (b"-6 a=b\n", Problem::Pax),
            (b" 6 a=b\n", Problem::Pax),
            (b"5 ab\n", Problem::Pax),
            (b"5 =b\n", Problem::Pax),
            (b"8 a\0=b\nx", Problem::Pax),
            (b"99999999999999999999 a=b\n", Problem::Pax),
            (b"6 a=b\n\0\0", Problem::Pax),
            (b"6 a=b\n6 a=b\n", Problem::PaxTwice(b"a".to_vec())),
        ] {
            assert_eq!(records(bytes), Err(problem), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn values_are_strict() {
        for (key, value) in [
            ("size", "-1"),
            ("size", "+1"),
            ("size", "1.5"),
            ("size", ""),
            ("size", "0x1"),
            ("size", "18446744073709551616"),
            ("uid", "4294967295"),
            ("gid", "-1"),
            ("mtime", "1e3"),
            ("mtime", "."),
            ("mtime", "1.-5"),
            ("path", ""),
            ("linkpath", ""),
            ("hdrcharset", "EBCDIC"),
        ] {
            let problem = parse(&record(key.as_bytes(), value.as_bytes())).unwrap_err();
            assert_eq!(problem, Problem::PaxValue(key.into()), "{key}={value}");
        }
        for (value, expected) in [("1.9", 1), ("-1.9", -2), ("-1.0", -1), ("-0.5", -1), ("7", 7)] {
            let overrides = parse(&record(b"mtime", value.as_bytes())).unwrap();
            assert_eq!(overrides.mtime, Some(expected), "{value}");
        }
    }
}
