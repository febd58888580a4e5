//! A product and its variants, with the members that the mapping reads as JSON text.

use std::borrow::Cow;
use std::collections::HashSet;

use super::entry::compound_id;
use crate::json::{self, Part, Text};
use crate::mapping::Skip;
use crate::mapping::price::{self, Price};

/// Klaviyo identifies a catalog item by the product's id.
const NO_ID: Skip = Skip::Malformed { missing: "id" };

/// The `availability` of a variant whose stock may not be read; commercetools has an object there.
pub(super) const UNREAD_STOCK: &str = "\"unread\"";

/// A product of a response to `product-projections?staged=false`, with the members that the mapping reads as JSON text.
#[derive(Debug)]
pub struct Product<'a> {
    pub(super) id: String,
    pub(super) name: Option<Part<'a>>,
    pub(super) slug: Option<Part<'a>>,
    pub(super) description: Option<Part<'a>>,
    pub(super) categories: Option<Part<'a>>,
    pub(super) master_variant: Option<Variant<'a>>,
    variants: Vec<Variant<'a>>,
    pub(super) price_mode: PriceMode,
    /// Whether these are some of its variants: [`Completion`](super::Completion) says so.
    is_portion: bool,
    /// The variant that the item is made of, where it is not among them.
    item_variant: Option<Variant<'a>>,
}

/// Where the prices of a product are (`priceMode`,
/// <https://docs.commercetools.com/api/projects/products#productpricemodeenum>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceMode {
    /// In its variants.
    Embedded,
    /// Resources of their own, by sku.
    Standalone,
}

impl<'a> Product<'a> {
    /// Reads the ids and skus, and finds the other members.
    ///
    /// # Errors
    /// [`Skip::Malformed`] if this is not an object with an id.
    pub fn read(product: impl Into<Part<'a>>) -> Result<Self, Skip> {
        let parts = [
            "id",
            "name",
            "slug",
            "description",
            "categories",
            "masterVariant",
            "variants",
            "priceMode",
            "isPortion",
            "itemVariant",
        ];
        let [
            id,
            name,
            slug,
            description,
            categories,
            master_variant,
            variants,
            price_mode,
            is_portion,
            item_variant,
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
            price_mode: match price_mode.map(Part::get) {
                Some("\"Standalone\"") => PriceMode::Standalone,
                _ => PriceMode::Embedded,
            },
            is_portion: is_portion.is_some(),
            item_variant: item_variant.map(Variant::read),
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

    /// The variant that the item is made of: the master variant.
    pub(super) fn item_variant(&self) -> Option<&Variant<'a>> {
        self.item_variant.as_ref().or(self.master_variant.as_ref())
    }

    /// Whether these are only some of its variants, as there are so many.
    #[must_use]
    pub fn is_portion(&self) -> bool {
        self.is_portion
    }

    /// Whether the projection has no variant at all. In a project with the catalog model `Modular` variants are resources
    /// of their own, and a product of any other has its master variant.
    #[must_use]
    pub fn is_without_variants(&self) -> bool {
        self.variants().all(|variant| variant.number.is_none())
    }

    /// Where its prices are.
    #[must_use]
    pub fn price_mode(&self) -> PriceMode {
        self.price_mode
    }

    /// Whether its prices are resources of their own that may not be read.
    #[must_use]
    pub fn has_unread_prices(&self) -> bool {
        self.price_mode == PriceMode::Standalone
            && self.variants().any(|variant| variant.prices.is_none())
    }

    /// Whether the stock of a variant may not be read.
    #[must_use]
    pub fn has_unread_stock(&self) -> bool {
        self.variants().any(Variant::has_unread_stock)
    }

    /// The skus of the variants that have one, which are their external ids.
    pub fn skus(&self) -> impl Iterator<Item = &str> {
        self.variants().filter_map(Variant::sku)
    }

    /// Of the variants that Klaviyo has of this item, by compound id, those that the product no longer has: they are to
    /// be deleted. None, if no variant of the product could be read, or only some: nothing is deleted because a list is
    /// empty.
    #[must_use]
    pub fn obsolete<'k>(&self, in_klaviyo: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
        if self.is_portion || self.is_without_variants() {
            return Vec::new();
        }
        let present: HashSet<String> = self.skus().map(compound_id).collect();
        in_klaviyo
            .into_iter()
            .filter(|id| !present.contains(*id))
            .collect()
    }
}

/// A variant of a product, with the members that the mapping reads as JSON text.
#[derive(Debug)]
pub struct Variant<'a> {
    number: Option<u64>,
    sku: Option<String>,
    images: Option<Part<'a>>,
    pub(super) prices: Option<Part<'a>>,
    availability: Option<Part<'a>>,
}

impl<'a> Variant<'a> {
    /// A value that is not an object is read as a variant without members, and so without a sku.
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

    /// The variant's number within its product (commercetools' `id`), which identifies it in reports if it has no sku.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// The sku, which is the catalog variant's external id. `None` if it is absent or empty: such a variant cannot be
    /// sent.
    #[must_use]
    pub fn sku(&self) -> Option<&str> {
        self.sku.as_deref()
    }

    fn has_unread_stock(&self) -> bool {
        self.availability.map(Part::get) == Some(UNREAD_STOCK)
    }

    /// The first image's URL.
    pub(super) fn image_url(&self) -> Option<Cow<'a, str>> {
        let [url] = self.images?.array().first()?.pick(["url"])?;
        url?.filled_text().map(Text::decoded)
    }

    /// The prices; `None` if the variant has no `prices`.
    pub(super) fn prices(&self) -> Option<Vec<Price<'a>>> {
        self.prices.map(price::read)
    }

    /// The quantity in stock: in the channel with this id, if one is configured and its quantity is not 0, else
    /// overall. Without a configured channel and a quantity of its own, that of all channels together.
    pub(super) fn stock(&self, channel: Option<&str>) -> Stock {
        if self.has_unread_stock() {
            return Stock::Unread;
        }
        let Some(overall) = self.availability.filter(|part| part.is_object()) else {
            return Stock::Untracked;
        };
        let channels = || {
            let [channels] = overall.pick(["channels"])?;
            channels?.object()
        };
        let quantity = match channel {
            Some(channel) => channels()
                .and_then(|channels| {
                    available_quantity(*channels.get(json::escape(channel).as_ref())?)
                })
                .filter(|quantity| *quantity != 0)
                .or_else(|| available_quantity(overall)),
            None => available_quantity(overall).or_else(|| {
                let channels = channels()?;
                let quantities = channels.values().copied().filter_map(available_quantity);
                Some(quantities.fold(0, i64::saturating_add))
            }),
        };
        Stock::Of(quantity.unwrap_or(0))
    }
}

/// What is known of a variant's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stock {
    /// The variant has no `availability`: its stock is not tracked.
    Untracked,
    /// The stock is a resource of its own that may not be read.
    Unread,
    /// So many are there. Negative if more was sold than there was.
    Of(i64),
}

/// The `availableQuantity` of a variant's `availability` or of one of its channels.
fn available_quantity(availability: Part<'_>) -> Option<i64> {
    let [quantity] = availability.pick(["availableQuantity"])?;
    quantity?.get().parse().ok()
}
