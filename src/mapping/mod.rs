//! What becomes what: commercetools records in, Klaviyo documents out.
//!
//! Pure: no clock, no network, no look-up of configuration. A mapping is total: it gives a document or a [`Skip`] that
//! names its reason, whatever the record holds. Records are read as borrowed JSON text, most of which goes into the
//! document as it stands; a part with the wrong shape counts as absent where the rules allow for that.

pub mod category;
mod countries;
pub mod customer;
mod limits;
pub mod locale;
mod metadata;
mod money;
pub mod order;
mod price;
pub mod product;
mod properties;

use crate::json::Part;

/// Why a record is not sent. Its text is for the operator and holds nothing of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// The record lacks what every such record has.
    #[error(
        "the record is not as commercetools describes it: {missing} is missing or has another shape"
    )]
    Malformed {
        /// commercetools' name of the part.
        missing: &'static str,
    },
    /// An order without an email and without a customer: Klaviyo has no profile to put its events on.
    #[error(
        "the order has neither customerEmail nor customerId, so there is no profile for its events"
    )]
    NoIdentifier,
    /// Klaviyo's limit of an event's properties.
    #[error("an event of the order has {count} properties, Klaviyo takes {most}")]
    TooManyProperties {
        /// How many it has.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// Klaviyo's limit of a string in an event.
    #[error("an event of the order holds a string of {bytes} bytes, Klaviyo takes {most}")]
    StringTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// Klaviyo's limit of a request, which an event exceeds alone.
    #[error("an event of the order has {bytes} bytes, Klaviyo takes {most}")]
    EventTooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// Klaviyo's limit of `custom_metadata`.
    #[error(
        "the prices and texts of all locales and countries exceed Klaviyo's limit of custom_metadata"
    )]
    CustomMetadataTooLarge,
    /// A product or category without a name in any locale, which Klaviyo requires.
    #[error("there is no name in any locale")]
    NoName,
    /// A product without a slug where its URL is to have one.
    #[error("there is no slug in any locale, and product_url_template asks for one")]
    NoSlug,
    /// A variant without a sku, which is its id in Klaviyo.
    #[error("the variant has no sku")]
    NoSku,
    /// A variant of a product that Klaviyo does not have.
    #[error(
        "Klaviyo does not have the product as a catalog item: the report says why, or it was deleted there"
    )]
    ItemNotInKlaviyo,
    /// A document that is larger than Klaviyo takes.
    #[error("the document has {bytes} bytes, Klaviyo takes {most}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// A record that was asked for by its id.
    #[error("there is no such record in commercetools")]
    NotFound,
}

impl Skip {
    /// A stable name, under which skipped records are counted.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::NoIdentifier => "no-identifier",
            Self::TooManyProperties { .. } => "too-many-properties",
            Self::StringTooLong { .. } => "string-too-long",
            Self::EventTooLarge { .. } => "event-too-large",
            Self::CustomMetadataTooLarge => "custom-metadata-too-large",
            Self::NoName => "no-name",
            Self::NoSlug => "no-slug",
            Self::NoSku => "no-sku",
            Self::ItemNotInKlaviyo => "item-not-in-klaviyo",
            Self::TooLarge { .. } => "too-large",
            Self::NotFound => "not-found",
        }
    }
}

/// The `id` of a record: what it is reported under when it is skipped. `None` where it has none that is not empty.
#[must_use]
pub fn id<'a>(record: impl Into<Part<'a>>) -> Option<String> {
    let [id] = record.into().pick(["id"])?;
    Some(id?.id()?.into_owned())
}
