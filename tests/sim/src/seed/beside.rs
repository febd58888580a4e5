//! What commercetools keeps beside products: a Modular shop's variants and stock, standalone prices; and payments.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{splitmix, timestamp};

/// A resource beside products and orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Beside {
    /// A variant of a Modular project's product, in its published projection.
    VariantProjection,
    /// A price by sku.
    StandalonePrice,
    /// Stock by sku, of one supply channel or of none.
    InventoryEntry,
    /// A payment of an order.
    Payment,
}

/// How a shop keeps the variants and prices of its products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shop {
    /// In the products.
    #[default]
    Usual,
    /// Prices are standalone.
    Standalone,
    /// The catalog model `Modular`: variants, prices and stock are resources of their own.
    Modular,
    /// Some products of each kind, as while a project migrates.
    Mixed,
}

impl Shop {
    /// How the product `index` is kept.
    pub(crate) fn of_product(self, index: u32) -> Self {
        match self {
            Self::Mixed => [Self::Usual, Self::Standalone, Self::Modular][index as usize % 3],
            shop => shop,
        }
    }
}

/// A whole product with everything in it, taken apart into the product as the shop keeps it and what is beside it.
pub(crate) fn take_apart(mut product: Value, shop: Shop) -> (Value, Vec<(Beside, Value)>) {
    let mut beside = Vec::new();
    if shop == Shop::Usual {
        return (product, beside);
    }
    product["priceMode"] = "Standalone".into();
    let id = product["id"].as_str().unwrap_or_default().to_owned();
    let moments = (
        product["createdAt"].clone(),
        product["lastModifiedAt"].clone(),
    );
    let current = product["masterData"]["current"].clone();
    let variants = std::iter::once(&current["masterVariant"]);
    for variant in variants.chain(current["variants"].as_array().into_iter().flatten()) {
        let number = variant["id"].as_u64().unwrap_or_default();
        let made = |name: &str, place: usize| {
            let id = made_id(&format!("{id}/{number}/{name}/{place}"));
            json!({"id": id.to_string(), "version": 1, "createdAt": moments.0, "lastModifiedAt": moments.1})
        };
        if let Some(sku) = variant.get("sku").filter(|sku| **sku != "") {
            beside.extend(prices(variant, sku, &made));
            if shop == Shop::Modular {
                beside.extend(stock(variant, sku, &made));
            }
        }
        if shop == Shop::Modular {
            let mut projection = made("variant", 0);
            merge(
                &mut projection,
                json!({
                    "staged": false, "default": number == 1, "variantId": number,
                    "product": {"typeId": "product", "id": id},
                    "name": current["name"], "slug": current["slug"], "categories": current["categories"],
                    "images": variant["images"], "attributes": variant["attributes"], "assets": [],
                }),
            );
            for (name, value) in [
                ("description", current.get("description")),
                ("sku", variant.get("sku")),
                ("key", variant.get("key")),
            ] {
                if let Some(value) = value {
                    projection[name] = value.clone();
                }
            }
            // a projection of a variant has none (https://docs.commercetools.com/api/projects/variant-projections)
            if let Some(projection) = projection.as_object_mut() {
                projection.remove("lastModifiedAt");
            }
            beside.push((Beside::VariantProjection, projection));
        }
    }
    for side in ["current", "staged"] {
        let Some(data) = product["masterData"][side].as_object_mut() else {
            continue;
        };
        if shop == Shop::Modular {
            data.remove("masterVariant");
            data.insert("variants".to_owned(), json!([]));
        } else {
            without_prices(data);
        }
    }
    (product, beside)
}

/// The standalone prices in the place of a variant's own, and now and then one that is not active.
fn prices(
    variant: &Value,
    sku: &Value,
    made: &dyn Fn(&str, usize) -> Value,
) -> Vec<(Beside, Value)> {
    let own = variant["prices"].as_array().into_iter().flatten();
    let mut prices: Vec<(Beside, Value)> = own
        .enumerate()
        .map(|(place, own)| {
            let mut price = made("price", place);
            let mut own = own.clone();
            if let Some(own) = own.as_object_mut() {
                own.remove("id");
            }
            merge(&mut price, own);
            merge(&mut price, json!({"sku": sku, "active": true}));
            (Beside::StandalonePrice, price)
        })
        .collect();
    if let Some((_, first)) = prices.first() {
        let mut inactive = first.clone();
        merge(&mut inactive, made("inactive price", 0));
        merge(
            &mut inactive,
            json!({"active": false, "validFrom": "2020-01-02T00:00:00.000Z"}),
        );
        prices.push((Beside::StandalonePrice, inactive));
    }
    prices
}

fn stock(
    variant: &Value,
    sku: &Value,
    made: &dyn Fn(&str, usize) -> Value,
) -> Vec<(Beside, Value)> {
    let mut entries = Vec::new();
    let mut add = |place: usize, quantity: &Value, channel: Option<&String>| {
        if quantity.is_i64() || quantity.is_u64() {
            let mut entry = made("stock", place);
            merge(
                &mut entry,
                json!({"sku": sku, "quantityOnStock": quantity, "availableQuantity": quantity}),
            );
            if let Some(channel) = channel {
                entry["supplyChannel"] = json!({"typeId": "channel", "id": channel});
            }
            entries.push((Beside::InventoryEntry, entry));
        }
    };
    let availability = &variant["availability"];
    add(0, &availability["availableQuantity"], None);
    let channels = availability["channels"].as_object().into_iter().flatten();
    for (place, (channel, of_channel)) in channels.enumerate() {
        add(place + 1, &of_channel["availableQuantity"], Some(channel));
    }
    entries
}

fn without_prices(data: &mut Map<String, Value>) {
    let empty = |variant: &mut Value| {
        if variant.get("prices").is_some() {
            variant["prices"] = json!([]);
        }
    };
    if let Some(master) = data.get_mut("masterVariant") {
        empty(master);
    }
    let others = data.get_mut("variants").and_then(Value::as_array_mut);
    others.into_iter().flatten().for_each(empty);
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

/// An id that is always the same for this name.
fn made_id(name: &str) -> Uuid {
    let (mut high, mut low) = (1_u64, 2_u64);
    for byte in name.bytes() {
        high = splitmix(high ^ u64::from(byte));
        low = splitmix(low.rotate_left(7) ^ high);
    }
    uuid::Builder::from_random_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
        .into_uuid()
}

/// A successful refund of a payment, as a transaction of it.
#[must_use]
pub fn refund(id: &str, cent_amount: i64, currency: &str, at: Timestamp) -> Value {
    json!({
        "id": id, "type": "Refund", "state": "Success", "timestamp": timestamp(at),
        "amount": {
            "type": "centPrecision", "currencyCode": currency, "centAmount": cent_amount, "fractionDigits": 2,
        },
    })
}
