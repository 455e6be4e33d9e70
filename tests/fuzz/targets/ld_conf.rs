//! See `tests::fuzz::ld_conf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::ld_conf(bytes));
