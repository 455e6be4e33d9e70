//! See `tests::fuzz::shebang`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::shebang(bytes));
