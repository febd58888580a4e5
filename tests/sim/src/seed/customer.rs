//! Customers: with and without addresses, with the phone numbers people type.

use fastrand::Rng;

use super::prose::{self, FIRST_NAMES, LAST_NAMES};
use super::{Kind, Seed, Stream, one_in, pick};
use crate::json::Json;

/// The email address of the customer `index`; no two have the same.
pub(super) fn email(seed: &Seed, index: u32) -> String {
    let domain = match seed.rng(Kind::Customer, index, Stream::Traits).u8(..4) {
        0 => "mail.example.org",
        1 => "example.net",
        // not example.com: Klaviyo drops the events of its addresses
        _ => "shop.example",
    };
    format!("customer+{}.{index}@{domain}", seed.number)
}

/// A phone number of the customer `index` as people write it: international or national, formatted or not, or none at
/// all. Of a million customers no two have the same: Klaviyo would take them for one person.
fn phone(rng: &mut Rng, index: u32) -> String {
    let unique = u64::from(index % 1_000_000);
    let local = rng.u64(100..1_000) * 1_000_000 + unique;
    let (a, b, c) = (local / 1_000_000, local / 1_000 % 1_000, local % 1_000);
    match rng.u8(..17) {
        0..=3 => format!("+49{local}"),
        4 => format!("+49 {a} {b:03} {c:03}"),
        5 => format!("+1 (555) {b:03}-{c:03}7"),
        6 => format!("+34.{a}/{b:03}-{c:03}"),
        7 => format!("+49 (0){a} {b:03}{c:03}"),
        8 => format!("0049 {a} / {b:03}{c:03}"),
        // Eight digits and a calling code.
        9 => format!(
            "+45 2{:01} {:02} {:02} {:02}",
            unique / 1_000_000,
            unique / 10_000,
            unique / 100 % 100,
            unique % 100
        ),
        10 => format!("+474{unique:07}"),
        11 => format!("0065 8{b:04} {c:03}"),
        // National: of the address's country, where it has such numbers.
        12 | 13 => format!("0{local}"),
        // No possible numbers: two zeros after the plus, too short, too long, words, nothing.
        14 => format!("+00{local}"),
        15 => format!("+4930{}", c % 100),
        16 if rng.bool() => format!("+49{local}{local}"),
        _ => pick(rng, &["call me", "n/a", "+49 ext. 12", "", "０３－１２"]).to_owned(),
    }
}

pub(super) fn record(seed: &Seed, index: u32) -> String {
    let mut rng = seed.rng(Kind::Customer, index, Stream::Body);
    let rng = &mut rng;
    let mut json = Json::with_capacity(2_500);
    json.element_object(|json| {
        seed.base(json, Kind::Customer, index);
        json.text("email", &email(seed, index));
        names(json, rng);
        if one_in(rng, 5) {
            json.text("companyName", "Ünlü & Söhne \"GmbH\"");
            json.text("vatId", "DE123456789");
        }
        if one_in(rng, 6) {
            json.text("title", pick(rng, &["Dr.", "Prof.", "Ms", ""]));
        }
        json.text("customerNumber", &format!("C-{index}"));
        json.text("authenticationMode", "Password");
        json.flag("isEmailVerified", rng.bool());
        addresses(json, rng, index);
        json.raw("stores", "[]");
        json.raw("customerGroupAssignments", "[]");
        if one_in(rng, 3) {
            custom(json, rng);
        }
    });
    json.into_text()
}

fn names(json: &mut Json, rng: &mut Rng) {
    match rng.u8(..40) {
        0 => {}
        1 => json.text("lastName", ""),
        2 => {
            json.text("firstName", &"Very Long Name ".repeat(60));
            json.text("lastName", &"長".repeat(255));
        }
        _ => {
            json.text("firstName", pick(rng, FIRST_NAMES));
            json.text("lastName", pick(rng, LAST_NAMES));
        }
    }
}

fn addresses(json: &mut Json, rng: &mut Rng, index: u32) {
    let count = if one_in(rng, 6) { 0 } else { rng.usize(1..=4) };
    let ids = ["aB3xYz01", "aB3xYz02", "aB3xYz03", "aB3xYz04"];
    json.array("addresses", |json| {
        for id in &ids[..count] {
            let mobile = one_in(rng, 2).then(|| phone(rng, index));
            let landline = one_in(rng, 3).then(|| phone(rng, index));
            json.element_object(|json| {
                prose::address(json, rng, Some(id), mobile.as_deref(), landline.as_deref());
            });
        }
    });
    json.raw("shippingAddressIds", "[]");
    let style = rng.u8(..8);
    json.array("billingAddressIds", |json| {
        if count > 0 && style < 4 {
            json.element_text(ids[rng.usize(..count)]);
        }
    });
    match style {
        // No address has this id (any more).
        4 => json.text("defaultBillingAddressId", "gone0000"),
        5 | 6 if count > 0 => json.text("defaultBillingAddressId", ids[count - 1]),
        _ => {}
    }
}

/// Custom fields of every shape that counts as empty, and some that do not.
pub(super) fn custom(json: &mut Json, rng: &mut Rng) {
    json.object("custom", |json| {
        json.reference("type", "type", "5a2f6f6e-94a5-4a2b-8f0e-6c3c6a1f1a11");
        json.object("fields", |json| {
            json.text(
                "loyaltyTier",
                pick(rng, &["gold", "silver", "", "brønze \"old\""]),
            );
            json.int("points", pick(rng, &[0, 0, 12, -5]));
            json.flag("newsletter", rng.bool());
            json.raw(
                "preferences",
                pick(rng, &["[]", "[\"a\",\"b\"]", "null", "[0]"]),
            );
            json.raw("birthday", pick(rng, &["null", "\"1990-02-29\""]));
            json.raw(
                "ratio",
                pick(rng, &["0.0", "1e-7", "3.25", "1234567890123456789"]),
            );
            json.raw("nested", pick(rng, &["{}", "{\"deep\":{\"null\":null}}"]));
        });
    });
}
