//! A product variant -> a catalog variant.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::entry::{self, Entry, Reference, Relationship, Write};
use super::listing::{Listing, MetadataOf};
use super::record::{Stock, Variant};
use crate::mapping::Skip;

/// Klaviyo's `inventory_policy` that leaves variants out of product feeds while they are out of stock.
const HIDDEN_WHEN_OUT_OF_STOCK: u8 = 1;
/// The one that shows variants whatever their quantity.
const ALWAYS_SHOWN: u8 = 2;

/// The attributes of the entry, without those that identify the variant on a create.
#[derive(Serialize)]
struct Attributes<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<&'a str>,
    title: &'a str,
    description: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_full_url: Option<Option<Cow<'a, str>>>,
    /// `null` clears what an update finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    inventory_quantity: Option<Option<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inventory_policy: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Cow<'a, RawValue>>,
    published: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_metadata: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Relationships {
    item: Relationship<Reference>,
}

impl Listing<'_> {
    /// Appends the entry of one of the product's variants to `out`, as JSON text for a catalog variant bulk job.
    ///
    /// # Errors
    /// A variant that cannot be sent, with nothing appended: [`Skip::NoSku`], [`Skip::NoPrice`],
    /// [`Skip::CustomMetadataTooLarge`].
    pub fn variant(
        &self,
        variant: &Variant<'_>,
        op: Write,
        out: &mut Vec<u8>,
    ) -> Result<Entry, Skip> {
        let sku = variant.sku().ok_or(Skip::NoSku)?;
        let prices = variant.prices();
        let create = op == Write::Create;
        let price = self.price(prices.as_deref());
        if create && price.is_none() {
            return Err(Skip::NoPrice);
        }
        let (quantity, policy) = match variant.stock(self.inventory_channel()) {
            Stock::Of(quantity) => (Some(Some(quantity)), Some(HIDDEN_WHEN_OUT_OF_STOCK)),
            // a create requires a quantity
            Stock::Untracked | Stock::Unread if create => (Some(Some(0)), Some(ALWAYS_SHOWN)),
            Stock::Untracked => (Some(None), Some(ALWAYS_SHOWN)),
            // an update leaves what is there
            Stock::Unread => (None, None),
        };
        let attributes = Attributes {
            sku: create.then_some(sku),
            title: &self.title,
            description: &self.description,
            url: &self.url,
            image_full_url: op.or_clear(variant.image_url()),
            inventory_quantity: quantity,
            inventory_policy: policy,
            price,
            published: true,
            custom_metadata: self.custom_metadata(MetadataOf::Variant, prices.as_deref(), op)?,
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
