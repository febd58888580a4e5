//! A published product projection -> one catalog item and a catalog variant for each of its variants.
//!
//! ```text
//! Product::read      the ids and skus, cheaply: enough to ask Klaviyo what it has
//! Listing::of        the texts that item and variants share, or why none of them can be sent
//! Listing::item      writes the item's entry for a create or an update job
//! Listing::variant   writes a variant's
//! ```

pub(super) mod entry;
mod item;
mod listing;
mod variant;

use std::collections::HashSet;

pub use self::entry::{Entry, Write, compound_id, external_id};
pub use self::item::CategoryAncestors;
pub use self::listing::Listing;
pub use self::variant::Variant;
use super::Skip;
use super::json::Part;

/// A product without an id cannot be named in Klaviyo.
const NO_ID: Skip = Skip::Malformed { missing: "id" };

/// A product as `product-projections?staged=false` answers it, with the parts that are looked at still as JSON text.
#[derive(Debug)]
pub struct Product<'a> {
    id: String,
    name: Option<Part<'a>>,
    slug: Option<Part<'a>>,
    description: Option<Part<'a>>,
    categories: Option<Part<'a>>,
    master_variant: Option<Variant<'a>>,
    variants: Vec<Variant<'a>>,
}

impl<'a> Product<'a> {
    /// Reads the ids and skus and finds the rest.
    ///
    /// # Errors
    /// [`Skip::Malformed`] where this is not an object with an id.
    pub fn read(product: impl Into<Part<'a>>) -> Result<Self, Skip> {
        let parts = [
            "id",
            "name",
            "slug",
            "description",
            "categories",
            "masterVariant",
            "variants",
        ];
        let [
            id,
            name,
            slug,
            description,
            categories,
            master_variant,
            variants,
        ] = product.into().pick(parts).ok_or(NO_ID)?;
        Ok(Self {
            id: id.and_then(Part::id).ok_or(NO_ID)?.into_owned(),
            name,
            slug,
            description,
            categories,
            master_variant: master_variant.map(Variant::read),
            variants: variants
                .map(Part::array)
                .unwrap_or_default()
                .into_iter()
                .map(Variant::read)
                .collect(),
        })
    }

    /// The product's id, which is the item's external id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The master variant first, then the others.
    pub fn variants(&self) -> impl Iterator<Item = &Variant<'a>> {
        self.master_variant.iter().chain(&self.variants)
    }

    /// The skus of the variants that have one, which are their external ids.
    pub fn skus(&self) -> impl Iterator<Item = &str> {
        self.variants().filter_map(Variant::sku)
    }

    /// Of the compound ids of the variants that Klaviyo has of this item, those that commercetools no longer has: they are
    /// to be deleted.
    #[must_use]
    pub fn obsolete<'k>(&self, in_klaviyo: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
        let present: HashSet<String> = self.skus().map(compound_id).collect();
        in_klaviyo
            .into_iter()
            .filter(|id| !present.contains(*id))
            .collect()
    }
}
