//! Owner, mode and time of every entry: the same, whoever builds, wherever and whenever.

use std::str::FromStr;

use common::tree::Metadata;

/// The time that every entry and the image's configuration get: seconds since 1970. Zero unless
/// `--source-date-epoch` gives another; the clock and the environment are never asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epoch(u64);

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: expected whole seconds since 1970, before the year 10000")]
pub struct EpochError(String);

/// 9999-12-31T23:59:59Z: the last second that RFC 3339 can write.
const LAST: u64 = 253_402_300_799;

impl FromStr for Epoch {
    type Err = EpochError;

    fn from_str(text: &str) -> Result<Self, EpochError> {
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        match text.parse() {
            Ok(seconds) if digits && seconds <= LAST => Ok(Self(seconds)),
            _ => Err(EpochError(text.escape_debug().to_string())),
        }
    }
}

impl Epoch {
    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// As RFC 3339 has it, in UTC.
    pub fn rfc3339(self) -> String {
        let (days, rest) = (self.0 / 86_400, self.0 % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of a day since 1970-01-01 (proleptic Gregorian calendar; years are counted
/// from March, so that the leap day is a year's last).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Metadata of an entry: this mode, owner 0:0 (a volume has its own), the one time, no extended attributes.
pub(super) fn metadata(mode: u32, epoch: Epoch) -> Metadata {
    // `Epoch` is at most `LAST`, far below 2^63.
    let mtime = i64::try_from(epoch.0).unwrap_or_default();
    Metadata { mode, mtime, ..Metadata::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_rfc_3339_writes_them() {
        for (seconds, text) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("951827696", "2000-02-29T12:34:56Z"),
            ("1709251199", "2024-02-29T23:59:59Z"),
            ("4107542400", "2100-03-01T00:00:00Z"),
            ("253402300799", "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(seconds.parse::<Epoch>().unwrap().rfc3339(), text);
        }
        for wrong in ["", "-1", "+1", "253402300800", "now", "1.5"] {
            assert!(wrong.parse::<Epoch>().is_err(), "{wrong}");
        }
    }
}
