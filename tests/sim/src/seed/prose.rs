//! Words for names and texts, awkward ones among them.

use fastrand::Rng;

use super::pick;
use crate::json::Json;

pub(super) const FIRST_NAMES: &[&str] = &[
    "Anna",
    "Björn",
    "Chloé",
    "Dmitri",
    "Élodie",
    "Fatima",
    "Günther",
    "花子",
    "Ιωάννης",
    "João",
    "Łukasz",
    "Zoë",
    "O'Neil",
    "Мария",
    "  Ada  ",
    "x",
    "\u{1F980} Crab",
    "Robert\"); --",
];
pub(super) const LAST_NAMES: &[&str] = &[
    "Müller",
    "García Márquez",
    "Nguyễn",
    "van der Berg",
    "O’Brien",
    "山田",
    "Smith-Jones",
    "Ødegaard",
    "Şahin",
    "de la \"Cruz\"",
    "Back\\slash",
    "Kovács",
    "Silva",
    "Иванова",
];
pub(super) const CITIES: &[&str] = &[
    "Berlin",
    "Sevilla",
    "København",
    "東京",
    "São Paulo",
    "Zürich",
    "New York",
    "Łódź",
    "Kuwait City",
];
pub(super) const STREETS: &[&str] = &[
    "Calle Mayor",
    "Hauptstraße",
    "Rue de l'Église",
    "Elm Street",
    "ul. Świętokrzyska",
    "丸の内",
];
pub(super) const COUNTRIES: &[&str] = &["DE", "ES", "DK", "JP", "BR", "CH", "US", "PL", "KW", "GB"];
pub(super) const THINGS: &[(&str, &str, &str)] = &[
    ("Knife & case", "Messer & Etui", "Couteau & étui"),
    ("Jeans", "Jeans", "Jean"),
    ("Coffee cup", "Kaffeetasse", "Tasse à café"),
    ("Winter coat", "Wintermantel", "Manteau d'hiver"),
    ("Running shoes", "Laufschuhe", "Chaussures de course"),
    ("Lamp \"Moon\"", "Lampe „Mond“", "Lampe « Lune »"),
    ("Fountain pen", "Füller", "Stylo plume"),
    ("Tea pot <steel>", "Teekanne <Stahl>", "Théière <acier>"),
    ("Chef's board", "Schneidebrett", "Planche"),
    ("Backpack > 30 l", "Rucksack > 30 l", "Sac à dos > 30 l"),
];

/// Text without anything that JSON escapes, to cut pieces out of.
const TEXT: &str = "Made of carefully chosen materials, this piece is at home in every season and in \
every room. It is cut by hand, washed twice and checked before it leaves the house; small differences \
in colour and shape are part of its nature and no defect. Wipe it with a damp cloth, dry it at once, \
keep it out of the sun, and it will stay with you for many years. Spare parts are to be had for ten \
years. The box is made of recycled paper and can be sent back free of charge. Sizes run small: in \
doubt, order one larger. Delivery takes two to four working days, gift wrapping one more. ";

/// The name of a thing in three languages, in a key order and a choice of locales that vary.
pub(super) fn localized(
    json: &mut Json,
    key: &str,
    names: (&str, &str, &str),
    index: u32,
    style: u8,
) {
    let (en, de, fr) = names;
    let named = |name: &str| format!("{name} {index}");
    json.object(key, |json| match style % 6 {
        0 => json.text("en-US", &named(en)),
        1 => {
            json.text("fr-FR", &named(fr));
            json.text("de-DE", &named(de));
        }
        2 => {
            json.text("de-DE", &named(de));
            json.text("en", &named(en));
        }
        // An empty text under the preferred locale, and one in the first place.
        3 => {
            json.text("en-US", "");
            json.text("ja-JP", "");
            json.text("fr-FR", &named(fr));
        }
        4 => {
            json.text("ja-JP", &format!("包丁 {index}"));
            json.text("en-US", &named(en));
            json.text("en", &named(de));
        }
        _ => {
            json.text("en", &named(en));
            json.text("de-DE", &named(de));
            json.text("fr-FR", &named(fr));
            json.text("ja-JP", &format!("品 {index}"));
        }
    });
}

/// A slug in the locales of an ordinary shop.
pub(super) fn slug(json: &mut Json, key: &str, prefix: &str, index: u32) {
    json.object(key, |json| {
        json.text("en-US", &format!("{prefix}-{index}"));
        json.text("de-DE", &format!("{prefix}-{index}-de"));
    });
}

/// About `bytes` of text as attributes of up to 2,000 bytes each.
pub(super) fn text_attributes(json: &mut Json, rng: &mut Rng, bytes: usize) {
    let end = json.len() + bytes;
    let mut number = 0;
    while json.len() + 60 < end {
        let length = (end - json.len() - 45).min(2_000);
        let mut text = String::with_capacity(length + TEXT.len());
        text.push_str(&TEXT[rng.usize(..TEXT.len())..]);
        while text.len() < length {
            text.push_str(TEXT);
        }
        text.truncate(length);
        json.element_object(|json| {
            json.text("name", &format!("text-{number}"));
            json.text("value", &text);
        });
        number += 1;
    }
}

/// A sentence or two.
pub(super) fn sentences(rng: &mut Rng) -> &'static str {
    let start = rng.usize(..TEXT.len() - 200);
    &TEXT[start..start + rng.usize(20..200)]
}

/// An address; `phone` and `mobile` as given.
pub(super) fn address(
    json: &mut Json,
    rng: &mut Rng,
    id: Option<&str>,
    mobile: Option<&str>,
    phone: Option<&str>,
) {
    json.optional_text("id", id);
    json.text("country", pick(rng, COUNTRIES));
    // Now and then an address is nothing but its country.
    if rng.u8(..12) > 0 {
        json.text("firstName", pick(rng, FIRST_NAMES));
        json.text("lastName", pick(rng, LAST_NAMES));
        json.text("streetName", pick(rng, STREETS));
        if rng.bool() {
            json.text("streetNumber", &rng.u16(1..300).to_string());
        }
        if rng.u8(..4) == 0 {
            json.text("apartment", &format!("Apt {}", rng.u8(1..90)));
            json.text("building", if rng.bool() { "" } else { "B" });
            json.text("additionalStreetInfo", "2nd floor, left");
            json.text("additionalAddressInfo", "ring \"twice\"");
            json.text("region", "North");
            json.text("state", "NX");
        }
        json.text("postalCode", &format!("{:05}", rng.u32(..100_000)));
        json.text("city", pick(rng, CITIES));
    }
    json.optional_text("phone", phone);
    json.optional_text("mobile", mobile);
}
