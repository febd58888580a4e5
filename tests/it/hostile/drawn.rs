//! Bad input of every kind: the properties of the crate `hostile`, over drawn bytes. `cargo fuzz` drives the same ones for
//! longer (`tests/fuzz/`).

use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes of a script: enough to spoil a dozen answers.
const MOST_BYTES: usize = 160;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn bodies_of_requests(bytes in vec(any::<u8>(), 0..MOST_BYTES)) {
        hostile::properties::bodies(&bytes);
    }

    #[test]
    fn records(bytes in vec(any::<u8>(), 0..MOST_BYTES)) {
        hostile::properties::records(&bytes);
    }
}

// each a run, or two
proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn run_documents_as_they_are_stored(bytes in vec(any::<u8>(), 0..MOST_BYTES)) {
        hostile::properties::stored_documents(&bytes);
    }

    #[test]
    fn run_documents_as_they_are_answered(bytes in vec(any::<u8>(), 0..MOST_BYTES)) {
        hostile::properties::run_documents(&bytes);
    }

    #[test]
    fn answers_of_commercetools(bytes in vec(any::<u8>(), 0..MOST_BYTES)) {
        hostile::properties::commercetools(&bytes);
    }

    #[test]
    fn answers_of_klaviyo(bytes in vec(any::<u8>(), 0..MOST_BYTES)) {
        hostile::properties::klaviyo(&bytes);
    }
}
