//! Categories and products, imported and deleted by the built component.

use std::time::Duration;

use native::{Operator, Setup};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::{JobTimes, Kind as EntryKind};
use sim::seed::Kind;

use crate::support::component::Shop;

const DELETE_PRODUCTS: &str = r#"{"deleteAll":true,"confirmDeletion":"products"}"#;
const DELETE_CATEGORIES: &str = r#"{"deleteAll":true,"confirmDeletion":"categories"}"#;

/// Jobs that take minutes.
fn long_jobs() -> JobTimes {
    JobTimes::taking(Duration::from_secs(300))
}

fn entries(shop: &Shop, kind: EntryKind) -> usize {
    shop.world
        .klaviyo(|klaviyo| klaviyo.ledger().catalog().entries(kind).len())
}

fn locales(count: usize, text: &str) -> Value {
    let locales = (0..count).map(|locale| (format!("l{locale:03}"), json!(text)));
    locales.collect()
}

/// A category at the end of a chain of 20.
fn deepest(shop: &Shop) -> (String, usize) {
    let mut found = None;
    shop.world.commercetools(|project| {
        project.for_each(Kind::Category, |category| {
            let category: Value = serde_json::from_str(category).expect("a category");
            let ancestors = category["ancestors"].as_array().map_or(0, Vec::len);
            if ancestors == 19 {
                found = category["id"].as_str().map(|id| (id.to_owned(), ancestors));
            }
        });
    });
    found.expect("a tree of 20 levels")
}

#[tokio::test(flavor = "multi_thread")]
async fn awkward_products_arrive_and_those_that_cannot_are_named_with_their_reason() {
    let shop = Shop::open(Setup::catalog(40, 24)).await;
    let ids = shop.published_products();
    let [
        many,
        locales_300,
        deep,
        no_sku,
        too_large,
        no_name,
        no_slug,
        ..,
    ] = &ids[..]
    else {
        panic!("too few are published: {}", ids.len());
    };
    shop.change_published(many, |product| {
        let variant = |number| json!({"id": number, "sku": format!("MANY-{number}"), "prices": []});
        product["variants"] = (2..=250).map(variant).collect();
    });
    shop.change_published(locales_300, |product| {
        product["name"] = locales(300, "Ein Name");
        product["slug"] = locales(300, "a-slug");
    });
    let (category, ancestors) = deepest(&shop);
    shop.change_published(deep, |product| {
        product["categories"] = json!([{"typeId": "category", "id": category}]);
    });
    shop.change_published(no_sku, |product| {
        let master = product["masterVariant"].as_object_mut();
        master.expect("a master variant").remove("sku");
        product["variants"] = json!([{"id": 2, "sku": "BESIDE-NO-SKU"}]);
    });
    shop.change_published(too_large, |product| {
        product["name"] = locales(300, &"lang ".repeat(80));
    });
    shop.change_published(no_name, |product| {
        product["name"] = json!({"en-US": ""});
    });
    shop.change_published(no_slug, |product| product["slug"] = json!({}));

    shop.start("categories", "").await;
    shop.completed("categories").await;
    for _ in 0..2 {
        shop.start("products", "").await;
        let status = shop.completed("products").await;
        let skipped = json!({"custom-metadata-too-large": 1, "no-name": 1, "no-slug": 1});
        assert_eq!(status["counts"]["skipped"], skipped, "{status}");
        assert_eq!(status["counts"]["failed"], 0, "{status}");
        assert_eq!(status["variants"]["failed"], 0, "{status}");
        assert!(status["variants"]["notes"].is_null(), "{status}");
        for (id, reason) in [
            (too_large, "limit for custom_metadata"),
            (no_name, "no name in any locale"),
            (no_slug, "no slug in any locale"),
            (no_sku, "no sku"),
        ] {
            let list = status["setAside"].as_array().expect("a list");
            let is_named = list.iter().any(|record| {
                let text = record["reason"].as_str().unwrap_or_default();
                record["id"] == **id && text.contains(reason)
            });
            assert!(is_named, "{id} {reason}: {status}");
        }
        shop.world.klaviyo(|klaviyo| {
            let catalog = klaviyo.ledger().catalog();
            assert_eq!(catalog.variants_of(many).count(), 250);
            let item = &catalog.entries(EntryKind::Item)[deep];
            assert_eq!(item.belongs_to.len(), ancestors + 1);
            let metadata = &catalog.entries(EntryKind::Item)[locales_300].attributes;
            let titles = metadata["custom_metadata"]["title_json"].as_str();
            let titles: Value = serde_json::from_str(titles.expect("titles")).expect("JSON");
            assert_eq!(titles.as_object().map(serde_json::Map::len), Some(300));
        });
    }
    // the others are as they should be, and nothing of these has come
    shop.world.commercetools(|project| {
        for id in [too_large, no_name, no_slug] {
            project.delete(Kind::Product, id.parse().expect("an id"));
        }
    });
    shop.assert_ledger(&[Kind::Category, Kind::Product]);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_jobs_at_a_time_are_enough() {
    let mut setup = Setup::catalog(900, 300);
    setup.klaviyo.jobs_in_progress = 2;
    let shop = Shop::open(setup).await;
    for resource in ["categories", "products"] {
        shop.start(resource, "").await;
        let status = shop.completed(resource).await;
        assert_eq!(status["counts"]["failed"], 0, "{status}");
    }
    shop.assert_ledger(&[Kind::Category, Kind::Product]);
    let throttled = shop
        .world
        .klaviyo(|klaviyo| klaviyo.ledger().total_traffic().throttled);
    assert!(throttled > 0, "the limit was never met");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_removes_while_it_is_updated_is_created_again() {
    let shop = Shop::open(Setup::catalog(60, 0)).await;
    shop.start("categories", "").await;
    shop.completed("categories").await;
    shop.start("categories", "").await;
    let is_under_way = || {
        let now = shop.world.clock().now();
        shop.world
            .klaviyo(|klaviyo| !klaviyo.unfinished_jobs(now).is_empty())
    };
    while !is_under_way() {
        shop.pass(Duration::from_millis(100)).await;
    }
    for id in &shop.ids(Kind::Category)[10..13] {
        let is_removed = shop
            .world
            .klaviyo(|klaviyo| klaviyo.remove_entry(EntryKind::Category, id));
        assert!(is_removed);
    }
    let status = shop.completed("categories").await;
    assert_eq!(
        (&status["counts"]["sent"], &status["counts"]["failed"]),
        (&json!(60), &json!(0)),
        "{status}"
    );
    shop.assert_ledger(&[Kind::Category]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_import_begins_beside_a_deletion_of_its_kind_and_no_deletion_beside_an_import() {
    let mut setup = Setup::catalog(30, 0);
    setup.klaviyo.job_times = long_jobs();
    let shop = Shop::open(setup).await;
    for (first, second) in [("", DELETE_CATEGORIES), (DELETE_CATEGORIES, "")] {
        shop.start("categories", first).await;
        for body in [first, second] {
            shop.posted("/sync/categories", body, 423).await;
        }
        // a deletion of products is another matter
        shop.start("products", DELETE_PRODUCTS).await;
        shop.completed("products").await;
        shop.completed("categories").await;
    }
    assert_eq!(entries(&shop, EntryKind::Category), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_import_and_a_stopped_deletion_send_nothing_more_and_begin_anew() {
    for moment in [0, 300, 700, 1_500, 3_000, 20_000] {
        let setup = Setup::catalog(25, 120).latency_ms(200);
        let shop = Shop::open(setup).await;
        shop.start("categories", "").await;
        shop.completed("categories").await;
        for body in ["", DELETE_PRODUCTS] {
            shop.world
                .klaviyo(|klaviyo| klaviyo.options_mut().job_times = long_jobs());
            shop.start("products", body).await;
            shop.pass(Duration::from_millis(moment)).await;
            let answer = shop.stop("products").await;
            assert_eq!(answer.status, 200, "after {moment} ms: {}", answer.body);
            let calls = shop.world.klaviyo_server().calls();
            shop.pass(Duration::from_secs(60)).await;
            assert_eq!(
                shop.world.klaviyo_server().calls(),
                calls,
                "after {moment} ms"
            );
            // what was handed in before takes its effect whenever Klaviyo comes to it
            shop.pass(Duration::from_secs(600)).await;
            shop.world
                .klaviyo(|klaviyo| klaviyo.options_mut().job_times = JobTimes::default());
            shop.start("products", body).await;
            let status = shop.completed("products").await;
            assert_eq!(status["counts"]["failed"], 0, "after {moment} ms: {status}");
            if body.is_empty() {
                shop.assert_ledger(&[Kind::Category, Kind::Product]);
            }
        }
        assert_eq!(entries(&shop, EntryKind::Item), 0);
        assert_eq!(entries(&shop, EntryKind::Variant), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_entries_are_deleted_although_klaviyo_throttles() {
    let shop = Shop::open(Setup::catalog(10_000, 0).latency_ms(200)).await;
    shop.start("categories", "").await;
    shop.completed("categories").await;
    assert_eq!(entries(&shop, EntryKind::Category), 10_000);
    let refuse = Fault::throttle(3);
    let faults = shop.world.klaviyo_faults();
    faults.add(Rule::every(5, refuse));
    shop.start("categories", DELETE_CATEGORIES).await;
    let status = shop.completed("categories").await;
    assert_eq!(entries(&shop, EntryKind::Category), 0, "{status}");
    // what goes while a window breaks off is not listed again, and so not counted
    let counts = &status["counts"];
    assert!(counts["sent"].as_u64() <= Some(10_000), "{status}");
    assert_eq!(
        (&counts["failed"], &counts["read"]),
        (&json!(0), &counts["sent"]),
        "{status}"
    );
    assert!(status["window"].as_u64() >= Some(2), "{status}");
    assert!(faults.applied() >= 20, "it was hardly throttled");
}
