//! See `tests::fuzz::loader_facts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::loader_facts(bytes));
