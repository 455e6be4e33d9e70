//! See `tests::fuzz::imports`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::imports(bytes));
