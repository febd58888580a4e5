//! The attributes of products and variants, of every type that real shops use: texts, enums, sets, money, references.
//! No import reads them; they are there to be left out, or to be in the way.

use fastrand::Rng;

use super::prose::{self, COUNTRIES};
use super::{Kind, Seed, Stream, cent_precision, pick, random_uuid, splitmix};
use crate::json::Json;

/// Those of a product as a whole.
const OF_PRODUCTS: [Attribute; 4] = [
    ("brand", text_value),
    ("features", localized_texts),
    ("release-date", date),
    ("size-guide", reference),
];
/// Those of each variant.
const OF_VARIANTS: [Attribute; 12] = [
    ("color", color),
    ("size", size),
    ("material", localized_text),
    ("care-instructions", localized_text),
    ("country-of-origin", country),
    ("weight-in-grams", number),
    ("is-recycled", truth),
    ("seasons", seasons),
    ("search-tags", texts),
    ("energy-label", energy_label),
    ("recommended-price", money),
    ("supplier-article-number", text_value),
];

/// A name, and what writes a value of its type.
type Attribute = (&'static str, fn(&mut Json, &mut Rng));

/// Whether the product type defines an attribute with this name.
pub(crate) fn is_defined(name: &str) -> bool {
    let mut all = OF_PRODUCTS.iter().chain(&OF_VARIANTS);
    all.any(|(defined, _)| *defined == name)
}

/// The member `attributes` of the data of a product, with those that are kept.
pub(super) fn of_product(json: &mut Json, seed: &Seed, index: u32, keeps: &dyn Fn(&str) -> bool) {
    write(json, seed, index, 0, &OF_PRODUCTS, keeps);
}

/// The member `attributes` of a variant, with those that are kept.
pub(super) fn of_variant(
    json: &mut Json,
    seed: &Seed,
    index: u32,
    number: u32,
    keeps: &dyn Fn(&str) -> bool,
) {
    write(json, seed, index, number, &OF_VARIANTS, keeps);
}

/// Each value has a random stream of its own: it is the same whichever others are kept.
fn write(
    json: &mut Json,
    seed: &Seed,
    index: u32,
    number: u32,
    attributes: &[Attribute],
    keeps: &dyn Fn(&str) -> bool,
) {
    json.array("attributes", |json| {
        for (at, (name, value)) in attributes.iter().enumerate() {
            if !keeps(name) {
                continue;
            }
            let of_product = seed.rng(Kind::Product, index, Stream::Attributes).u64(..);
            let place = u64::from(number) << 8 | at as u64;
            let rng = &mut Rng::with_seed(splitmix(of_product ^ place));
            json.element_object(|json| {
                json.text("name", name);
                value(json, rng);
            });
        }
    });
}

fn localized_members(json: &mut Json, rng: &mut Rng) {
    for locale in ["en-US", "de-DE", "fr-FR"] {
        json.text(locale, prose::sentences(rng));
    }
}

fn text_value(json: &mut Json, rng: &mut Rng) {
    json.text("value", &format!("No. {}", rng.u32(..)));
}

fn texts(json: &mut Json, rng: &mut Rng) {
    json.array("value", |json| {
        for _ in 0..rng.u8(..6) {
            json.element_text(pick(
                rng,
                &["new", "sale", "Größe \"L\"", "outdoor", "gift"],
            ));
        }
    });
}

fn localized_text(json: &mut Json, rng: &mut Rng) {
    json.object("value", |json| localized_members(json, rng));
}

fn localized_texts(json: &mut Json, rng: &mut Rng) {
    json.array("value", |json| {
        for _ in 0..rng.u8(1..4) {
            json.element_object(|json| localized_members(json, rng));
        }
    });
}

fn color(json: &mut Json, rng: &mut Rng) {
    let (key, en, de) = pick(
        rng,
        &[
            ("red", "Red", "Rot"),
            ("blue", "Blue", "Blau"),
            ("off-white", "Off-white", "Gebrochenes Weiß"),
        ],
    );
    localized_enum(json, key, en, de);
}

fn energy_label(json: &mut Json, rng: &mut Rng) {
    let key = pick(rng, &["A", "B", "C"]);
    localized_enum(json, key, key, &format!("Klasse {key}"));
}

fn localized_enum(json: &mut Json, key: &str, en: &str, de: &str) {
    json.object("value", |json| {
        json.text("key", key);
        json.object("label", |json| {
            json.text("en-US", en);
            json.text("de-DE", de);
        });
    });
}

fn size(json: &mut Json, rng: &mut Rng) {
    let size = pick(rng, &["S", "M", "L", "XL"]);
    json.object("value", |json| plain_enum(json, size));
}

fn seasons(json: &mut Json, rng: &mut Rng) {
    let seasons = pick(rng, &[&["spring"][..], &["summer", "autumn"], &[]]);
    json.array("value", |json| {
        for season in seasons {
            json.element_object(|json| plain_enum(json, season));
        }
    });
}

fn plain_enum(json: &mut Json, key: &str) {
    json.text("key", key);
    json.text("label", &format!("Option {key}"));
}

fn country(json: &mut Json, rng: &mut Rng) {
    json.text("value", pick(rng, COUNTRIES));
}

fn number(json: &mut Json, rng: &mut Rng) {
    json.int("value", rng.i64(1..90_000));
}

fn truth(json: &mut Json, rng: &mut Rng) {
    json.flag("value", rng.bool());
}

fn date(json: &mut Json, rng: &mut Rng) {
    json.text("value", &format!("2024-{:02}-01", rng.u8(1..=12)));
}

fn money(json: &mut Json, rng: &mut Rng) {
    let cent_amount = rng.i64(100..90_000);
    json.object("value", |json| cent_precision(json, cent_amount, "EUR"));
}

fn reference(json: &mut Json, rng: &mut Rng) {
    let id = random_uuid(rng).to_string();
    json.reference("value", "key-value-document", &id);
}
