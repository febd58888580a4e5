//! See `hostile::properties::stored_documents`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::properties::stored_documents(bytes));
