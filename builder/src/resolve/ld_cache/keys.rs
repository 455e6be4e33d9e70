//! What entries of the cache are found by: the order of names, and the architecture's id.

use std::cmp::Ordering;

use crate::elf::{Class, Machine};

/// `_dl_cache_libcmp`: runs of digits compare as numbers; a digit sorts behind anything else. The
/// file is sorted by this, descending. Numbers wrap like the loader's `int`.
pub fn compare(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left, right);
    while let Some(&a) = left.first() {
        let b = right.first().copied().unwrap_or(0);
        match (a.is_ascii_digit(), b.is_ascii_digit()) {
            (true, true) => {
                let order = number(&mut left).cmp(&number(&mut right));
                if order.is_ne() {
                    return order;
                }
            }
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) if a != b => return signed(a).cmp(&signed(b)),
            (false, false) => {
                left = &left[1..];
                right = &right[1..];
            }
        }
    }
    // The end counts as a byte of zero, behind all that are negative.
    right.first().map_or(Ordering::Equal, |&byte| 0.cmp(&signed(byte)))
}

/// Names are compared as `char`, which is signed on x86.
fn signed(byte: u8) -> i8 {
    i8::from_ne_bytes([byte])
}

fn number(rest: &mut &[u8]) -> i32 {
    let mut value = 0_i32;
    while let Some(digit) = rest.first().filter(|byte| byte.is_ascii_digit()) {
        value = value.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'));
        *rest = &rest[1..];
    }
    value
}

/// The architecture id of entries that a program's loader takes (glibc `dl-cache.h` and the
/// `dl-cache.h` of each port); `None` for machines that no table names.
pub fn architecture_id(machine: Machine, class: Class, header_flags: u32) -> Option<u32> {
    Some(match (machine, class) {
        (Machine::X86_64, Class::Elf64) => 0x0303,
        (Machine::X86_64, Class::Elf32) => 0x0803,
        (Machine::X86, _) => 0x0003,
        (Machine::AARCH64, Class::Elf64) => 0x0a03,
        // EF_ARM_ABI_FLOAT_HARD, else soft float.
        (Machine::ARM, _) if header_flags & 0x400 != 0 => 0x0903,
        (Machine::ARM, _) => 0x0b03,
        (Machine::S390, Class::Elf64) => 0x0403,
        (Machine::PPC64, Class::Elf64) => 0x0503,
        // EF_RISCV_FLOAT_ABI: 0 soft, 4 double.
        (Machine::RISCV, Class::Elf64) if header_flags & 6 == 4 => 0x1003,
        (Machine::RISCV, Class::Elf64) => 0x0f03,
        // EF_LOONGARCH_ABI: 3 double float.
        (Machine::LOONGARCH, Class::Elf64) if header_flags & 7 == 3 => 0x1103,
        (Machine::LOONGARCH, Class::Elf64) => 0x1203,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digit_runs_compare_as_numbers() {
        use Ordering::{Equal, Greater, Less};
        for (left, right, order) in [
            ("libc.so.6", "libc.so.6", Equal),
            ("libc.so.10", "libc.so.9", Greater),
            ("libc.so.09", "libc.so.9", Equal),
            ("lib1", "liba", Greater),
            ("liba", "lib1", Less),
            ("lib", "libc", Less),
            ("libc", "lib", Greater),
            ("", "", Equal),
        ] {
            assert_eq!(compare(left.as_bytes(), right.as_bytes()), order, "{left} {right}");
        }
        assert_eq!(compare(b"lib", b"lib\xc3\xa4"), Greater);
        assert_eq!(compare(b"lib\xc3\xa4", b"lib"), Less);
    }
}
