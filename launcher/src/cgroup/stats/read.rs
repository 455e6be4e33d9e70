//! Reading one file of statistics. A file that is not there (no such controller, an older kernel, a group that is gone)
//! is nothing; one that cannot be understood is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::super::CgroupError;
use super::super::folder::{maybe, read};
use super::{BlkioEntry, Pressure, Stall};

fn unreadable(path: PathBuf) -> CgroupError {
    CgroupError::Parse { path }
}

/// One number; `max` is `u64::MAX`.
pub(super) fn number(group: &Path, file: &str) -> Result<Option<u64>, CgroupError> {
    let path = group.join(file);
    let Some(text) = maybe(read(&path))? else { return Ok(None) };
    match text.trim() {
        "max" => Ok(Some(u64::MAX)),
        text => text.parse().map(Some).or(Err(unreadable(path))),
    }
}

/// One number that can be negative.
pub(super) fn signed(group: &Path, file: &str) -> Result<Option<i64>, CgroupError> {
    let path = group.join(file);
    let Some(text) = maybe(read(&path))? else { return Ok(None) };
    text.trim().parse().map(Some).or(Err(unreadable(path)))
}

/// Lines `key value`.
pub(super) fn map(group: &Path, file: &str) -> Result<BTreeMap<String, u64>, CgroupError> {
    let path = group.join(file);
    let Some(text) = maybe(read(&path))? else { return Ok(BTreeMap::new()) };
    text.lines()
        .map(|line| {
            let (key, value) = line.split_once(' ')?;
            Some((key.to_owned(), value.trim().parse().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or_else(|| unreadable(path))
}

/// Numbers in a row.
pub(super) fn numbers(group: &Path, file: &str) -> Result<Vec<u64>, CgroupError> {
    let path = group.join(file);
    let Some(text) = maybe(read(&path))? else { return Ok(Vec::new()) };
    text.split_ascii_whitespace()
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()
        .ok_or_else(|| unreadable(path))
}

/// A list such as `0-3,5`; an empty one is empty.
pub(super) fn list(group: &Path, file: &str) -> Result<Vec<u16>, CgroupError> {
    let path = group.join(file);
    let Some(text) = maybe(read(&path))? else { return Ok(Vec::new()) };
    parse_list(text.trim()).ok_or_else(|| unreadable(path))
}

fn parse_list(text: &str) -> Option<Vec<u16>> {
    let mut all = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<u16>().ok()?..=last.parse().ok()?);
    }
    Some(all)
}

/// A `blkio` file of v1: lines `8:0 Read 1282048` or `8:0 6792`, and a sum at the end that bears no device.
/// `None` where there is no such file.
pub(super) fn blkio(group: &Path, file: &str) -> Result<Option<Vec<BlkioEntry>>, CgroupError> {
    let path = group.join(file);
    let Some(text) = maybe(read(&path))? else { return Ok(None) };
    let entry = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (device, second, third) = (words.next()?, words.next()?, words.next());
        let (op, value) = third.map_or(("", second), |value| (second, value));
        let (major, minor) = device.split_once(':')?;
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op: op.to_owned(),
            value: value.parse().ok()?,
        })
    };
    text.lines()
        .filter(|line| !line.starts_with("Total "))
        .map(entry)
        .collect::<Option<_>>()
        .map(Some)
        .ok_or_else(|| unreadable(path))
}

/// Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`. `None` where the kernel does not count it: `psi=0`, or a
/// kernel that wants `psi=1` and says EOPNOTSUPP.
pub(super) fn pressure(group: &Path, file: &str) -> Result<Option<Pressure>, CgroupError> {
    let path = group.join(file);
    let text = match maybe(read(&path)) {
        Err(CgroupError::Access { source, .. })
            if Errno::from_io_error(&source) == Some(Errno::OPNOTSUPP) =>
        {
            return Ok(None);
        }
        other => other?,
    };
    text.map(|text| parse_pressure(&text).ok_or_else(|| unreadable(path))).transpose()
}

fn parse_pressure(text: &str) -> Option<Pressure> {
    let mut found = Pressure::default();
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ')?;
        let mut stall = Stall::default();
        for part in rest.split(' ') {
            let (key, value) = part.split_once('=')?;
            match key {
                "avg10" => stall.avg10 = value.parse().ok()?,
                "avg60" => stall.avg60 = value.parse().ok()?,
                "avg300" => stall.avg300 = value.parse().ok()?,
                "total" => stall.total = value.parse().ok()?,
                _ => {}
            }
        }
        match kind {
            "some" => found.some = stall,
            "full" => found.full = stall,
            _ => {}
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_cpusets_write_them() {
        assert_eq!(parse_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse_list(""), Some(Vec::new()));
        assert_eq!(parse_list("0-x"), None);
    }

    #[test]
    fn pressure_is_read_as_the_kernel_writes_it() {
        let text = "some avg10=0.12 avg60=1.00 avg300=2.50 total=42\n\
                    full avg10=0.00 avg60=0.00 avg300=0.25 total=7\n";
        let pressure = parse_pressure(text).unwrap();
        assert_eq!(pressure.some, Stall { avg10: 0.12, avg60: 1.0, avg300: 2.5, total: 42 });
        assert_eq!((pressure.full.avg300, pressure.full.total), (0.25, 7));
        assert_eq!(parse_pressure("some"), None);
    }
}
