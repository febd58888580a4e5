//! See `hostile::properties::klaviyo`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::properties::klaviyo(bytes));
