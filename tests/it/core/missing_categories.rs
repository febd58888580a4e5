//! Imports of products alone: categories that items need and Klaviyo lacks are created first.

use std::collections::BTreeMap;
use std::time::Duration;

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{Choice, Existing, Kind as EntryKind, Operation};
use sim::seed::Kind;

use crate::support::described::run;

/// The names of the categories that Klaviyo has, by id.
fn names(shop: &Shop) -> BTreeMap<String, Value> {
    shop.world.klaviyo(|klaviyo| {
        let categories = klaviyo.ledger().catalog().entries(EntryKind::Category);
        let names = categories.iter();
        let names = names.map(|(id, entry)| (id.clone(), entry.attributes["name"].clone()));
        names.collect()
    })
}

fn requests_that_create(shop: &Shop) -> u64 {
    shop.world
        .klaviyo(|klaviyo| klaviyo.ledger().traffic(Operation::CreateCategory).calls)
}

fn assert_nothing_failed(status: &Value) {
    assert_eq!(status["counts"]["failed"], 0, "{status}");
    assert_eq!(status["variants"]["failed"], 0, "{status}");
}

/// A category that items are in.
fn one_in_use(shop: &Shop) -> String {
    let items = shop.world.klaviyo(|klaviyo| {
        let items = klaviyo.ledger().catalog().entries(EntryKind::Item).clone();
        items.into_values().flat_map(|item| item.belongs_to)
    });
    items.min().expect("an item in a category")
}

#[test]
fn an_import_of_products_alone_is_whole() {
    run(Setup::catalog(40, 120).scheduled(), async |shop| {
        let status = shop.complete("products", "").await;
        assert_nothing_failed(&status);
        shop.assert_ledger(&[Kind::Product]);
        let created = names(&shop);
        let noted = &status["counts"]["notes"]["missing-categories-created"];
        assert_eq!(noted, created.len(), "{status}");
        assert!(created.len() > 20, "{created:?}");
        // they have the names that an import of categories gives them
        shop.complete("categories", "").await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
        let after = names(&shop);
        for (id, name) in created {
            assert_eq!(after[&id], name);
        }
        let requests = requests_that_create(&shop);
        let status = shop.complete("products", "").await;
        assert_eq!(
            status["counts"]["notes"]["missing-categories-created"],
            Value::Null
        );
        assert_eq!(requests_that_create(&shop), requests, "nothing is missing");
    });
}

#[test]
fn a_dry_run_creates_no_category() {
    run(Setup::catalog(10, 30).scheduled(), async |shop| {
        shop.complete("products", json!({"dryRun": true})).await;
        assert_eq!(names(&shop), BTreeMap::new());
        assert_eq!(requests_that_create(&shop), 0);
    });
}

#[test]
fn a_category_without_a_name_costs_its_products_nothing() {
    run(Setup::catalog(10, 60).scheduled(), async |shop| {
        let now = shop.world.clock().now();
        shop.world.commercetools(|project| {
            for id in project.ids(Kind::Category).into_iter().step_by(2) {
                let change = |category: &mut Value| category["name"] = json!({});
                project.change(Kind::Category, id, now, change);
            }
        });
        let status = shop.complete("products", "").await;
        assert_nothing_failed(&status);
        shop.assert_ledger(&[Kind::Product]);
        assert!((1..=5).contains(&names(&shop).len()), "{:?}", names(&shop));
    });
}

#[test]
fn a_category_that_somebody_deletes_is_created_again_although_it_was_known() {
    run(Setup::catalog(20, 60).scheduled(), async |shop| {
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        let before = names(&shop);
        let gone = one_in_use(&shop);
        shop.world
            .klaviyo(|klaviyo| klaviyo.remove_entry(EntryKind::Category, &gone));
        // the same instance, which has seen it there
        let status = shop.complete("products", "").await;
        assert_nothing_failed(&status);
        assert_eq!(names(&shop), before);
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    });
}

/// The setup with a Klaviyo that answers so where an entry exists already.
fn answering(existing: Existing, mut setup: Setup) -> Setup {
    setup.klaviyo.existing = existing;
    setup
}

#[test]
fn a_category_that_klaviyo_rejects_fails_its_own_products_only() {
    for existing in Existing::ALL {
        run(
            answering(existing, Setup::catalog(20, 60).scheduled()),
            async |shop| {
                shop.complete("products", "").await;
                let bad = one_in_use(&shop);
                let items = |shop: &Shop| {
                    shop.world.klaviyo(|klaviyo| {
                        let items = klaviyo.ledger().catalog().entries(EntryKind::Item);
                        let of_bad = items.values().filter(|item| item.belongs_to.contains(&bad));
                        (items.len(), of_bad.count())
                    })
                };
                let (all, of_bad) = items(&shop);
                assert!(of_bad > 0 && of_bad < all, "{of_bad} of {all}");
                shop.complete(
                    "products",
                    json!({"deleteAll": true, "confirmDeletion": "products"}),
                )
                .await;
                shop.world.klaviyo(|klaviyo| {
                    klaviyo.remove_entry(EntryKind::Category, &bad);
                    klaviyo.options_mut().refuse_entries = Choice::ids([bad.clone()]);
                });
                let status = shop.complete("products", "").await;
                assert_eq!(status["counts"]["failed"], of_bad, "{existing:?}: {status}");
                assert_eq!(items(&shop), (all - of_bad, 0), "{existing:?}: {status}");
            },
        );
    }
}

#[test]
fn categories_and_products_that_are_imported_at_the_same_time_do_not_disturb_each_other() {
    for existing in Existing::ALL {
        run(
            answering(existing, Setup::catalog(150, 80).latency_ms(120)),
            async |shop| {
                shop.start("products", "").await;
                shop.start("categories", "").await;
                for resource in ["products", "categories"] {
                    let status = shop.completed(resource).await;
                    assert_eq!(status["counts"]["failed"], 0, "{existing:?}: {status}");
                }
                assert!(requests_that_create(&shop) > 0);
                shop.assert_ledger(&[Kind::Category, Kind::Product]);
            },
        );
    }
}

#[test]
fn more_categories_than_a_minute_allows_are_waited_for() {
    run(Setup::catalog(2_000, 1_500).latency_ms(100), async |shop| {
        let begun = shop.world.clock().elapsed();
        shop.start("products", "").await;
        let status = shop.completed("products").await;
        assert_nothing_failed(&status);
        shop.assert_ledger(&[Kind::Product]);
        let created = requests_that_create(&shop);
        assert!(created > 1_500, "two minutes of Klaviyo's limit: {created}");
        let took = shop.world.clock().elapsed() - begun;
        assert!(took < Duration::from_secs(6 * 60), "{took:?}");
        let calls = shop
            .world
            .klaviyo(|klaviyo| klaviyo.ledger().traffic(Operation::CreateCategory));
        assert_eq!(calls.throttled, 0, "{calls:?}");
    });
}
