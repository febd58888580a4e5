//! Products: several locales, every combination of price, variants with and without what a catalog wants.

use fastrand::Rng;

use super::prose::{self, THINGS};
use super::{
    Kind, Seed, Stream, attributes, cent_precision, high_precision, one_in, pick, random_uuid,
};
use crate::json::Json;

/// The channel whose stock `useChannelInventory` may name.
pub const CHANNEL: &str = "8d2b6a3e-0c55-4d1d-9a6b-31f1c2f3a401";
const GROUP: &str = "0f3f5d2c-6a1e-4a58-8f59-2b8a2f6c9b02";
const PRODUCT_TYPE: &str = "c9c8b3f2-3a5d-4b2d-8a56-0e2d6e7f8a03";
const DISCOUNT: &str = "b1a7e6d5-4c3b-4a29-9180-7f6e5d4c3b04";

const PAST: (&str, &str) = ("2019-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z");
const PRESENT: (&str, &str) = ("2020-06-01T00:00:00.000Z", "2090-06-01T00:00:00.000Z");
const FUTURE: (&str, &str) = ("2095-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z");

/// In which of the two projections.
#[derive(Clone, Copy, PartialEq)]
enum View {
    Current,
    Staged,
}

#[derive(Clone, Copy)]
struct Traits {
    published: bool,
    staged_changes: bool,
}

fn traits(seed: &Seed, index: u32) -> Traits {
    let mut rng = seed.rng(Kind::Product, index, Stream::Traits);
    let published = !one_in(&mut rng, 8);
    Traits {
        published,
        // One that was never published has staged changes only.
        staged_changes: !published || one_in(&mut rng, 3),
    }
}

pub(super) fn is_published(seed: &Seed, index: u32) -> bool {
    traits(seed, index).published
}

/// The sku of a variant, where it has one. Unique in the project, as commercetools asks for.
pub(super) fn sku(seed: &Seed, index: u32, variant: u32) -> Option<String> {
    let mut rng = seed.rng(Kind::Product, index, Stream::Traits);
    let without = one_in(&mut rng, 10) && variant.is_multiple_of(2);
    (!without).then(|| format!("SKU-{}-{index}-{variant}", seed.number))
}

pub(super) fn record(seed: &Seed, index: u32) -> String {
    let traits = traits(seed, index);
    let mut json = Json::with_capacity(16_000);
    json.element_object(|json| {
        seed.base(json, Kind::Product, index);
        json.text("key", &format!("product-{index}"));
        json.reference("productType", "product-type", PRODUCT_TYPE);
        json.object("masterData", |json| {
            for (side, view) in [("current", View::Current), ("staged", View::Staged)] {
                json.object(side, |json| data(json, seed, index, view, &|_| true));
            }
            json.flag("published", traits.published);
            json.flag("hasStagedChanges", traits.staged_changes);
        });
        json.text("priceMode", "Embedded");
    });
    json.into_text()
}

pub(super) fn projection(
    seed: &Seed,
    index: u32,
    staged: bool,
    keeps: &dyn Fn(&str) -> bool,
) -> String {
    let traits = traits(seed, index);
    let mut json = Json::with_capacity(8_000);
    json.element_object(|json| {
        seed.base(json, Kind::Product, index);
        json.text("key", &format!("product-{index}"));
        json.reference("productType", "product-type", PRODUCT_TYPE);
        let view = if staged { View::Staged } else { View::Current };
        data(json, seed, index, view, keeps);
        json.flag("published", traits.published);
        json.flag("hasStagedChanges", traits.staged_changes);
        json.text("priceMode", "Embedded");
    });
    json.into_text()
}

fn data(json: &mut Json, seed: &Seed, index: u32, view: View, keeps: &dyn Fn(&str) -> bool) {
    let mut rng = seed.rng(Kind::Product, index, Stream::Body);
    let rng = &mut rng;
    let mut names = THINGS[rng.usize(..THINGS.len())];
    if view == View::Staged && traits(seed, index).staged_changes {
        names = (
            "Not yet published",
            "Noch nicht veröffentlicht",
            "Pas encore publié",
        );
    }
    prose::localized(json, "name", names, index, rng.u8(..));
    if !one_in(rng, 6) {
        json.object("description", |json| {
            if one_in(rng, 8) {
                json.text("ja-JP", "包丁です");
            }
            json.text("en-US", prose::sentences(rng));
            json.text("de-DE", "Größe <M>, \"handgemacht\"\nzweite Zeile");
        });
    }
    prose::slug(json, "slug", "product", index);
    categories(json, seed, rng);
    attributes::of_product(json, seed, index, keeps);
    json.raw("searchKeywords", "{}");
    // Now and then more variants than one answer of Klaviyo lists.
    let variants = if one_in(rng, 40) { 60 } else { rng.u32(1..=5) };
    let mut variant = |json: &mut Json, number: u32| {
        variant(json, seed, rng, index, number);
        attributes::of_variant(json, seed, index, number, keeps);
    };
    json.object("masterVariant", |json| variant(json, 1));
    json.array("variants", |json| {
        for number in 2..=variants {
            json.element_object(|json| variant(json, number));
        }
    });
}

fn categories(json: &mut Json, seed: &Seed, rng: &mut Rng) {
    let count = if seed.sizes.categories == 0 {
        0
    } else {
        rng.u8(..4)
    };
    let mut chosen: Vec<u32> = (0..count)
        .map(|_| rng.u32(..seed.sizes.categories))
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    json.array("categories", |json| {
        for index in chosen {
            json.element_reference("category", &seed.id(Kind::Category, index).to_string());
        }
    });
}

fn variant(json: &mut Json, seed: &Seed, rng: &mut Rng, index: u32, number: u32) {
    json.int("id", i64::from(number));
    json.optional_text("sku", sku(seed, index, number).as_deref());
    json.text("key", &format!("variant-{index}-{number}"));
    match rng.u8(..8) {
        0 => {}
        1 => json.raw("prices", "[]"),
        _ => json.array("prices", |json| prices(json, rng)),
    }
    json.array("images", |json| {
        for image in 0..rng.u8(..3) {
            json.element_object(|json| {
                let url =
                    format!("https://images.example.com/{index}/{number}/{image}.jpg?w=1&h=2");
                json.text("url", &url);
                json.object("dimensions", |json| {
                    json.int("w", 1_200);
                    json.int("h", 800);
                });
            });
        }
    });
    json.raw("assets", "[]");
    availability(json, rng);
}

fn availability(json: &mut Json, rng: &mut Rng) {
    let quantity = pick(rng, &[0, 1, 17, 250, -3]);
    match rng.u8(..4) {
        0 => {}
        1 => json.object("availability", |json| {
            json.object("channels", |json| {
                json.object(CHANNEL, |json| {
                    json.flag("isOnStock", quantity > 0);
                    json.int("availableQuantity", quantity);
                    json.int("version", 2);
                    json.text("id", "3c1d5a70-15c8-4f58-9b57-6f1a1e0d7c05");
                });
            });
        }),
        _ => json.object("availability", |json| {
            json.flag("isOnStock", quantity > 0);
            json.int("availableQuantity", quantity);
            json.int("version", 2);
            json.text("id", "3c1d5a70-15c8-4f58-9b57-6f1a1e0d7c06");
        }),
    }
}

fn prices(json: &mut Json, rng: &mut Rng) {
    for _ in 0..rng.u8(1..=8) {
        let id = random_uuid(rng).to_string();
        json.element_object(|json| {
            json.text("id", &id);
            price(json, rng);
        });
    }
}

/// Any combination of currency, precision, country, customer group, channel, validity and discount.
pub(super) fn price(json: &mut Json, rng: &mut Rng) {
    let currency = pick(rng, &["EUR", "EUR", "USD", "JPY", "GBP", "KWD"]);
    json.object("value", |json| {
        if one_in(rng, 10) {
            high_precision(json, rng.i64(10_000..9_999_999), currency, 3);
        } else {
            cent_precision(json, rng.i64(0..90_000), currency);
        }
    });
    if one_in(rng, 3) {
        let country = match currency {
            "EUR" => pick(rng, &["DE", "FR", "IT"]),
            "USD" => "US",
            "JPY" => "JP",
            "GBP" => "GB",
            _ => "KW",
        };
        json.text("country", country);
    }
    if one_in(rng, 6) {
        json.reference("customerGroup", "customer-group", GROUP);
    }
    if one_in(rng, 6) {
        json.reference("channel", "channel", CHANNEL);
    }
    match rng.u8(..9) {
        0 => dated(json, PAST),
        1 => dated(json, PRESENT),
        2 => dated(json, FUTURE),
        3 => json.text("validFrom", PRESENT.0),
        4 => json.text("validUntil", PRESENT.1),
        _ => {}
    }
    if one_in(rng, 8) {
        json.object("discounted", |json| {
            json.object("value", |json| cent_precision(json, 1, currency));
            json.reference("discount", "product-discount", DISCOUNT);
        });
    }
}

fn dated(json: &mut Json, (from, until): (&str, &str)) {
    json.text("validFrom", from);
    json.text("validUntil", until);
}
