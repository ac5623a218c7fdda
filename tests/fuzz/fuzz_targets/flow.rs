//! See `fuzzed::flow`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzed::flow(bytes));
