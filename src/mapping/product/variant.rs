//! A product variant -> a catalog variant.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Listing;
use super::entry::{self, Entry, Reference, Relationship, Write};
use crate::mapping::Skip;
use crate::mapping::json::{self, Part, Text};
use crate::mapping::price::{self, Price};

/// Klaviyo's `inventory_policy` that keeps what is out of stock out of product feeds.
const HIDDEN_WHEN_OUT_OF_STOCK: u8 = 1;

/// A variant of a product, with the parts that are looked at still as JSON text.
#[derive(Debug)]
pub struct Variant<'a> {
    number: Option<u64>,
    sku: Option<String>,
    images: Option<Part<'a>>,
    prices: Option<Part<'a>>,
    availability: Option<Part<'a>>,
}

impl<'a> Variant<'a> {
    /// What is not an object is a variant without anything, and so without a sku.
    pub(super) fn read(variant: Part<'a>) -> Self {
        let [number, sku, images, prices, availability] = variant
            .pick(["id", "sku", "images", "prices", "availability"])
            .unwrap_or_default();
        Self {
            number: number.and_then(|number| number.get().parse().ok()),
            sku: sku.and_then(Part::id).map(Cow::into_owned),
            images,
            prices,
            availability,
        }
    }

    /// The variant's number within its product (commercetools calls it `id`): what names it where it has no sku.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// The sku, which is the catalog variant's external id. `None` where there is none or an empty one: such a variant
    /// cannot be sent.
    #[must_use]
    pub fn sku(&self) -> Option<&str> {
        self.sku.as_deref()
    }

    /// The first image's URL.
    pub(super) fn image_url(&self) -> Option<Cow<'a, str>> {
        let [url] = self.images?.array().first()?.pick(["url"])?;
        url?.filled_text().map(Text::decoded)
    }

    /// The prices, `None` where the variant has no `prices`.
    pub(super) fn prices(&self) -> Option<Vec<Price<'a>>> {
        self.prices.map(price::read)
    }

    /// What is in stock: in the channel with this id, where one is configured and has something, else over all.
    /// Negative where more was sold than there was.
    pub(super) fn inventory_quantity(&self, channel: Option<&str>) -> i64 {
        let Some(overall) = self.availability else {
            return 0;
        };
        let in_channel = channel.and_then(|channel| {
            let [channels] = overall.pick(["channels"])?;
            let channels = channels?.object()?;
            available_quantity(*channels.get(json::escape(channel).as_ref())?)
        });
        in_channel
            .filter(|quantity| *quantity != 0)
            .or_else(|| available_quantity(overall))
            .unwrap_or(0)
    }
}

/// `availableQuantity` of a variant's `availability`, or of one channel within it.
fn available_quantity(availability: Part<'_>) -> Option<i64> {
    let [quantity] = availability.pick(["availableQuantity"])?;
    quantity?.get().parse().ok()
}

/// The attributes of the entry, without those that name the variant on a create.
#[derive(Serialize)]
struct Attributes<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    title: &'a str,
    description: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_full_url: Option<Cow<'a, str>>,
    inventory_quantity: i64,
    inventory_policy: u8,
    price: Cow<'a, RawValue>,
    published: bool,
    custom_metadata: Box<RawValue>,
}

#[derive(Serialize)]
struct Relationships {
    item: Relationship<Reference>,
}

impl Listing<'_> {
    /// Appends the entry of one of the product's variants to `out`, as JSON text for a catalog variant bulk job.
    ///
    /// # Errors
    /// A variant that cannot be sent, with nothing appended: [`Skip::NoSku`], [`Skip::CustomMetadataTooLarge`].
    pub fn variant(
        &self,
        variant: &Variant<'_>,
        op: Write,
        out: &mut Vec<u8>,
    ) -> Result<Entry, Skip> {
        let sku = variant.sku().ok_or(Skip::NoSku)?;
        let prices = variant.prices();
        let create = op == Write::Create;
        let attributes = Attributes {
            sku: create.then_some(sku),
            title: &self.title,
            description: &self.description,
            url: &self.url,
            image_full_url: variant.image_url(),
            inventory_quantity: variant.inventory_quantity(self.inventory_channel()),
            inventory_policy: HIDDEN_WHEN_OUT_OF_STOCK,
            price: self.price(prices.as_deref()),
            published: true,
            custom_metadata: self.custom_metadata(prices.as_deref())?,
        };
        let relationships = create.then(|| Relationships {
            item: Relationship {
                data: Reference::to("catalog-item", self.product.id()),
            },
        });
        Ok(entry::write(
            "catalog-variant",
            op,
            sku,
            attributes,
            relationships,
            out,
        ))
    }
}
