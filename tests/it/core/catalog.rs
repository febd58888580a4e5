//! Categories and products, imported by the native core.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join;
use http::Method;
use native::{Operator, Setup, Shop};
use proptest::prelude::*;
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::{self, Choice};
use sim::seed::Kind;

use crate::support::described::run;

/// All entries with everything but their times and numbers of writes.
fn entries(shop: &Shop) -> BTreeMap<(klaviyo::Kind, String), Value> {
    shop.world.klaviyo(|klaviyo| {
        let catalog = klaviyo.ledger().catalog();
        let kinds = [
            klaviyo::Kind::Category,
            klaviyo::Kind::Item,
            klaviyo::Kind::Variant,
        ];
        let entries = kinds.into_iter().flat_map(|kind| {
            catalog.entries(kind).iter().map(move |(id, entry)| {
                let mut attributes = entry.attributes.clone();
                // no quantity: a create requires one all the same, an update clears it
                let untracked = attributes.get("inventory_policy") == Some(&json!(2));
                if untracked && attributes.get("inventory_quantity") == Some(&json!(0)) {
                    attributes.shift_remove("inventory_quantity");
                }
                let content = json!([attributes, entry.belongs_to]);
                ((kind, id.clone()), content)
            })
        });
        entries.collect()
    })
}

#[test]
fn the_catalog_arrives_and_a_second_run_changes_nothing() {
    run(Setup::catalog(250, 320).scheduled(), async |shop| {
        let now = shop.world.clock().now();
        shop.world.commercetools(|project| {
            let is_published = |record: Value| record["masterData"]["published"] == true;
            let mut ids = project.ids(Kind::Product).into_iter();
            let published =
                ids.find(|&id| project.record(Kind::Product, id).is_some_and(is_published));
            project.change(
                Kind::Product,
                published.expect("one is published"),
                now,
                |record| {
                    let master = record["masterData"]["current"]["masterVariant"].as_object_mut();
                    master.expect("a master variant").remove("sku");
                },
            );
        });
        let categories = shop.complete("categories", "").await;
        assert_eq!(categories["counts"]["sent"], 250);
        let products = shop.complete("products", "").await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
        let first = entries(&shop);
        let items = first
            .keys()
            .filter(|(kind, _)| *kind == klaviyo::Kind::Item)
            .count();
        let variants = first
            .keys()
            .filter(|(kind, _)| *kind == klaviyo::Kind::Variant)
            .count();
        assert_eq!(products["counts"]["sent"], items);
        assert_eq!(products["total"], items);
        assert_eq!(products["variants"]["sent"], variants);
        assert!(products["variants"]["skipped"]["no-sku"] == 1, "{products}");
        // packed: 100 entries a job, but for the last of each lane and group
        let server = shop.world.klaviyo_server();
        let made = server.calls_of("POST /api/catalog-variant-bulk-create-jobs");
        assert!(made <= variants as u64 / 100 + 3);

        let categories = shop.complete("categories", "").await;
        assert_eq!(categories["counts"]["sent"], 250);
        let again = shop.complete("products", "").await;
        assert_eq!(again["counts"], products["counts"]);
        assert_eq!(again["variants"], products["variants"]);
        assert_eq!(entries(&shop), first);
        let deleted = server.calls_of("POST /api/catalog-variant-bulk-delete-jobs");
        assert_eq!(deleted, 0);
    });
}

#[test]
fn what_a_product_no_longer_has_is_deleted_and_what_is_unpublished_is_left_alone() {
    let mut setup = Setup::catalog(0, 60).scheduled();
    // not all of an item's variants are in the listing of items
    setup.klaviyo.included_variants = 2;
    setup.klaviyo.complete_linkage = false;
    run(setup, async |shop| {
        shop.complete("products", "").await;
        let now = shop.world.clock().now();
        let (mut unpublished, mut removed) = (None, 0);
        shop.world.commercetools(|project| {
            for id in project.ids(Kind::Product) {
                let record = project.record(Kind::Product, id).expect("a product");
                let variants = record["masterData"]["current"]["variants"]
                    .as_array()
                    .map_or(0, Vec::len);
                if record["masterData"]["published"] != true {
                    continue;
                }
                if unpublished.is_none() {
                    unpublished = Some(id.to_string());
                    project.change(Kind::Product, id, now, |record| {
                        record["masterData"]["published"] = false.into();
                    });
                } else if variants > 2 {
                    project.change(Kind::Product, id, now, |record| {
                        let variants = record["masterData"]["current"]["variants"].as_array_mut();
                        let gone = variants.and_then(Vec::pop);
                        removed +=
                            usize::from(gone.is_some_and(|variant| variant["sku"].is_string()));
                    });
                }
            }
        });
        assert!(removed > 5);
        let before = entries(&shop);
        let status = shop.complete("products", "").await;
        let after = entries(&shop);
        assert_eq!(after.len(), before.len() - removed);
        assert_eq!(
            status["variants"]["notes"]["obsolete-variants-deleted"],
            removed
        );
        let published = status["total"].as_u64().unwrap_or_default();
        assert_eq!(
            status["counts"]["notes"]["unpublished-left-alone"],
            60 - published
        );
        assert!(after.contains_key(&(klaviyo::Kind::Item, unpublished.expect("one is published"))));
    });
}

#[test]
fn a_dry_run_counts_items_and_variants_and_writes_nothing() {
    run(Setup::catalog(0, 40).scheduled(), async |shop| {
        let dry = shop.complete("products", json!({"dryRun": true})).await;
        assert!(entries(&shop).is_empty());
        let real = shop.complete("products", "").await;
        assert_eq!(dry["counts"]["sent"], real["counts"]["sent"]);
        assert_eq!(dry["variants"]["sent"], real["variants"]["sent"]);
    });
}

#[test]
fn an_entry_that_klaviyo_refuses_is_in_the_report_and_the_others_arrive() {
    run(Setup::catalog(120, 150).scheduled(), async |shop| {
        let (mut ids, mut skus, mut categories) = (Vec::new(), Vec::new(), Vec::new());
        shop.world.commercetools(|project| {
            project.for_each_published_product(|product| {
                let product: Value = serde_json::from_str(product).expect("a product");
                ids.push(product["id"].as_str().expect("an id").to_owned());
                match product["categories"][0]["id"].as_str() {
                    Some(category) => categories.push(category.to_owned()),
                    // its item is not in what is to fail
                    None => {
                        skus.extend(product["masterVariant"]["sku"].as_str().map(str::to_owned));
                    }
                }
            });
        });
        let category = categories.swap_remove(7);
        let refused_item = &ids[3];
        let refused = [category.clone(), refused_item.clone(), skus[1].clone()];
        shop.world
            .klaviyo(|klaviyo| klaviyo.options_mut().refuse_entries = Choice::ids(refused));

        let categories = shop.complete("categories", "").await;
        assert_eq!(categories["counts"]["failed"], 1, "{categories}");
        assert_eq!(categories["setAside"][0]["id"], category);
        assert_eq!(
            categories["setAside"][0]["reason"],
            "Klaviyo did not create catalog categories: invalid at /attributes/external_id"
        );

        // the products of that category, and one more: these items fail, and their variants are not sent
        let products = shop.complete("products", "").await;
        let failed = products["counts"]["failed"].as_u64().expect("a count");
        assert!(failed > 1, "{products}");
        let list = products["setAside"].as_array().expect("a list");
        let reason_of = |id: &str| {
            let record = list
                .iter()
                .find(|record| record["id"] == id && record["outcome"] == "failed");
            record.map(|record| record["reason"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(
            reason_of(refused_item).as_deref(),
            Some("Klaviyo did not create catalog items: invalid at /attributes/external_id")
        );
        assert!(list.iter().any(|record| record["reason"]
            == "Klaviyo did not create catalog items: invalid at /relationships"));
        assert!(products["variants"]["skipped"]["item-not-in-klaviyo"].as_u64() > Some(0));
        let variant = format!(
            "{}: Klaviyo did not create catalog variants: invalid at /attributes/external_id",
            skus[1]
        );
        assert!(
            list.iter().any(|record| record["reason"] == variant),
            "{products}"
        );
        let items = shop.world.klaviyo(|klaviyo| {
            klaviyo
                .ledger()
                .catalog()
                .entries(klaviyo::Kind::Item)
                .len()
        });
        assert_eq!(items as u64 + failed, ids.len() as u64);

        // what is refused no longer arrives with the next run
        shop.world
            .klaviyo(|klaviyo| klaviyo.options_mut().refuse_entries = Choice::None);
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    });
}

#[test]
fn what_came_meanwhile_is_updated_and_what_was_cancelled_is_sent_again() {
    run(Setup::catalog(150, 0).scheduled(), async |shop| {
        // taken, but the answer is lost: the job that is handed in again finds the categories there
        let lost = Rule::always(Fault::LoseAnswer)
            .path("catalog-category-bulk-create-jobs")
            .method(Method::POST);
        shop.world.klaviyo_faults().add(lost.times(2));
        let status = shop.complete("categories", "").await;
        assert_eq!(
            (&status["counts"]["read"], &status["counts"]["failed"]),
            (&150.into(), &0.into()),
            "{status}"
        );
        let server = shop.world.klaviyo_server();
        assert!(server.calls_of("POST /api/catalog-category-bulk-update-jobs") > 0);
        shop.assert_ledger(&[Kind::Category]);

        let canceller = async {
            loop {
                let now = shop.world.clock().now();
                let cancelled = shop
                    .world
                    .klaviyo(|klaviyo| klaviyo.cancel_unfinished_jobs(now));
                if cancelled > 0 {
                    return;
                }
                shop.pass(Duration::from_millis(2)).await;
            }
        };
        let (status, ()) = join(shop.complete("categories", ""), canceller).await;
        assert_eq!(status["counts"]["sent"], 150, "{status}");
    });
}

#[derive(Debug, Clone)]
struct Draw {
    categories: u32,
    products: u32,
    ranges: usize,
    window: u64,
    /// Milliseconds after which each of the first windows is killed.
    kills: Vec<u64>,
    faults: Vec<(f64, Fault)>,
}

fn fault() -> impl Strategy<Value = (f64, Fault)> {
    let fault = prop_oneof![
        Just(Fault::LoseRequest),
        Just(Fault::LoseAnswer),
        Just(Fault::refuse(503)),
        Just(Fault::throttle(1)),
    ];
    (0.01..0.1, fault)
}

fn draw() -> impl Strategy<Value = Draw> {
    let kills = proptest::collection::vec(1u64..400, 0..4);
    let faults = proptest::collection::vec(fault(), 0..3);
    (0u32..60, 0u32..90, 1usize..9, 4u64..10, kills, faults).prop_map(
        |(categories, products, ranges, window, kills, faults)| Draw {
            categories,
            products,
            ranges,
            window,
            kills,
            faults,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn kills_and_faults_lose_nothing(draw in draw()) {
        let setup = Setup::catalog(draw.categories, draw.products)
            .scheduled()
            .variable("id_ranges", draw.ranges)
            .variable("window_seconds", draw.window)
            .latency_ms(50);
        run(setup, async |shop| {
            for resource in ["categories", "products"] {
                for (share, fault) in &draw.faults {
                    shop.world.klaviyo_faults().add(Rule::chance(*share, fault.clone()));
                }
                // an instance of its own
                let shop = shop.another(&[]);
                shop.start_despite_faults(resource).await;
                for kill in &draw.kills {
                    // the window ends wherever it is, as if its instance were gone
                    let window = shop.go_on(resource);
                    let kill = Duration::from_millis(*kill);
                    let _ = shop.world.clock().within(kill, window).await;
                    shop.pass(Duration::from_secs(draw.window + 11)).await;
                }
                shop.complete_despite_faults(resource, 20).await;
                shop.end_faults();
            }
            shop.assert_ledger(&[Kind::Category, Kind::Product]);
        });
    }
}

#[test]
fn products_that_come_without_variants_leave_those_in_klaviyo() {
    let mut setup = Setup::catalog(0, 30).scheduled();
    // the contract requires a master variant, which Modular projects do not give
    setup.check_contract = false;
    run(setup, async |shop| {
        shop.complete("products", "").await;
        let variants = || {
            let entries = entries(&shop).into_keys();
            entries
                .filter(|(kind, _)| *kind == klaviyo::Kind::Variant)
                .count()
        };
        let before = variants();
        assert!(before > 50);
        // the project's catalog model is Modular from now on: variants are resources of their own
        for id in shop.ids(Kind::Product) {
            shop.change_record(Kind::Product, &id, |product| {
                let current = &mut product["masterData"]["current"];
                current["variants"] = json!([]);
                let current = current.as_object_mut().expect("an object");
                current.remove("masterVariant");
            });
        }
        shop.complete("products", "").await;
        assert_eq!(variants(), before);
    });
}
