//! See `hostile::properties::commercetools`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::properties::commercetools(bytes));
