//! See `hostile::properties::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::properties::records(bytes));
