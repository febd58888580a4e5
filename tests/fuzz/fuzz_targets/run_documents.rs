//! See `hostile::properties::run_documents`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::properties::run_documents(bytes));
