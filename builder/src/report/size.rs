//! Numbers for people.

/// A size: `4.2 MB`, units of a thousand.
pub fn size(bytes: u64) -> String {
    let mut rest = bytes;
    let mut tenths = 0;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if rest < 1000 || unit == "TB" {
            return if unit == "B" {
                format!("{rest} B")
            } else {
                format!("{rest}.{tenths} {unit}")
            };
        }
        tenths = rest % 1000 / 100;
        rest /= 1000;
    }
    format!("{bytes} B")
}

/// A number of things: `1 file`, `2 files`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1999, "1.9 kB"), (4_250_000, "4.2 MB")]
        {
            assert_eq!(super::size(bytes), text);
        }
    }
}
