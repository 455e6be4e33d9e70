//! See `tests::fuzz::locale_archive`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::locale_archive(bytes));
