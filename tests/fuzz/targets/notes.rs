//! See `tests::fuzz::notes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::notes(bytes));
