//! `custom_metadata` of catalog items and variants: names and slugs in every locale, prices and currencies by country,
//! and of items the project that they are of.
//!
//! Klaviyo accepts a flat object, so each value is a JSON text, with numbers as JavaScript writes them. The keys in
//! these texts are the Node plugin's, because mail templates refer to them.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Skip;
use super::countries;
use super::price::{self, Price};
use crate::json::{ObjectWriter, Part};

/// Klaviyo: "May not exceed 100kb" (`custom_metadata` of catalog items and variants). Read as 100,000 bytes of the
/// object as it is sent, the smaller of the two meanings.
const CUSTOM_METADATA_MAX_BYTES: usize = 100_000;

/// The member that has the key of the commercetools project that an item is of. The Node plugin writes none.
pub const PROJECT: &str = "commercetools_project";

/// The `custom_metadata` object of an item or a variant.
#[derive(Serialize)]
pub(super) struct CustomMetadata<'a> {
    title_json: &'a str,
    slug_json: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency_json: Option<String>,
    /// Under the name [`PROJECT`].
    #[serde(skip_serializing_if = "Option::is_none")]
    commercetools_project: Option<&'a str>,
}

impl<'a> CustomMetadata<'a> {
    /// Of a name and a slug, both from [`by_locale`], and of the variant's prices, if it has `prices`.
    pub(super) fn new(
        title_json: &'a str,
        slug_json: &'a str,
        prices: Option<&[Price<'_>]>,
        now: Timestamp,
    ) -> Self {
        let (price_json, currency_json) = prices.map(|prices| by_country(prices, now)).unzip();
        Self {
            title_json,
            slug_json,
            price_json,
            currency_json,
            commercetools_project: None,
        }
    }

    /// The same with the key of the project that the entry is of.
    pub(super) fn of_project(self, key: &'a str) -> Self {
        Self {
            commercetools_project: Some(key).filter(|key| !key.is_empty()),
            ..self
        }
    }

    /// The object as JSON text.
    ///
    /// # Errors
    /// [`Skip::CustomMetadataTooLarge`] if it is larger than Klaviyo accepts.
    pub(super) fn to_json(&self) -> Result<Box<RawValue>, Skip> {
        let json = to_raw_value(self).expect("strings under string keys always serialize");
        if json.get().len() > CUSTOM_METADATA_MAX_BYTES {
            return Err(Skip::CustomMetadataTooLarge);
        }
        Ok(json)
    }
}

/// `{"<property>_<locale>": "<text>", ...}` for every locale of a localized string; `{}` if it is not one.
pub(super) fn by_locale(property: &str, localized: Option<Part<'_>>) -> String {
    let locales = localized.and_then(Part::object).unwrap_or_default();
    let mut out = Vec::new();
    let mut object = ObjectWriter::open(&mut out);
    for (locale, value) in &locales {
        // texts are copied in their escaped form
        object.text(&format!("{property}_{locale}"), value.text());
    }
    object.close();
    String::from_utf8(out).expect("what is put together from strings is UTF-8")
}

/// `price_json` and `currency_json`. For each currency, in order of first appearance, `price_json` has the price that
/// applies now: under the currency, and under the price's own country or, if it has none, every country that uses the
/// currency.
///
/// If two currencies apply to one country, the later one is kept. A currency without a price that applies is left out;
/// the plugin writes 0 there.
fn by_country(prices: &[Price<'_>], now: Timestamp) -> (String, String) {
    let mut amounts: IndexMap<String, &RawValue> = IndexMap::new();
    let mut currencies: IndexMap<String, &str> = IndexMap::new();
    let mut by_currency: IndexMap<&str, Vec<&Price<'_>>> = IndexMap::new();
    for price in prices {
        by_currency.entry(&price.currency).or_default().push(price);
    }
    for (currency, candidates) in by_currency {
        let Some(price) = price::choose(candidates.into_iter(), now) else {
            continue;
        };
        amounts.insert(format!("price_{currency}"), &price.amount);
        let countries = match &price.country {
            Some(country) => vec![country.to_string()],
            None => countries::using(currency),
        };
        for country in countries {
            amounts.insert(format!("price_{country}"), &price.amount);
            currencies.insert(format!("currency_{country}"), currency);
        }
    }
    (json_text(&amounts), json_text(&currencies))
}

fn json_text<V: Serialize>(object: &IndexMap<String, V>) -> String {
    serde_json::to_string(object).expect("an object with string keys always serializes")
}
