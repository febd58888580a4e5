//! What the item and the variants of a product share: name, description, URL, and the time that decides prices.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};

use super::entry::Write;
use super::record::{PriceMode, Product};
use crate::config::MappingOptions;
use crate::json::Part;
use crate::mapping::Skip;
use crate::mapping::locale::localized;
use crate::mapping::metadata::{CustomMetadata, by_locale};
use crate::mapping::price::{self, Price};

/// The placeholder for the slug in `product_url_template`. Only the first one is replaced, as in the Node plugin.
const SLUG_PLACEHOLDER: &str = "{{productSlug}}";
/// The `url` if there is no template, as the Node plugin sends it: Klaviyo requires a value.
const NO_URL: &str = "None";

/// What a `custom_metadata` is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetadataOf {
    /// An item, which carries the key of its project: a variant goes with its item.
    Item,
    /// A variant.
    Variant,
}

/// The texts of a product. Made once per product, so that hundreds of variants share them.
#[derive(Debug)]
pub struct Listing<'p> {
    pub(super) product: &'p Product<'p>,
    options: &'p MappingOptions,
    pub(super) title: Cow<'p, str>,
    pub(super) description: Cow<'p, str>,
    pub(super) url: String,
    title_json: String,
    slug_json: String,
    now: Timestamp,
}

impl<'p> Listing<'p> {
    /// The listing of a product, with the prices that apply at `now`. `now` is the start of the run, so that all of its
    /// windows choose the same prices.
    ///
    /// # Errors
    /// Why neither item nor variants can be sent: [`Skip::NoName`], or [`Skip::NoSlug`] if the URL needs a slug.
    pub fn of(
        product: &'p Product<'p>,
        now: Timestamp,
        options: &'p MappingOptions,
    ) -> Result<Self, Skip> {
        let preferred = options.preferred_locale.as_deref();
        let text = |part: Option<Part<'p>>| Some(localized(part?, preferred)?.decoded());
        let title = text(product.name).ok_or(Skip::NoName)?;
        let template = options
            .product_url_template
            .as_deref()
            .filter(|template| !template.is_empty());
        let url = match template {
            Some(template) if template.contains(SLUG_PLACEHOLDER) => {
                let slug = text(product.slug).ok_or(Skip::NoSlug)?;
                template.replacen(SLUG_PLACEHOLDER, &slug, 1)
            }
            Some(template) => template.to_owned(),
            None => NO_URL.to_owned(),
        };
        Ok(Self {
            product,
            options,
            title,
            description: text(product.description).unwrap_or_default(),
            url,
            title_json: by_locale("title", product.name),
            slug_json: by_locale("slug", product.slug),
            now,
        })
    }

    /// The amount to send as `price`: that of the price that applies, in the preferred currency if one is set, else in
    /// any. If none applies, 0 where prices are embedded, and `None` where they are resources of their own: there 0 is a
    /// price only if somebody has set it.
    pub(super) fn price<'x>(&self, prices: Option<&'x [Price<'_>]>) -> Option<Cow<'x, RawValue>> {
        let preferred = self
            .options
            .preferred_currency
            .as_deref()
            .filter(|currency| !currency.is_empty());
        let candidates = prices
            .unwrap_or_default()
            .iter()
            .filter(|price| preferred.is_none_or(|currency| price.currency == currency));
        match price::choose(candidates, self.now) {
            Some(price) => Some(Cow::Borrowed(&*price.amount)),
            None if self.product.price_mode == PriceMode::Standalone => None,
            None => Some(Cow::Owned(
                to_raw_value(&0).expect("a number always serializes"),
            )),
        }
    }

    /// The channel whose stock is sent, if one is configured.
    pub(super) fn inventory_channel(&self) -> Option<&str> {
        self.options
            .sync
            .product
            .inventory
            .use_channel_inventory
            .as_deref()
    }

    /// `custom_metadata` for a variant with these prices, or for the item with those of its master variant. `None` for an
    /// update of a product whose prices may not be read: it would take those away that are there.
    ///
    /// # Errors
    /// [`Skip::CustomMetadataTooLarge`].
    pub(super) fn custom_metadata(
        &self,
        of: MetadataOf,
        prices: Option<&[Price<'_>]>,
        op: Write,
    ) -> Result<Option<Box<RawValue>>, Skip> {
        let is_unread = prices.is_none() && self.product.price_mode == PriceMode::Standalone;
        if is_unread && op == Write::Update {
            return Ok(None);
        }
        let metadata = CustomMetadata::new(&self.title_json, &self.slug_json, prices, self.now);
        let metadata = match of {
            MetadataOf::Item => metadata.of_project(&self.options.project),
            MetadataOf::Variant => metadata,
        };
        metadata.to_json().map(Some)
    }
}
