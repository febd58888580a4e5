//! `custom_metadata` of catalog items and variants: names and slugs in every locale, prices and currencies by country.
//!
//! Klaviyo takes a flat object, so each value is a JSON text of its own, with numbers as JavaScript writes them. The
//! keys in those texts are the Node plugin's: mail templates refer to them.

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::Skip;
use super::countries;
use super::price::{self, Price};
use crate::json::{ObjectWriter, Part};

/// Klaviyo: "May not exceed 100kb" (`custom_metadata` of catalog items and variants). Taken as 100,000 bytes of the
/// object as it is sent, the smaller of the two readings.
const CUSTOM_METADATA_MAX_BYTES: usize = 100_000;

/// The `custom_metadata` object of an item or a variant.
#[derive(Serialize)]
pub(super) struct CustomMetadata<'a> {
    title_json: &'a str,
    slug_json: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency_json: Option<String>,
}

impl<'a> CustomMetadata<'a> {
    /// Of a name and a slug, both by [`by_locale`], and of the variant's prices, where it has `prices`.
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
        }
    }

    /// The object as JSON text.
    ///
    /// # Errors
    /// [`Skip::CustomMetadataTooLarge`] where Klaviyo would refuse it.
    pub(super) fn to_json(&self) -> Result<Box<RawValue>, Skip> {
        let json = to_raw_value(self).expect("strings under string keys always serialize");
        if json.get().len() > CUSTOM_METADATA_MAX_BYTES {
            return Err(Skip::CustomMetadataTooLarge);
        }
        Ok(json)
    }
}

/// `{"<property>_<locale>": "<text>", ...}` for every locale of a localized string; `{}` where it is not one.
pub(super) fn by_locale(property: &str, localized: Option<Part<'_>>) -> String {
    let locales = localized.and_then(Part::object).unwrap_or_default();
    let mut out = Vec::new();
    let mut object = ObjectWriter::open(&mut out);
    for (locale, value) in &locales {
        // Texts go from one JSON to the other as they are escaped.
        object.text(&format!("{property}_{locale}"), value.text());
    }
    object.close();
    String::from_utf8(out).expect("what is put together from strings is UTF-8")
}

/// `price_json` and `currency_json`: for each currency, in order of first appearance, the price that applies now, under
/// the currency, and under the price's own country or else every country that uses the currency.
///
/// Where two currencies serve one country, the later one stands. A currency none of whose prices applies is left out;
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
