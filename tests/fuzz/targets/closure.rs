//! See `tests::fuzz::closure`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::closure(bytes));
