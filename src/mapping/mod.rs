//! Mappings from commercetools records to Klaviyo documents.
//!
//! They are pure: no clock, no network, no access to the configuration other than the options that are passed in. A
//! mapping is total: for any record it returns a document or a [`Skip`] that names the reason. Records are read as
//! borrowed JSON text, and most of that is copied into the document unchanged. A member of the wrong type counts as
//! absent, unless the document cannot be written without it.

pub mod category;
mod countries;
pub mod customer;
mod email;
mod limits;
pub mod locale;
pub mod metadata;
mod money;
pub mod order;
mod phone;
mod price;
pub mod product;
mod properties;

use crate::json::Part;

/// Why a record is not sent. The message is for the operator and contains nothing of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// The record lacks a member that every such record has.
    #[error(
        "the record is not as commercetools describes it: {missing} is missing or has another type"
    )]
    Malformed {
        /// commercetools' name of the member.
        missing: &'static str,
    },
    /// An order without an email and without a customer: there is no profile that its events belong to.
    #[error(
        "the order has neither customerEmail nor customerId, so there is no profile for its events"
    )]
    NoIdentifier,
    /// An order of a guest whose email is longer than Klaviyo accepts: nothing else identifies the profile.
    #[error("the order's customerEmail is longer than Klaviyo accepts, and it has no customerId")]
    EmailTooLong,
    /// A customer whose email another customer has too, who keeps it.
    #[error("the customer {other} has the same email, and keeps it: its id comes first")]
    SharedEmail {
        /// The id of that customer.
        other: String,
    },
    /// Klaviyo's limit for an event's properties.
    #[error("an event of the order has {count} properties, Klaviyo accepts {most}")]
    TooManyProperties {
        /// How many it has.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// Klaviyo's limit for a string in an event.
    #[error("an event of the order has a string of {bytes} bytes, Klaviyo accepts {most}")]
    StringTooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
    /// Klaviyo's limit for objects and arrays within one another in an event.
    #[error("an event of the order has {levels} levels of nesting, Klaviyo accepts {most}")]
    NestedTooDeep {
        /// How many it has.
        levels: usize,
        /// How many it may have.
        most: usize,
    },
    /// Klaviyo's limit for an array in an event.
    #[error("an event of the order has an array of {entries} entries, Klaviyo accepts {most}")]
    ArrayTooLong {
        /// How many entries it has.
        entries: usize,
        /// How many it may have.
        most: usize,
    },
    /// Klaviyo's limit for an integer in an event.
    #[error("an event of the order has an integer that 64 bits cannot hold, which Klaviyo rejects")]
    IntegerTooLarge,
    /// Klaviyo's limit for the id of an event.
    #[error(
        "an event of the order has an id of more than {most} characters, which Klaviyo rejects"
    )]
    IdTooLong {
        /// How many characters it may have.
        most: usize,
    },
    /// Klaviyo's limit for a request, which one event alone exceeds.
    #[error("an event of the order has {bytes} bytes, Klaviyo accepts {most}")]
    EventTooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// Klaviyo's limit for `custom_metadata`.
    #[error(
        "the prices and texts of all locales and countries exceed Klaviyo's limit for custom_metadata"
    )]
    CustomMetadataTooLarge,
    /// A product or category without a name in any locale, which Klaviyo requires.
    #[error("there is no name in any locale")]
    NoName,
    /// A product without a slug, while its URL needs one.
    #[error("there is no slug in any locale, and product_url_template needs one")]
    NoSlug,
    /// A variant without a sku, which would be its id in Klaviyo.
    #[error("the variant has no sku")]
    NoSku,
    /// A variant that is to be created and has no price, which Klaviyo requires: none of the product's standalone prices
    /// applies to it, or they may not be read.
    #[error(
        "none of the standalone prices applies to the variant, or they may not be read; Klaviyo creates no variant \
         without a price"
    )]
    NoPrice,
    /// A variant whose sku another product has too, which keeps it.
    #[error("the product {other} has the sku too, and keeps it: its id comes first")]
    SkuOfAnotherProduct {
        /// The id of that product.
        other: String,
    },
    /// A variant of a product that Klaviyo does not have.
    #[error(
        "Klaviyo does not have the product as a catalog item: the report says why, or it was deleted there"
    )]
    ItemNotInKlaviyo,
    /// A document that is larger than Klaviyo accepts.
    #[error("the document has {bytes} bytes, Klaviyo accepts {most}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// A product of an order that is too large to be looked up.
    #[error("a product of the order is too large to be looked up, so its categories are not known")]
    ProductTooLarge,
    /// A record that was requested by its id and does not exist.
    #[error("there is no such record in commercetools")]
    NotFound,
}

impl Skip {
    /// The stable key under which skipped records are counted.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::NoIdentifier => "no-identifier",
            Self::EmailTooLong => "email-too-long",
            Self::TooManyProperties { .. } => "too-many-properties",
            Self::StringTooLong { .. } => "string-too-long",
            Self::NestedTooDeep { .. } => "nested-too-deep",
            Self::ArrayTooLong { .. } => "array-too-long",
            Self::IntegerTooLarge => "integer-too-large",
            Self::IdTooLong { .. } => "id-too-long",
            Self::EventTooLarge { .. } => "event-too-large",
            Self::CustomMetadataTooLarge => "custom-metadata-too-large",
            Self::SharedEmail { .. } => "shared-email",
            Self::NoName => "no-name",
            Self::NoSlug => "no-slug",
            Self::NoSku => "no-sku",
            Self::NoPrice => "no-price",
            Self::SkuOfAnotherProduct { .. } => "sku-of-another-product",
            Self::ItemNotInKlaviyo => "item-not-in-klaviyo",
            Self::TooLarge { .. } => "too-large",
            Self::ProductTooLarge => "product-too-large",
            Self::NotFound => "not-found",
        }
    }
}

/// The `id` of a record, under which it is reported when it is skipped. `None` if it is absent or empty.
#[must_use]
pub fn id<'a>(record: impl Into<Part<'a>>) -> Option<String> {
    let [id] = record.into().pick(["id"])?;
    Some(id?.id()?.into_owned())
}
