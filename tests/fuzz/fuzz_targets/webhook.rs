//! See `fuzzed::webhook`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::webhook(bytes));
