//! Records, as the mappings read them.

use std::cell::OnceCell;
use std::rc::Rc;

use jiff::Timestamp;
use klaviyo_bulk_import::config::MappingOptions;
use klaviyo_bulk_import::mapping::category::{Category, CategoryNames};
use klaviyo_bulk_import::mapping::customer;
use klaviyo_bulk_import::mapping::order::{self, CategoryPaths};
use klaviyo_bulk_import::mapping::product::{CategoryAncestors, Listing, Product, Write};
use serde_json::value::RawValue;
use sim::commercetools::Commercetools;
use sim::seed::{Kind, Seed, Sizes};

use crate::mutation::mutate;
use crate::script::Script;

/// A catalogue that knows every category and product by names that have to be escaped.
struct Catalogue {
    ids: Vec<Rc<str>>,
    paths: Vec<String>,
}

impl CategoryNames for Catalogue {
    fn name(&self, _: &str) -> Option<&str> {
        Some("\"a\\b\"\n")
    }
}

impl CategoryAncestors for Catalogue {
    fn ancestors(&self, _: &str) -> Option<&[Rc<str>]> {
        Some(&self.ids)
    }

    fn is_sent(&self, _: &str) -> bool {
        true
    }
}

impl CategoryPaths for Catalogue {
    fn paths(&self, _: &str) -> Option<&[String]> {
        Some(&self.paths)
    }
}

/// A few valid records of each kind, as text.
fn valid() -> Vec<(Kind, String)> {
    let count = 6;
    let sizes = Sizes {
        customers: count,
        orders: count,
        categories: count,
        products: count,
    };
    let project = Commercetools::new(
        "shop",
        Seed {
            sizes,
            ..Seed::default()
        },
    );
    let mut records = Vec::new();
    for kind in [Kind::Customer, Kind::Order, Kind::Category] {
        project.for_each(kind, |text| records.push((kind, text.to_owned())));
    }
    project.for_each_published_product(|text| records.push((Kind::Product, text.to_owned())));
    records
}

thread_local! {
    static VALID: OnceCell<Vec<(Kind, String)>> = const { OnceCell::new() };
}

/// Any record becomes JSON documents, or a reason, and then no bytes of it are left behind.
pub fn records(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let (kind, text) = VALID.with(|valid_records| {
        let records = valid_records.get_or_init(valid);
        records[script.below(records.len())].clone()
    });
    let options = MappingOptions {
        preferred_locale: script
            .pick(&[None, Some("en-US"), Some("\u{0}")])
            .map(str::to_owned),
        preferred_currency: script.pick(&[None, Some("EUR")]).map(str::to_owned),
        product_url_template: script
            .pick(&[None, Some("https://shop.example/{{productSlug}}\"")])
            .map(str::to_owned),
        ..MappingOptions::default()
    };
    let record = mutate(text.as_bytes(), &mut script);
    // records are read as parts of a page that is JSON
    let Ok(record) = serde_json::from_slice::<&RawValue>(&record) else {
        return;
    };
    let name = "\"a\\b\"\n";
    let catalogue = Catalogue {
        ids: vec![name.into()],
        paths: vec![name.to_owned()],
    };
    let mut out = b"before".to_vec();
    match kind {
        Kind::Customer => match customer::profile(record, &options, None, &mut out) {
            Ok(profile) => {
                let text = assert_document(&out);
                assert_eq!(customer::external_id(text), Some(profile.id));
                assert_e164(text);
                if let Some(document) = customer::without_phone_number(text.as_bytes()) {
                    assert_json(&document);
                    assert_eq!(customer::without_phone_number(&document), None);
                }
            }
            Err(skip) => assert_skipped(&out, &skip),
        },
        Kind::Order => {
            assert!(order::product_ids(record).iter().all(|id| !id.is_empty()));
            match order::events(record, &catalogue, &options, false, None, &mut out) {
                Ok(events) => {
                    assert_json(events.profile.as_bytes());
                    for event in events.events {
                        assert_json(&event.pieces.join(&out));
                    }
                }
                Err(skip) => assert_skipped(&out, &skip),
            }
        }
        Kind::Category => match Category::read(record)
            .and_then(|category| category.entry(&catalogue, Write::Create, &options, &mut out))
        {
            Ok(_) => {
                assert_document(&out);
            }
            Err(skip) => assert_skipped(&out, &skip),
        },
        Kind::Product => product(record, &catalogue, &options, &mut out),
    }
}

fn product(record: &RawValue, catalogue: &Catalogue, options: &MappingOptions, out: &mut Vec<u8>) {
    let product = match Product::read(record) {
        Ok(product) => product,
        Err(skip) => return assert_skipped(out, &skip),
    };
    let listing = match Listing::of(&product, Timestamp::UNIX_EPOCH, options) {
        Ok(listing) => listing,
        Err(skip) => return assert_skipped(out, &skip),
    };
    match listing.item(catalogue, Write::Create, out) {
        Ok(_) => {
            assert_document(out);
        }
        Err(skip) => assert_skipped(out, &skip),
    }
    for variant in product.variants() {
        out.truncate(b"before".len());
        match listing.variant(variant, Write::Update, out) {
            Ok(_) => {
                assert_document(out);
            }
            Err(skip) => assert_skipped(out, &skip),
        }
    }
}

fn assert_document(out: &[u8]) -> &str {
    let document = out.strip_prefix(b"before").expect("what was there before");
    assert_json(document);
    std::str::from_utf8(document).expect("UTF-8")
}

/// What Klaviyo takes as a phone number, where the profile has one.
fn assert_e164(profile: &str) {
    // what has lone surrogates in it has no `Value`
    let Ok(profile) = serde_json::from_str::<serde_json::Value>(profile) else {
        return;
    };
    let Some(number) = profile["attributes"]["phone_number"].as_str() else {
        return;
    };
    let digits = number.strip_prefix('+').unwrap_or_default();
    let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    assert!(
        are_digits && (7..=15).contains(&digits.len()) && !digits.starts_with('0'),
        "not E.164: {number}"
    );
}

fn assert_json(text: &[u8]) {
    let shown = String::from_utf8_lossy(text);
    assert!(
        serde_json::from_slice::<&RawValue>(text).is_ok(),
        "not JSON: {shown:.4000}"
    );
}

fn assert_skipped(out: &[u8], skip: &klaviyo_bulk_import::mapping::Skip) {
    assert_eq!(out, b"before", "{skip}: something was left behind");
}
