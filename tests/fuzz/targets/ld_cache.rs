//! See `tests::fuzz::ld_cache`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::ld_cache(bytes));
