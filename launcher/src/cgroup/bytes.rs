//! Sizes as people write them on a command line: `512m`, `1.5g`, `64KiB`, `1mb/s`.

use std::fmt;
use std::str::FromStr;

/// A number of bytes. Units are powers of 1024, as in Docker's and Podman's options, whether written
/// `k`, `kb` or `KiB`; a trailing `/s` is allowed, for rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// Neither a number nor a known unit.
    #[error("`{0}` is no size: it is a number and a unit of b, k, m, g or t, such as 512m or 1.5g")]
    Syntax(String),
    /// More than the kernel can count.
    #[error("`{0}` is more than 8 EiB")]
    TooLarge(String),
}

impl Bytes {
    /// As the runtime specification counts: an `i64`, which [`Bytes::from_str`] never exceeds.
    pub fn as_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl FromStr for Bytes {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let syntax = || BytesError::Syntax(text.to_owned());
        let lower = text.trim().to_ascii_lowercase();
        let size = lower.strip_suffix("/s").or(lower.strip_suffix("ps")).unwrap_or(&lower);
        let digits = size.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(size.len());
        let (number, unit) = size.split_at(digits);
        let shift = match unit {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(syntax()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || number.ends_with('.') || fraction.contains('.') {
            return Err(syntax());
        }
        let too_large = || BytesError::TooLarge(text.to_owned());
        // All are digits by now, so only size can fail. Whole numbers stay exact.
        let whole: u64 = whole.parse().or(Err(too_large()))?;
        let unit = 1_u64 << shift;
        let mut total = whole.checked_mul(unit).ok_or_else(too_large)?;
        // Twelve digits of a fraction say more than any unit can hold.
        let mut weight = unit;
        for digit in fraction.bytes().take(12) {
            let part = weight * u64::from(digit - b'0');
            total = total.checked_add(part / 10).ok_or_else(too_large)?;
            weight /= 10;
        }
        if total > i64::MAX as u64 { Err(too_large()) } else { Ok(Self(total)) }
    }
}

impl fmt::Display for Bytes {
    /// The largest unit that keeps the number whole: `512m`, `1536m`, `1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "t"), (30, "g"), (20, "m"), (10, "k")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_exactly() {
        for (text, size) in [
            ("0", 0),
            ("1000", 1000),
            ("512m", 512 << 20),
            ("1.5g", 3 << 29),
            ("64KiB", 64 << 10),
            ("1mb/s", 1 << 20),
            ("10MBps", 10 << 20),
            ("0.5k", 512),
            ("2T", 2 << 40),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(size)), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "m", "-1", "+1", "1x", "1.m", ".5m", "1.2.3m", "1 m", "0x10", "1e3", "１m"]
        {
            assert_eq!(text.parse::<Bytes>(), Err(BytesError::Syntax(text.to_owned())), "{text}");
        }
        for text in ["9223372036854775808", "99999999t", "99999999999999999999"] {
            assert_eq!(text.parse::<Bytes>(), Err(BytesError::TooLarge(text.to_owned())));
        }
    }

    #[test]
    fn sizes_print_as_they_are_written() {
        for text in ["0", "1000", "512m", "1536m", "2g", "3t"] {
            assert_eq!(text.parse::<Bytes>().map(|b| b.to_string()), Ok(text.to_owned()));
        }
    }
}
