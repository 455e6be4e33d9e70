//! See `tests::fuzz::module_list`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::module_list(bytes));
