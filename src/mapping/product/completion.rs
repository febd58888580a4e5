//! Completes a product projection: adds what commercetools keeps in resources of their own.
//!
//! In a project with the catalog model `Modular` that is the variants and their stock, and for a product of the price mode
//! `Standalone` its prices. The result has the form that projections of other products have from the start, so that one
//! mapping serves all of them.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::record::{PriceMode, Product, UNREAD_STOCK};
use crate::json::{Json, Part, escape};
use crate::mapping::Skip;
use crate::mapping::price::Prices;

/// What was read beside the projections of a page.
#[derive(Debug)]
pub struct Completion {
    now: Timestamp,
    variants: HashMap<String, Vec<SeparateVariant>>,
    prices: Option<HashMap<String, Prices>>,
    stock: Option<HashMap<String, SkuStock>>,
    is_portion: bool,
    /// The default variant of a product that has a portion of its variants.
    default_variant: Option<SeparateVariant>,
    bytes: usize,
}

/// A variant that is a resource of its own.
#[derive(Debug)]
struct SeparateVariant {
    /// Its place: the default variant first, then by number.
    place: (bool, u64),
    sku: Option<String>,
    /// Its first image, as a JSON array.
    images: String,
}

impl SeparateVariant {
    /// Reads a variant projection; gives the id of its product, too.
    fn read(variant: Part<'_>) -> Result<(String, Self), Skip> {
        let missing = |missing| Skip::Malformed { missing };
        let [product, number, is_default, sku, images] = variant
            .pick(["product", "variantId", "default", "sku", "images"])
            .ok_or(missing("product"))?;
        let product = product
            .and_then(|product| product.pick(["id"])?[0]?.id())
            .ok_or(missing("product"))?;
        let number: u64 = number
            .and_then(|number| number.get().parse().ok())
            .ok_or(missing("variantId"))?;
        let image = images.and_then(|images| images.array().first().copied());
        let read = Self {
            place: (is_default.map(Part::get) != Some("true"), number),
            sku: sku.and_then(Part::id).map(std::borrow::Cow::into_owned),
            images: format!("[{}]", image.map_or("", Part::get)),
        };
        Ok((product.into_owned(), read))
    }

    fn is_default(&self) -> bool {
        !self.place.0
    }

    /// Bytes that it holds.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.images.len() + self.sku.as_ref().map_or(0, String::len)
    }
}

/// What is in stock of a sku.
#[derive(Debug, Default)]
struct SkuStock {
    overall: Option<i64>,
    by_channel: BTreeMap<String, i64>,
}

impl Completion {
    /// Nothing yet, for prices that apply at `now`. `may_read_prices` and `may_read_stock` say what the API client may
    /// read.
    #[must_use]
    pub fn new(now: Timestamp, may_read_prices: bool, may_read_stock: bool) -> Self {
        Self {
            now,
            variants: HashMap::new(),
            prices: may_read_prices.then(HashMap::new),
            stock: may_read_stock.then(HashMap::new),
            is_portion: false,
            default_variant: None,
            bytes: 0,
        }
    }

    /// Bytes that are held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a variant of a response to `variant-projections`. Returns how many its product has by now.
    ///
    /// # Errors
    /// [`Skip::Malformed`] if it does not say which product it belongs to, or which of its variants it is.
    pub fn note_variant(&mut self, variant: Part<'_>) -> Result<usize, Skip> {
        let (product, variant) = SeparateVariant::read(variant)?;
        self.bytes += variant.bytes();
        let of_product = self.variants.entry(product).or_default();
        of_product.push(variant);
        Ok(of_product.len())
    }

    /// The variants that are added are a portion of those that their product has.
    pub fn is_portion(&mut self) {
        self.is_portion = true;
    }

    /// Adds a variant of a response to `variant-projections` for the item, if it is the default one of its product.
    ///
    /// # Errors
    /// As [`Completion::note_variant`].
    pub fn note_default_variant(&mut self, variant: Part<'_>) -> Result<(), Skip> {
        let (_, variant) = SeparateVariant::read(variant)?;
        if variant.is_default() {
            self.default_variant = Some(variant);
        }
        Ok(())
    }

    /// Adds a price of a response to `standalone-prices`, if it is active. The prices of a sku come in their order.
    pub fn note_price(&mut self, price: Part<'_>) {
        let Some(prices) = &mut self.prices else {
            return;
        };
        let Some([Some(sku), is_active]) = price.pick(["sku", "active"]) else {
            return;
        };
        let (Some(sku), Some("true")) = (sku.id(), is_active.map(Part::get)) else {
            return;
        };
        if !prices.contains_key(&*sku) {
            self.bytes += size_of::<(String, Prices)>() + sku.len();
        }
        let of_sku = prices.entry(sku.into_owned()).or_default();
        self.bytes += of_sku.note(price, self.now);
    }

    /// Adds an entry of a response to `inventory`.
    pub fn note_stock(&mut self, entry: Part<'_>) {
        let Some(stock) = &mut self.stock else {
            return;
        };
        let Some([Some(sku), Some(quantity), channel]) =
            entry.pick(["sku", "availableQuantity", "supplyChannel"])
        else {
            return;
        };
        let (Some(sku), Ok(quantity)) = (sku.id(), quantity.get().parse::<i64>()) else {
            return;
        };
        if !stock.contains_key(&*sku) {
            self.bytes += size_of::<(String, SkuStock)>() + sku.len();
        }
        let of_sku = stock.entry(sku.into_owned()).or_default();
        match channel.and_then(|channel| channel.pick(["id"])?[0]?.id()) {
            Some(channel) => {
                self.bytes += size_of::<(String, i64)>() + channel.len();
                of_sku.by_channel.insert(channel.into_owned(), quantity);
            }
            None => of_sku.overall = Some(quantity),
        }
    }

    /// The skus of the variants that were added.
    pub fn skus(&self) -> impl Iterator<Item = &str> {
        let variants = self.variants.values().flatten();
        let variants = variants.chain(&self.default_variant);
        variants.filter_map(|variant| variant.sku.as_deref())
    }

    /// The projection with what it lacks; `None` if it lacks nothing.
    #[must_use]
    pub fn complete(&self, product: Part<'_>) -> Option<Json> {
        let read = Product::read(product).ok()?;
        let is_separate = read.is_without_variants();
        let mut has_master = true;
        let mut variants: Vec<String> = if is_separate {
            let mut separate: Vec<&SeparateVariant> =
                self.variants.get(read.id()).into_iter().flatten().collect();
            separate.sort_unstable_by_key(|variant| variant.place);
            if self.is_portion {
                has_master = self.default_variant.is_none()
                    || separate.first().is_some_and(|first| first.is_default());
            }
            separate
                .iter()
                .map(|variant| self.variant(variant))
                .collect()
        } else if read.price_mode() == PriceMode::Standalone {
            let [master, others] = product.pick(["masterVariant", "variants"])?;
            let others = others.map(Part::array).unwrap_or_default();
            let variants = master.into_iter().chain(others);
            variants.map(|variant| self.with_prices(variant)).collect()
        } else {
            return None;
        };
        let mut out = String::from("{");
        let kept = ["id", "name", "slug", "description", "categories"];
        for (name, value) in kept.iter().zip(product.pick(kept)?) {
            if let Some(value) = value {
                _ = write!(out, "\"{name}\":{},", value.get());
            }
        }
        out.push_str("\"priceMode\":\"Standalone\"");
        if is_separate && self.is_portion {
            out.push_str(",\"isPortion\":true");
            if let Some(variant) = self.default_variant.as_ref().filter(|_| !has_master) {
                _ = write!(out, ",\"itemVariant\":{}", self.variant(variant));
            }
        }
        if has_master && !variants.is_empty() {
            _ = write!(out, ",\"masterVariant\":{}", variants.remove(0));
        }
        _ = write!(out, ",\"variants\":[{}]}}", variants.join(","));
        RawValue::from_string(out).ok().map(Json::from)
    }

    /// A variant of its own, in the form that variants of a projection have.
    fn variant(&self, variant: &SeparateVariant) -> String {
        let SeparateVariant {
            place: (_, number),
            sku,
            images,
        } = variant;
        let mut out = format!("{{\"id\":{number},\"images\":{images}");
        if let Some(sku) = sku {
            _ = write!(out, ",\"sku\":\"{}\"", escape(sku));
        }
        match &self.stock {
            None => _ = write!(out, ",\"availability\":{UNREAD_STOCK}"),
            Some(stock) => {
                if let Some(stock) = sku.as_ref().and_then(|sku| stock.get(sku)) {
                    out.push_str(",\"availability\":");
                    stock.write(&mut out);
                }
            }
        }
        self.write_prices(sku.as_deref(), &mut out);
        out.push('}');
        out
    }

    /// A variant of a projection, with its standalone prices in the place of those that are embedded.
    fn with_prices(&self, variant: Part<'_>) -> String {
        let kept = ["id", "sku", "images", "availability"];
        let values = variant.pick(kept).unwrap_or_default();
        let present = kept
            .iter()
            .zip(values)
            .filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?.get())));
        let mut out = format!("{{{}", present.collect::<Vec<_>>().join(","));
        let sku = values[1].and_then(Part::id);
        self.write_prices(sku.as_deref(), &mut out);
        out.push('}');
        out
    }

    /// Appends the member `prices` to an object that is open, unless the prices may not be read.
    fn write_prices(&self, sku: Option<&str>, out: &mut String) {
        let Some(prices) = &self.prices else {
            return;
        };
        out.push_str(if out.len() > 1 { "," } else { "" });
        out.push_str("\"prices\":");
        match sku.and_then(|sku| prices.get(sku)) {
            Some(prices) => prices.write(out),
            None => out.push_str("[]"),
        }
    }
}

impl SkuStock {
    /// Appends an `availability`.
    fn write(&self, out: &mut String) {
        out.push('{');
        if let Some(quantity) = self.overall {
            _ = write!(out, "\"availableQuantity\":{quantity}");
        }
        if !self.by_channel.is_empty() {
            let channels = self.by_channel.iter().map(|(channel, quantity)| {
                format!(
                    "\"{}\":{{\"availableQuantity\":{quantity}}}",
                    escape(channel)
                )
            });
            let channels: Vec<String> = channels.collect();
            out.push_str(if self.overall.is_some() { "," } else { "" });
            _ = write!(out, "\"channels\":{{{}}}", channels.join(","));
        }
        out.push('}');
    }
}
