//! A product -> a catalog item.

use std::borrow::Cow;
use std::rc::Rc;

use indexmap::IndexSet;
use serde::Serialize;
use serde_json::value::RawValue;

use super::entry::{self, Entry, Reference, Relationship, Write};
use super::listing::{Listing, MetadataOf};
use super::record::{Product, Variant};
use crate::mapping::Skip;
use crate::mapping::category::referenced_ids;

/// Looks up the ancestors of categories. Implemented by `resources::shop_catalog`, which fetches and caches them.
pub trait CategoryAncestors {
    /// The ids of the category's ancestors, root first; `None` if the category is gone.
    fn ancestors(&self, category_id: &str) -> Option<&[Rc<str>]>;

    /// Whether the category exists and is sent: one without a name is skipped.
    fn is_sent(&self, category_id: &str) -> bool;
}

/// The attributes of the entry, without those that identify the item.
#[derive(Serialize)]
struct Attributes<'a> {
    title: &'a str,
    description: &'a str,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_full_url: Option<Option<Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Cow<'a, RawValue>>,
    published: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_metadata: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Relationships {
    categories: Relationship<Vec<Reference>>,
}

impl Product<'_> {
    /// The ids of the categories that the product is assigned to, in order, without their ancestors.
    #[must_use]
    pub fn category_ids(&self) -> Vec<String> {
        referenced_ids(self.categories)
    }
}

impl Listing<'_> {
    /// Appends the product's entry to `out`, as JSON text for a catalog item bulk job.
    ///
    /// The item is in the product's categories and in all their ancestors, each once, without those that are gone or
    /// skipped: Klaviyo would reject the whole item for one that it does not have. An update of a product without
    /// categories takes the item out of all of them, and an update of one without an image takes the image away.
    ///
    /// # Errors
    /// [`Skip::CustomMetadataTooLarge`], with nothing appended. Klaviyo then rejects the variants of the item, unless
    /// it has the item already.
    pub fn item(
        &self,
        categories: &dyn CategoryAncestors,
        op: Write,
        out: &mut Vec<u8>,
    ) -> Result<Entry, Skip> {
        let master = self.product.item_variant();
        let prices = master.and_then(Variant::prices);
        let attributes = Attributes {
            title: &self.title,
            description: &self.description,
            url: &self.url,
            image_full_url: op.or_clear(master.and_then(Variant::image_url)),
            price: self.price(prices.as_deref()),
            published: true,
            custom_metadata: self.custom_metadata(MetadataOf::Item, prices.as_deref(), op)?,
        };
        let categories = self.categories(categories);
        let is_sent = op == Write::Update || !categories.is_empty();
        let relationships = is_sent.then_some(Relationships {
            categories: Relationship { data: categories },
        });
        Ok(entry::write(
            "catalog-item",
            op,
            self.product.id(),
            attributes,
            relationships,
            out,
        ))
    }

    fn categories(&self, categories: &dyn CategoryAncestors) -> Vec<Reference> {
        let own = self.product.category_ids();
        let ancestors = own
            .iter()
            .filter_map(|id| categories.ancestors(id))
            .flatten()
            .map(AsRef::as_ref);
        let ids: IndexSet<&str> = own.iter().map(String::as_str).chain(ancestors).collect();
        ids.into_iter()
            .filter(|id| categories.is_sent(id))
            .map(|id| Reference::to("catalog-category", id))
            .collect()
    }
}
