//! Orders: of customers, guests and nobody, of 5 KB to 200 KB, in all states.

use fastrand::Rng;
use uuid::Uuid;

use super::prose::{self, THINGS};
use super::{
    Kind, Seed, Stream, cent_precision, customer, high_precision, one_in, pick, product,
    random_uuid,
};
use crate::json::Json;

const SHORTEST: usize = 5_000;
const LONGEST: usize = 195_000;
/// About how long an order is but for its line items, and a line item but for its texts.
const ORDER_FRAME: usize = 2_000;
const LINE_FRAME: usize = 1_700;
const STATE: &str = "7f8a1b2c-3d4e-4f50-8a6b-7c8d9e0f1a07";
const PRODUCT_TYPE: &str = "c9c8b3f2-3a5d-4b2d-8a56-0e2d6e7f8a03";

/// How long the order is to be, in bytes: most are short, few are very long.
fn target_bytes(rng: &mut Rng, mean: usize) -> usize {
    if one_in(rng, 500) {
        return rng.usize(LONGEST / 2..LONGEST);
    }
    // One in 500 at about 146 KB on average carries 290 bytes of the mean.
    let spread = mean.saturating_sub(SHORTEST + 290) as f64;
    let extra = -spread * (1.0 - rng.f64()).ln();
    (SHORTEST + extra as usize).min(LONGEST)
}

pub(super) fn record(seed: &Seed, index: u32) -> String {
    let mut rng = seed.rng(Kind::Order, index, Stream::Body);
    let rng = &mut rng;
    let target = target_bytes(rng, seed.order_mean_bytes);
    let most = ((target - ORDER_FRAME) / LINE_FRAME).clamp(1, 40);
    let lines = if target > LONGEST / 2 {
        most
    } else {
        rng.usize(1..=most)
    };
    let currency = pick(rng, &["EUR", "EUR", "EUR", "USD", "JPY", "KWD"]);

    let mut json = Json::with_capacity(target + 2_000);
    json.element_object(|json| {
        seed.base(json, Kind::Order, index);
        if !one_in(rng, 10) {
            json.text("orderNumber", &format!("O-{index}"));
        }
        let traits = &mut seed.rng(Kind::Order, index, Stream::Traits);
        buyer(json, seed, rng, traits);
        if one_in(traits, 12) {
            json.text("completedAt", &completed_at(traits));
        }
        let total = rng.i64(1_000..500_000);
        json.object("totalPrice", |json| cent_precision(json, total, currency));
        json.object("taxedPrice", |json| taxed(json, total, currency));
        json.text("country", pick(rng, prose::COUNTRIES));
        let state = pick(
            rng,
            &[
                "Open",
                "Open",
                "Confirmed",
                "Complete",
                "Complete",
                "Cancelled",
            ],
        );
        json.text("orderState", state);
        json.text(
            "shipmentState",
            pick(rng, &["Shipped", "Pending", "Delivered"]),
        );
        json.text(
            "paymentState",
            pick(rng, &["Paid", "Pending", "BalanceDue"]),
        );
        json.text("origin", "Customer");
        json.text("shippingMode", "Single");
        json.text("inventoryMode", "None");
        json.text("taxMode", "Platform");
        json.text("taxRoundingMode", "HalfEven");
        json.text("taxCalculationMode", "LineItemLevel");
        json.raw("syncInfo", "[]");
        json.raw("shipping", "[]");
        json.raw("refusedGifts", "[]");
        json.raw("returnInfo", "[]");
        json.raw("discountCodes", "[]");
        json.raw("itemShippingAddresses", "[]");
        json.object("shippingAddress", |json| {
            prose::address(json, rng, None, None, None);
        });
        if rng.bool() {
            json.object("billingAddress", |json| {
                prose::address(json, rng, None, None, None);
            });
        }
        if one_in(rng, 3) {
            json.object("paymentInfo", |json| {
                json.array("payments", |json| {
                    json.element_reference("payment", &random_uuid(rng).to_string());
                });
            });
        }
        if one_in(rng, 4) {
            customer::custom(json, rng);
        }
        custom_line_items(json, rng, currency);
        json.array("lineItems", |json| {
            for left in (1..=lines).rev() {
                let share = target.saturating_sub(json.len() + 10) / left;
                json.element_object(|json| line_item(json, seed, rng, currency, share));
            }
        });
    });
    json.into_text()
}

/// When an order was placed in the shop that it was imported from.
fn completed_at(rng: &mut Rng) -> String {
    let (year, month, day) = (rng.u8(8..24), rng.u8(1..=12), rng.u8(1..=28));
    format!("20{year:02}-{month:02}-{day:02}T18:30:00.250Z")
}

/// An email address as it is typed: now and then with blanks around it.
fn typed(email: &str, rng: &mut Rng) -> String {
    match rng.u8(..20) {
        0 => format!("{email} "),
        1 => format!("\t{email}\n"),
        _ => email.to_owned(),
    }
}

/// A customer, a guest with an email address, a customer since deleted, or nobody at all.
fn buyer(json: &mut Json, seed: &Seed, rng: &mut Rng, traits: &mut Rng) {
    let customers = seed.sizes.customers;
    match rng.u8(..20) {
        0 => json.text("anonymousId", "session-4711"),
        1..=3 => {
            let email = format!("guest.{}@example.org", rng.u32(..));
            json.text("customerEmail", &typed(&email, traits));
            json.text("anonymousId", "session-4712");
        }
        4 => json.text("customerId", &random_uuid(rng).to_string()),
        _ if customers == 0 => json.text("customerEmail", "guest@example.org"),
        trait_ => {
            let index = rng.u32(..customers);
            json.text("customerId", &seed.id(Kind::Customer, index).to_string());
            if trait_ > 5 {
                let email = customer::email(seed, index);
                json.text("customerEmail", &typed(&email, traits));
            }
        }
    }
}

fn taxed(json: &mut Json, total: i64, currency: &str) {
    json.object("totalNet", |json| {
        cent_precision(json, total * 81 / 100, currency);
    });
    json.object("totalGross", |json| cent_precision(json, total, currency));
    json.raw("taxPortions", "[]");
}

fn item_states(json: &mut Json, quantity: i64) {
    json.int("quantity", quantity);
    json.array("state", |json| {
        json.element_object(|json| {
            json.int("quantity", quantity);
            json.reference("state", "state", STATE);
        });
    });
    json.raw("discountedPricePerQuantity", "[]");
    json.raw("taxedPricePortions", "[]");
    json.raw("perMethodTaxRate", "[]");
}

fn custom_line_items(json: &mut Json, rng: &mut Rng, currency: &str) {
    let count = if one_in(rng, 6) { rng.u32(1..3) } else { 0 };
    json.array("customLineItems", |json| {
        for number in 0..count {
            let amount = rng.i64(1..9_000);
            let precise = one_in(rng, 3);
            json.element_object(|json| {
                json.text("id", &random_uuid(rng).to_string());
                prose::localized(json, "name", ("Gift wrap", "Geschenk", "Cadeau"), number, 5);
                json.text("slug", &format!("gift-wrap-{number}"));
                json.object("money", |json| {
                    if precise {
                        high_precision(json, amount * 1_000 + 456, currency, 3);
                    } else {
                        cent_precision(json, amount, currency);
                    }
                });
                json.object("totalPrice", |json| cent_precision(json, amount, currency));
                json.text("priceMode", "Standard");
                item_states(json, 1);
            });
        }
    });
}

fn line_item(json: &mut Json, seed: &Seed, rng: &mut Rng, currency: &str, bytes: usize) {
    let start = json.len();
    // Few products are gone from the project.
    let products = seed.sizes.products;
    let gone = products == 0 || one_in(rng, 25);
    let product = if gone { 0 } else { rng.u32(..products) };
    let product_id: Uuid = if gone {
        random_uuid(rng)
    } else {
        seed.id(Kind::Product, product)
    };
    let quantity = i64::from(rng.u8(1..5));
    let amount = rng.i64(0..60_000);

    json.text("id", &random_uuid(rng).to_string());
    json.text("productId", &product_id.to_string());
    let names = THINGS[rng.usize(..THINGS.len())];
    prose::localized(json, "name", names, product, rng.u8(..));
    prose::slug(json, "productSlug", "product", product);
    json.reference("productType", "product-type", PRODUCT_TYPE);
    json.object("price", |json| {
        json.text("id", &random_uuid(rng).to_string());
        json.object("value", |json| {
            if one_in(rng, 12) {
                high_precision(json, amount * 1_000 + 456, currency, 3);
            } else {
                cent_precision(json, amount, currency);
            }
        });
    });
    json.object("totalPrice", |json| {
        cent_precision(json, amount * quantity, currency);
    });
    json.object("taxRate", |json| {
        json.text("name", "19% MwSt.");
        json.raw("amount", "0.19");
        json.flag("includedInPrice", true);
        json.text("country", "DE");
    });
    json.object("taxedPrice", |json| {
        taxed(json, amount * quantity, currency);
    });
    json.text("priceMode", "Platform");
    json.text("lineItemMode", "Standard");
    item_states(json, quantity);
    json.object("variant", |json| {
        json.int("id", 1);
        json.optional_text(
            "sku",
            (!gone)
                .then(|| product::sku(seed, product, 1))
                .flatten()
                .as_deref(),
        );
        json.array("images", |json| {
            json.element_object(|json| {
                json.text("url", "https://images.example.com/line.jpg");
                json.object("dimensions", |json| {
                    json.int("w", 1_200);
                    json.int("h", 800);
                });
            });
        });
        json.raw("prices", "[]");
        json.raw("assets", "[]");
        json.array("attributes", |json| {
            let used = json.len() - start;
            prose::text_attributes(json, rng, bytes.saturating_sub(used));
        });
    });
}
