//! Products of a Modular shop with more variants than are read at a time.

use std::collections::BTreeSet;

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::Commercetools;
use sim::faults::{Fault, Rule};
use sim::klaviyo::{Choice, Kind as EntryKind};
use sim::seed::{Beside, Kind, Shop as Kept};

use crate::support::described::run;
use crate::support::many_variants::grow;

const VARIANTS: u64 = 1_730;

fn setup() -> Setup {
    Setup::catalog(10, 12).kept_as(Kept::Modular).scheduled()
}

/// What Klaviyo has of the variants that were added.
fn in_klaviyo(shop: &Shop) -> BTreeSet<String> {
    shop.world.klaviyo(|klaviyo| {
        let entries = klaviyo.ledger().catalog().entries(EntryKind::Variant);
        let added = entries.keys().filter(|sku| sku.starts_with("many-"));
        added.cloned().collect()
    })
}

/// The variants that were added and are still there.
fn added(project: &Commercetools) -> Vec<Value> {
    let ids = project.beside_ids(Beside::VariantProjection).into_iter();
    let variants = ids.filter_map(|id| project.beside(Beside::VariantProjection, id));
    let added = variants.filter(|variant| variant["variantId"].as_u64() >= Some(1_000_000));
    added.collect()
}

/// Deletes so many of the variants that were added.
fn shrink(shop: &Shop, variants: usize) {
    shop.world.commercetools(|project| {
        for variant in added(project).into_iter().step_by(3).take(variants) {
            let id = variant["id"].as_str().and_then(|id| id.parse().ok());
            assert!(project.delete_beside(Beside::VariantProjection, id.expect("a UUID")));
        }
    });
}

#[test]
fn they_arrive_in_portions_are_updated_and_lose_what_is_gone() {
    run(setup(), async |shop| {
        let product = shop.world.commercetools(|project| grow(project, VARIANTS));
        shop.complete("categories", "").await;
        let first = shop.complete("products", "").await;
        assert_eq!(first["variants"]["failed"], 0, "{first}");
        let sent = first["variants"]["sent"].as_u64().expect("a count");
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
        assert!(in_klaviyo(&shop).len() as u64 > VARIANTS - 50);

        // everything is there already, and each is counted once
        shop.change_record(Kind::Product, &product, |product| {
            product["masterData"]["current"]["name"] = json!({"en": "Another name"});
        });
        let again = shop.complete("products", "").await;
        assert_eq!(again["variants"]["sent"], sent, "{again}");
        assert_eq!(again["counts"], first["counts"], "{again}");
        shop.assert_ledger(&[Kind::Product]);

        // less than a tenth goes with the next import
        shrink(&shop, 100);
        let after = shop.complete("products", "").await;
        // those that are left are updated, the others deleted
        assert_eq!(after["variants"]["sent"], sent, "{after}");
        let left = shop.world.commercetools(|project| added(project).len());
        assert_eq!(in_klaviyo(&shop).len(), left);
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn more_than_a_tenth_of_them_waits_for_a_word() {
    run(setup(), async |shop| {
        shop.world.commercetools(|project| grow(project, VARIANTS));
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        let before = in_klaviyo(&shop);
        shrink(&shop, 400);
        shop.start("products", "").await;
        let stopped = shop.ticked("products").await.pop().expect("a tick");
        assert_eq!(stopped["status"], "failed", "{stopped}");
        assert_eq!(in_klaviyo(&shop), before);
        let count = &stopped["removal"]["count"];
        assert_eq!(count, 400, "{stopped}");
        let resume = json!({"resume": true, "confirmRemoval": count});
        shop.complete("products", resume).await;
        assert_eq!(in_klaviyo(&shop).len(), before.len() - 400);
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn an_item_is_made_of_the_default_variant_whichever_portion_has_it() {
    run(setup(), async |shop| {
        let product = shop.world.commercetools(|project| grow(project, VARIANTS));
        let now = shop.world.clock().now();
        let image = "https://example.com/default.jpg";
        shop.world.commercetools(|project| {
            // the ids decide which portion a variant is in
            let ids = project.beside_ids(Beside::VariantProjection).into_iter();
            let own = |id: &_| {
                let variant = project.beside(Beside::VariantProjection, *id);
                variant.is_some_and(|variant| variant["product"]["id"] == *product)
            };
            let own: Vec<_> = ids.filter(own).collect();
            let last = own[own.len() - 1];
            for id in own {
                project.change_beside(Beside::VariantProjection, id, now, |variant| {
                    variant["default"] = (id == last).into();
                    if id == last {
                        let size = json!({"w": 1, "h": 1});
                        variant["images"] = json!([{"url": image, "dimensions": size}]);
                    }
                });
            }
        });
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
        let shown = shop.world.klaviyo(|klaviyo| {
            let items = klaviyo.ledger().catalog().entries(EntryKind::Item);
            items[&product].attributes["image_full_url"].clone()
        });
        assert_eq!(shown, image);
    });
}

#[test]
fn windows_that_are_short_and_calls_that_fail_lose_none() {
    let setup = setup().variable("window_seconds", 5).latency_ms(300);
    run(setup, async |shop| {
        shop.world.commercetools(|project| grow(project, VARIANTS));
        for faults in [
            shop.world.commercetools_faults(),
            shop.world.klaviyo_faults(),
        ] {
            faults.add(Rule::chance(0.05, Fault::LoseAnswer));
            faults.add(Rule::chance(0.05, Fault::refuse(503)));
        }
        for _ in 0..2 {
            shop.start_despite_faults("products").await;
            let status = shop.complete_despite_faults("products", 200).await;
            assert_eq!(status["variants"]["failed"], 0, "{status}");
        }
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    });
}

#[test]
fn a_comparison_looks_at_every_portion() {
    run(setup(), async |shop| {
        shop.world.commercetools(|project| grow(project, VARIANTS));
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        let drift = shop.complete("products", json!({"drift": true})).await;
        let variants = &drift["drift"]["variants"];
        assert!(variants["compared"].as_u64() >= Some(VARIANTS), "{drift}");
        assert_eq!(variants["different"], 0, "{drift}");
        assert_eq!(variants["lacking"], 0, "{drift}");
    });
}

#[test]
fn those_of_an_item_that_is_decided_again_are_counted_once() {
    run(setup(), async |shop| {
        let product = shop.world.commercetools(|project| grow(project, VARIANTS));
        shop.complete("categories", "").await;
        let first = shop.complete("products", "").await;
        shop.change_record(Kind::Product, &product, |product| {
            product["masterData"]["current"]["name"] = json!({"en": "Another name"});
        });
        // the update of the item fails once, and its variants have been sent beside it
        let refused = product.clone();
        let times = std::sync::atomic::AtomicU32::new(0);
        shop.world.klaviyo(|klaviyo| {
            klaviyo.options_mut().refuse_entries = Choice::By(Box::new(move |id| {
                id == refused && times.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0
            }));
        });
        let again = shop.complete("products", "").await;
        assert_eq!(again["counts"], first["counts"], "{again}");
        assert_eq!(
            again["variants"]["sent"], first["variants"]["sent"],
            "{again}"
        );
        shop.assert_ledger(&[Kind::Product]);
    });
}
