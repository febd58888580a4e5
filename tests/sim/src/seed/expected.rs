//! What Klaviyo must get for a record, by the rules of the mapping: worked out from the record's JSON, sharing
//! nothing with the component's code.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::numbering;

/// The configuration that the expectations depend on.
#[derive(Clone, Debug)]
pub struct Rules {
    /// `preferred_locale`; empty is none.
    pub preferred_locale: String,
    /// `preferred_currency`; empty is none.
    pub preferred_currency: String,
    /// Order states that give a Fulfilled Order.
    pub fulfilled_states: Vec<String>,
    /// Order states that give a Cancelled Order.
    pub cancelled_states: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            preferred_locale: "en-US".to_owned(),
            preferred_currency: "EUR".to_owned(),
            fulfilled_states: texts(&["Confirmed", "Complete"]),
            cancelled_states: texts(&["Cancelled"]),
        }
    }
}

/// A profile that a customer becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The customer's id.
    pub external_id: String,
    /// The customer's email address.
    pub email: Option<String>,
    /// The E.164 number it must have; without one it must have none.
    pub phone_number: Option<String>,
}

/// An event that an order gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The metric's name.
    pub metric: &'static str,
    /// The id of the order or line item.
    pub unique_id: String,
    /// The profile's email address.
    pub email: Option<String>,
    /// The profile's `external_id`: the customer's id.
    pub external_id: Option<String>,
    /// When, cut to the second as Klaviyo does.
    pub time: Timestamp,
    /// The amount, in units of the currency.
    pub value: f64,
    /// The ISO 4217 code of the amount.
    pub value_currency: String,
}

/// A catalog item that a published product becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The product's id.
    pub external_id: String,
    /// Its localized name.
    pub title: String,
    /// Its price by the rule: 0 without one, none where prices are standalone and none of them applies.
    pub price: Option<f64>,
    /// The ids of its own categories, without their ancestors.
    pub categories: Vec<String>,
    /// Its variants with a sku.
    pub variants: Vec<Variant>,
}

/// A catalog variant that a product variant becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// The sku.
    pub external_id: String,
    /// Its price by the rule: 0 without one, none where prices are standalone and none of them applies. Then it is not
    /// created.
    pub price: Option<f64>,
    /// What is in stock: the figure of its own, else that of all channels. None where it is not tracked.
    pub inventory_quantity: Option<i64>,
}

/// The profile of a customer.
///
/// # Panics
/// When `customer` is not a customer's JSON, as everywhere here.
pub fn profile(customer: &str) -> Profile {
    let customer: Value = serde_json::from_str(customer).expect("a customer is JSON");
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let phone_number = address(&customer).and_then(|address| {
        let written = text(address, "mobile").or_else(|| text(address, "phone"))?;
        numbering::e164(&written, &text(address, "country").unwrap_or_default())
    });
    Profile {
        external_id: text(&customer, "id").expect("a customer has an id"),
        email: text(&customer, "email").and_then(|email| email_sent(&email)),
        phone_number,
    }
}

/// The email without blanks around it; none if Klaviyo takes none so long.
fn email_sent(email: &str) -> Option<String> {
    let email = email.trim();
    let is_sent = !email.is_empty() && email.chars().count() < 100;
    is_sent.then(|| email.to_owned())
}

fn address(customer: &Value) -> Option<&Value> {
    let addresses = customer.get("addresses")?.as_array()?;
    let default = customer.get("defaultBillingAddressId");
    match default.or_else(|| customer.pointer("/billingAddressIds/0")) {
        Some(id) => addresses
            .iter()
            .find(|address| address.get("id") == Some(id)),
        None => addresses.first(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: String,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
    customer_email: Option<String>,
    customer_id: Option<String>,
    order_state: String,
    total_price: Money,
    line_items: Vec<LineItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineItem {
    id: String,
    total_price: Money,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Money {
    cent_amount: i64,
    precise_amount: Option<i64>,
    fraction_digits: i32,
    currency_code: String,
}

impl Money {
    fn amount(&self) -> f64 {
        let digits = self.precise_amount.unwrap_or(self.cent_amount);
        digits as f64 / 10_f64.powi(self.fraction_digits)
    }
}

/// The events of an order, none for one without a customer and an email address.
pub fn events(order: &str, rules: &Rules) -> Vec<Event> {
    let order: Order = serde_json::from_str(order).expect("an order is JSON");
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let email = order.customer_email.as_deref().and_then(email_sent);
    let external_id = given(&order.customer_id);
    if email.is_none() && external_id.is_none() {
        return Vec::new();
    }
    let placed = order.completed_at.unwrap_or(order.created_at);
    let whole = |metric| (metric, &order.id, &order.total_price);
    let mut kinds = vec![whole("Placed Order")];
    let lines = order.line_items.iter();
    kinds.extend(lines.map(|line| ("Ordered Product", &line.id, &line.total_price)));
    if rules.fulfilled_states.contains(&order.order_state) {
        kinds.push(whole("Fulfilled Order"));
    }
    if rules.cancelled_states.contains(&order.order_state) {
        kinds.push(whole("Cancelled Order"));
    }
    (0..)
        .zip(kinds)
        .map(|(seconds, (metric, unique_id, money))| Event {
            metric,
            unique_id: unique_id.clone(),
            email: email.clone(),
            external_id: external_id.clone(),
            time: Timestamp::from_second(placed.as_second())
                .and_then(|time| time.checked_add(SignedDuration::from_secs(seconds)))
                .expect("orders are of our time"),
            value: money.amount(),
            value_currency: money.currency_code.clone(),
        })
        .collect()
}

/// The item of a product, from its published projection, at `now`.
pub fn item(projection: &str, rules: &Rules, now: Timestamp) -> Item {
    let product: Value = serde_json::from_str(projection).expect("a product is JSON");
    let master = &product["masterVariant"];
    let others = product["variants"].as_array();
    let is_standalone = product["priceMode"] == "Standalone";
    let price = |variant| price(variant, rules, now).or((!is_standalone).then_some(0.0));
    let variants = std::iter::once(master)
        .chain(others.into_iter().flatten())
        .filter_map(|variant| {
            Some(Variant {
                external_id: variant["sku"]
                    .as_str()
                    .filter(|sku| !sku.is_empty())?
                    .to_owned(),
                price: price(variant),
                inventory_quantity: stock(variant),
            })
        })
        .collect();
    let categories = product["categories"].as_array().into_iter().flatten();
    Item {
        external_id: product["id"]
            .as_str()
            .expect("a product has an id")
            .to_owned(),
        title: localized(&product["name"], rules),
        price: price(master),
        categories: categories
            .filter_map(|category| Some(category["id"].as_str()?.to_owned()))
            .collect(),
        variants,
    }
}

fn stock(variant: &Value) -> Option<i64> {
    let availability = variant.get("availability")?;
    let of = |availability: &Value| availability["availableQuantity"].as_i64();
    let channels = availability["channels"].as_object().into_iter().flatten();
    let of_channels = || channels.filter_map(|(_, channel)| of(channel)).sum();
    Some(of(availability).unwrap_or_else(of_channels))
}

fn price(variant: &Value, rules: &Rules, now: Timestamp) -> Option<f64> {
    let moment = |price: &Value, name: &str| -> Option<Timestamp> {
        price.get(name)?.as_str()?.parse().ok()
    };
    let candidates: Vec<&Value> = variant["prices"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|price| {
            let currency = price["value"]["currencyCode"].as_str();
            rules.preferred_currency.is_empty() || currency == Some(&rules.preferred_currency)
        })
        .collect();
    let is_dated =
        |price: &Value| price.get("validFrom").is_some() || price.get("validUntil").is_some();
    let valid_now = candidates
        .iter()
        .filter(|price| {
            is_dated(price)
                && moment(price, "validFrom").is_none_or(|from| from <= now)
                && moment(price, "validUntil").is_none_or(|until| now <= until)
        })
        .min_by_key(|price| {
            (
                moment(price, "validFrom").unwrap_or(now),
                moment(price, "validUntil").unwrap_or(Timestamp::MAX),
            )
        });
    let plain = || {
        let mut plain = candidates.iter();
        plain.find(|price| !is_dated(price) && price.get("customerGroup").is_none())
    };
    valid_now.or_else(plain).map(|price| {
        let money: Money =
            serde_json::from_value(price["value"].clone()).expect("a price has money");
        money.amount()
    })
}

/// The text of a localized string for the preferred locale, its language, or else the first not empty.
pub fn localized(texts: &Value, rules: &Rules) -> String {
    let Some(texts) = texts.as_object() else {
        return String::new();
    };
    let of = |locale: &str| {
        let text = texts.get(locale).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let language = rules.preferred_locale.split('-').next().unwrap_or_default();
    of(&rules.preferred_locale)
        .or_else(|| of(language))
        .or_else(|| {
            let mut texts = texts.values().filter_map(Value::as_str);
            texts.find(|text| !text.is_empty())
        })
        .unwrap_or_default()
        .to_owned()
}

/// The ancestors of a category, each once, without itself.
pub fn without_repeats(id: &str, ancestors: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for ancestor in ancestors {
        if ancestor != id && !kept.contains(&ancestor) {
            kept.push(ancestor);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_complete_order_with_two_lines_gives_four_events_a_second_apart() {
        let order = json!({
            "id": "o", "createdAt": "2026-01-01T13:51:19.750Z", "customerEmail": "a@example.com",
            "orderState": "Complete",
            "totalPrice": {"centAmount": 12152, "fractionDigits": 0, "currencyCode": "JPY"},
            "lineItems": [
                {"id": "l1", "totalPrice": {"centAmount": 25206, "fractionDigits": 3, "currencyCode": "KWD"}},
                {"id": "l2", "totalPrice": {"centAmount": 1, "fractionDigits": 2, "currencyCode": "EUR"}},
            ],
        });
        let events = events(&order.to_string(), &Rules::default());
        let short: Vec<_> = events
            .iter()
            .map(|event| (event.metric, event.time.to_string(), event.value))
            .collect();
        assert_eq!(
            short,
            [
                ("Placed Order", "2026-01-01T13:51:19Z".to_owned(), 12152.0),
                ("Ordered Product", "2026-01-01T13:51:20Z".to_owned(), 25.206),
                ("Ordered Product", "2026-01-01T13:51:21Z".to_owned(), 0.01),
                (
                    "Fulfilled Order",
                    "2026-01-01T13:51:22Z".to_owned(),
                    12152.0
                ),
            ]
        );
    }

    #[test]
    fn a_dated_price_that_is_valid_now_comes_before_a_plain_one() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let money =
            |cents| json!({"centAmount": cents, "fractionDigits": 2, "currencyCode": "EUR"});
        let plain = json!({"value": money(100)});
        let over = json!({"value": money(200), "validUntil": "2020-01-01T00:00:00Z"});
        let dated = json!({"value": money(300), "validFrom": "2020-01-01T00:00:00Z"});
        let group = json!({"value": money(400), "customerGroup": {}});
        let of = |prices| price(&json!({"prices": prices}), &Rules::default(), now);
        assert_eq!(of(json!([over, group, plain, dated])), Some(3.0));
        assert_eq!(of(json!([over, group, plain])), Some(1.0));
        assert_eq!(of(json!([over, group])), None);
        assert_eq!(of(json!([])), None);
    }
}
