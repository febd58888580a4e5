//! Leaves the attributes of products and variants out of responses: no mapping reads them, and they can be most of a
//! product's bytes.

use std::cell::Cell;

use crate::error::Error;

/// The paths of projections, which have the parameter. Whole products (`products`) do not.
const PROJECTIONS: [&str; 2] = ["product-projections", "variant-projections"];

/// Names the attributes that are in the response
/// (<https://docs.commercetools.com/api/releases/2025-09-19-introduced-attribute-filtering-for-product-projections>): one
/// that no shop has. There is no way to ask for none.
pub(super) const NO_ATTRIBUTES: (&str, &str) = (
    "filter[attributes]",
    "klaviyo-bulk-import-reads-no-attributes",
);

/// Whether projections are requested without their attributes.
///
/// What commercetools does with a name that no product type defines is not documented. If it ignores the name, the
/// attributes are in the response, and not read. If it rejects the request, whole projections are requested from then on.
#[derive(Debug, Default)]
pub(super) struct AttributeFilter {
    is_rejected: Cell<bool>,
}

impl AttributeFilter {
    /// The parameter of a query of this collection; `None` if it is requested whole.
    pub(super) fn parameter(&self, path: &str) -> Option<(&'static str, &'static str)> {
        let is_used = PROJECTIONS.contains(&path) && !self.is_rejected.get();
        is_used.then_some(NO_ATTRIBUTES)
    }

    /// Whether a request with the parameter may have been rejected because of it: it is worth another attempt without.
    pub(super) fn may_be_rejected(error: &Error) -> bool {
        error.status() == Some(400) && !error.took_too_long()
    }

    /// Learns from how the same request ended without the parameter: if it was accepted, the parameter was the reason.
    pub(super) fn note_without<T>(&self, outcome: &Result<T, Error>) {
        let is_accepted = match outcome {
            Ok(_) => true,
            Err(error) => error.is_too_large() && !error.lacks_memory(),
        };
        if is_accepted {
            self.is_rejected.set(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Peer;
    use crate::ports::TransportError;

    #[test]
    fn projections_are_requested_without_attributes_and_nothing_else_is() {
        let filter = AttributeFilter::default();
        for path in PROJECTIONS {
            assert_eq!(filter.parameter(path), Some(NO_ATTRIBUTES), "{path}");
        }
        for path in ["products", "standalone-prices", "orders"] {
            assert_eq!(filter.parameter(path), None, "{path}");
        }
        // an attribute's name is 2 to 256 letters, digits, `_` and `-`, and a leading `-` would exclude it
        let (_, name) = NO_ATTRIBUTES;
        assert!((2..=256).contains(&name.len()) && !name.starts_with('-'));
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        assert!(name.bytes().all(is_allowed));
    }

    #[test]
    fn only_what_is_accepted_without_it_says_that_it_was_rejected() {
        let error = |reason| Err::<(), _>(Error::transport(Peer::Commercetools, "query", reason));
        let outcomes = [
            (Ok(()), true),
            (error(TransportError::TooLarge { limit: 1 }), true),
            (error(TransportError::NoMemory { bytes: 1 }), false),
            (error(TransportError::Timeout), false),
        ];
        for (outcome, is_rejected) in outcomes {
            let filter = AttributeFilter::default();
            filter.note_without(&outcome);
            let is_whole = filter.parameter(PROJECTIONS[0]).is_none();
            assert_eq!(is_whole, is_rejected, "{outcome:?}");
        }
    }
}
