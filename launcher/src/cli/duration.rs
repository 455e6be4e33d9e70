//! Durations as people write them: `30`, `1.5s`, `250ms`, `2m`, `1h30m`.

use std::str::FromStr;
use std::time::Duration;

/// A time of more than nothing; a bare number counts seconds, as in timeout(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is a number and a unit of ms, s, m, h or d (10, 1.5s, 250ms, 1h30m), above zero")]
pub(super) struct SpanError;

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at_checked(end).ok_or(SpanError)?;
            let end = tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at_checked(end).ok_or(SpanError)?;
            let seconds = match unit {
                "ms" => 0.001,
                "" if number == text => 1.0,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return Err(SpanError),
            };
            let number: f64 = number.parse().ok().ok_or(SpanError)?;
            let part = Duration::try_from_secs_f64(number * seconds).ok().ok_or(SpanError)?;
            total = total.checked_add(part).ok_or(SpanError)?;
            rest = tail;
        }
        if total.is_zero() { Err(SpanError) } else { Ok(Self(total)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_units() {
        for (text, milliseconds) in [
            ("10", 10_000),
            ("0.5", 500),
            ("250ms", 250),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(milliseconds))), "{text}");
        }
        for wrong in ["", "0", "0s", "-1", "+1", "s", "1x", "1 s", "1.2.3", "5m3", "1e9", "é", "9é"]
        {
            assert_eq!(wrong.parse::<Span>(), Err(SpanError), "{wrong}");
        }
    }
}
