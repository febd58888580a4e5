//! See `hostile::properties::bodies`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::properties::bodies(bytes));
