//! Lists of numbers as the kernel writes them, `0-3,7`: processors and nodes of memory.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest number that a list may name. No machine comes near; without a bound a short text could ask for any
/// amount of memory (R11).
const LARGEST: u32 = 64 * 1024 - 1;

/// A set of small numbers: number `n` is bit `n % 64` of word `n / 64`, as the kernel takes masks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers(Vec<u64>);

impl Numbers {
    /// From a list in the kernel's form (cpuset(7), "List format"). `None`: it is none, or empty, or too large.
    pub fn parse(list: &str) -> Option<Self> {
        let mut words = Vec::new();
        for range in list.trim().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            let end = usize::try_from(last / 64).ok()? + 1;
            if words.len() < end {
                words.resize(end, 0_u64);
            }
            for one in first..=last {
                *words.get_mut(usize::try_from(one / 64).ok()?)? |= 1 << (one % 64);
            }
        }
        Some(Self(words))
    }

    /// The mask.
    pub fn words(&self) -> &[u64] {
        &self.0
    }
}

impl fmt::Display for Numbers {
    /// As a mask: `0x3` for 0 and 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.0.iter().rev().skip_while(|word| **word == 0);
        write!(f, "0x{:x}", words.next().copied().unwrap_or(0))?;
        words.try_for_each(|word| write!(f, "{word:016x}"))
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| digits && number <= LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        let words = |list| Numbers::parse(list).map(|numbers| numbers.0);
        for (list, expected) in [
            ("0", vec![1]),
            ("0-3,7", vec![0x8f]),
            ("63,64", vec![1 << 63, 1]),
            ("128", vec![0, 0, 1]),
            (" 1\n", vec![2]),
        ] {
            assert_eq!(words(list), Some(expected), "{list}");
        }
        let mask = |list| Numbers::parse(list).unwrap().to_string();
        assert_eq!([mask("0,1"), mask("65")], ["0x3", "0x20000000000000000"]);
        for list in ["", ",", "1,", "a", "3-1", "1-", "-1", "+1", "0 - 3", "65536", "4294967296"] {
            assert_eq!(words(list), None, "{list}");
        }
    }
}
