//! An import of changes covers all that an entry is made of, and sends each record once.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::SCOPES;
use sim::klaviyo::Kind as EntryKind;
use sim::seed::{Beside, Kind, Shop as Kept};

use crate::support::described::run;

const HOUR: Duration = Duration::from_secs(3_600);

fn changes() -> Value {
    json!({"since": "lastRun"})
}

/// Everything of the catalog is in Klaviyo, and some time has passed since.
async fn imported(shop: &Shop) {
    for resource in ["categories", "products"] {
        shop.complete(resource, "").await;
    }
    shop.pass(HOUR).await;
}

/// How often each item has been written.
fn writes(shop: &Shop) -> BTreeMap<String, u64> {
    shop.world.klaviyo(|klaviyo| {
        let items = klaviyo.ledger().catalog().entries(EntryKind::Item).iter();
        items
            .map(|(id, item)| (id.clone(), u64::from(item.writes)))
            .collect()
    })
}

/// The items that were written since, once each.
fn written_since(shop: &Shop, before: &BTreeMap<String, u64>) -> Vec<String> {
    let now = writes(shop);
    let written = now.into_iter().filter(|(id, count)| {
        let more = count - before.get(id).copied().unwrap_or_default();
        assert!(more <= 1, "{id} was written {more} times");
        more == 1
    });
    written.map(|(id, _)| id).collect()
}

fn euros(cents: u64) -> Value {
    json!({"type": "centPrecision", "currencyCode": "EUR", "centAmount": cents, "fractionDigits": 2})
}

fn text(moment: Timestamp) -> String {
    moment.to_string()
}

/// The records beside products with the sku of this product's first variant that has some.
fn beside(shop: &Shop, beside: Beside, count: usize) -> Vec<(String, Vec<String>)> {
    let items = writes(shop);
    shop.world.commercetools(|project| {
        let mut by_sku: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for id in project.beside_ids(beside) {
            let record = project.beside(beside, id).expect("a record");
            let sku = record["sku"].as_str().expect("a sku").to_owned();
            by_sku.entry(sku).or_default().push(id.to_string());
        }
        let mut found = Vec::new();
        project.for_each_published_product(|product| {
            let product: Value = serde_json::from_str(product).expect("a product");
            let id = product["id"].as_str().expect("an id");
            let sku = product["masterVariant"]["sku"].as_str();
            let of_sku = sku.and_then(|sku| by_sku.remove(sku));
            if let Some(ids) = of_sku.filter(|_| items.contains_key(id) && found.len() < count) {
                found.push((id.to_owned(), ids));
            }
        });
        assert_eq!(found.len(), count, "there are so many");
        found
    })
}

fn change_beside(shop: &Shop, beside: Beside, ids: &[String], change: impl Fn(&mut Value)) {
    let now = shop.world.clock().now();
    shop.world.commercetools(|project| {
        for id in ids {
            let id = id.parse().expect("an id");
            assert!(project.change_beside(beside, id, now, &change));
        }
    });
}

#[test]
fn prices_and_stock_that_changed_bring_their_products_and_no_others() {
    for (kept, source) in [
        (Kept::Standalone, Beside::StandalonePrice),
        (Kept::Modular, Beside::StandalonePrice),
        (Kept::Modular, Beside::InventoryEntry),
        (Kept::Mixed, Beside::StandalonePrice),
        // some variants are of their products, others resources of their own
        (Kept::Mixed, Beside::InventoryEntry),
    ] {
        run(
            Setup::catalog(10, 60).kept_as(kept).scheduled(),
            async |shop| {
                imported(&shop).await;
                let before = writes(&shop);
                let mut expected = Vec::new();
                for (product, ids) in beside(&shop, source, 3) {
                    change_beside(&shop, source, &ids, |record| match source {
                        Beside::InventoryEntry => record["availableQuantity"] = 4_711.into(),
                        _ => record["value"] = euros(4_711),
                    });
                    expected.push(product);
                }
                expected.sort();
                let status = shop.complete("products", changes()).await;
                assert_eq!(
                    written_since(&shop, &before),
                    expected,
                    "{kept:?} {source:?}"
                );
                assert_eq!(status["counts"]["read"], 3, "{status}");
                assert_eq!(status["total"], 3, "{status}");
                shop.assert_ledger(&[Kind::Category, Kind::Product]);
            },
        );
    }
}

/// Changes the stock of a product's master variant as a shop that keeps it in its products does.
fn restock(shop: &Shop, product: &str, quantity: u64) {
    let now = shop.world.clock().now();
    shop.world.commercetools(|project| {
        let id = product.parse().expect("an id");
        let mut record = project.record(Kind::Product, id).expect("a product");
        let master = &mut record["masterData"]["current"]["masterVariant"];
        master["availability"] = json!({"isOnStock": true, "availableQuantity": quantity});
        let sku = master["sku"].clone();
        // the product is not modified by that
        project.put(Kind::Product, &record);
        let entry = json!({
            "id": "5c7b9a4e-0000-4000-8000-000000000001", "version": 1, "sku": sku,
            "createdAt": text(now), "lastModifiedAt": text(now),
            "quantityOnStock": quantity, "availableQuantity": quantity,
        });
        project.put_beside(Beside::InventoryEntry, &entry);
    });
}

/// A published product with a sku at its master variant.
fn product_with_sku(shop: &Shop) -> String {
    let mut found = None;
    shop.world.commercetools(|project| {
        project.for_each_published_product(|product| {
            let product: Value = serde_json::from_str(product).expect("a product");
            let master = &product["masterVariant"];
            if master["sku"].as_str().is_some_and(|sku| !sku.is_empty()) {
                found = Some(product["id"].as_str().expect("an id").to_owned());
            }
        });
    });
    found.expect("a product")
}

#[test]
fn what_several_sources_name_is_sent_once() {
    run(Setup::catalog(10, 60).scheduled(), async |shop| {
        imported(&shop).await;
        let product = product_with_sku(&shop);
        restock(&shop, &product, 17);
        let before = writes(&shop);
        // its categories have changed, too, and then it is modified itself
        let record = shop.world.commercetools(|project| {
            project.record(Kind::Product, product.parse().expect("an id"))
        });
        let category =
            record.expect("a product")["masterData"]["current"]["categories"][0]["id"].clone();
        shop.change_record(Kind::Product, &product, |product| {
            product["masterData"]["current"]["name"] = json!({"en-US": "Renamed"});
        });
        if let Some(category) = category.as_str() {
            shop.change_record(Kind::Category, category, |category| {
                category["orderHint"] = "0.5".into();
            });
        }
        // not in the minute before the run: that belongs to the next one, too
        shop.pass(HOUR).await;
        shop.complete("products", changes()).await;
        assert!(written_since(&shop, &before).contains(&product));
        shop.assert_ledger(&[Kind::Category, Kind::Product]);

        shop.pass(HOUR).await;
        let before = writes(&shop);
        restock(&shop, &product, 18);
        let status = shop.complete("products", changes()).await;
        assert_eq!(written_since(&shop, &before), [product], "{status}");
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn prices_that_begin_or_end_bring_their_products() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        let product = product_with_sku(&shop);
        let now = shop.world.clock().now();
        let at = |hours: u64| text(now + HOUR * u32::try_from(hours).expect("hours"));
        shop.change_record(Kind::Product, &product, |product| {
            product["masterData"]["current"]["masterVariant"]["prices"] = json!([
                {"id": "a", "value": euros(2_000)},
                {"id": "b", "value": euros(1_500), "validFrom": at(3), "validUntil": at(6)},
            ]);
        });
        imported(&shop).await;
        let price = || {
            shop.world.klaviyo(|klaviyo| {
                let items = klaviyo.ledger().catalog().entries(EntryKind::Item);
                items[&product].attributes["price"].as_f64()
            })
        };
        assert_eq!(price(), Some(20.0));
        for (hours, expected) in [(3, 15.0), (4, 20.0)] {
            shop.pass(HOUR * hours).await;
            shop.complete("products", changes()).await;
            assert_eq!(price(), Some(expected));
            shop.assert_ledger(&[Kind::Product]);
        }
    });
}

#[test]
fn standalone_prices_that_begin_bring_their_products() {
    let setup = Setup::catalog(0, 60).kept_as(Kept::Standalone).scheduled();
    run(setup, async |shop| {
        shop.complete("products", "").await;
        let now = shop.world.clock().now();
        let [(product, ids)] = &beside(&shop, Beside::StandalonePrice, 1)[..] else {
            panic!("one product");
        };
        change_beside(&shop, Beside::StandalonePrice, ids, |price| {
            price["active"] = true.into();
            price["value"] = euros(1_234);
            price["validFrom"] = text(now + HOUR * 2).into();
            price["validUntil"] = text(now + HOUR * 9).into();
        });
        shop.pass(HOUR).await;
        shop.complete("products", changes()).await;
        shop.pass(HOUR * 2).await;
        let before = writes(&shop);
        shop.complete("products", changes()).await;
        assert_eq!(written_since(&shop, &before), std::slice::from_ref(product));
        shop.assert_ledger(&[Kind::Product]);
    });
}

/// A category with others below it, and its descendants.
fn parent(shop: &Shop) -> (String, Vec<String>) {
    let mut below: BTreeMap<String, Vec<String>> = BTreeMap::new();
    shop.world.commercetools(|project| {
        project.for_each(Kind::Category, |category| {
            let category: Value = serde_json::from_str(category).expect("a category");
            let id = category["id"].as_str().expect("an id");
            for ancestor in category["ancestors"].as_array().expect("ancestors") {
                let ancestor = ancestor["id"].as_str().expect("an id").to_owned();
                below.entry(ancestor).or_default().push(id.to_owned());
            }
        });
        below.retain(|id, _| {
            project
                .record(Kind::Category, id.parse().expect("an id"))
                .is_some()
        });
    });
    below
        .into_iter()
        .max_by_key(|(_, below)| below.len())
        .expect("a tree")
}

#[test]
fn a_renamed_category_brings_those_below_it() {
    run(Setup::catalog(60, 60).scheduled(), async |shop| {
        imported(&shop).await;
        let (id, below) = parent(&shop);
        shop.change_record(Kind::Category, &id, |category| {
            category["name"] = json!({"en-US": "Another name"});
        });
        let status = shop.complete("categories", changes()).await;
        assert_eq!(status["counts"]["read"], below.len() + 1, "{status}");
        shop.assert_ledger(&[Kind::Category]);
    });
}

#[test]
fn a_moved_category_brings_the_products_in_it_and_below_it() {
    run(Setup::catalog(60, 90).scheduled(), async |shop| {
        imported(&shop).await;
        let (id, below) = parent(&shop);
        // it becomes a root, and those below it lose what was above it; only it was modified by somebody
        shop.world.commercetools(|project| {
            let now = shop.world.clock().now();
            let of = |id: &String| id.parse().expect("an id");
            let record = project.record(Kind::Category, of(&id)).expect("a category");
            let above = record["ancestors"].as_array().map_or(0, Vec::len);
            project.change(Kind::Category, of(&id), now, |category| {
                category["ancestors"] = json!([]);
            });
            for below in &below {
                let mut record = project
                    .record(Kind::Category, of(below))
                    .expect("a category");
                let ancestors = record["ancestors"].as_array_mut().expect("ancestors");
                ancestors.drain(..above);
                project.put(Kind::Category, &record);
            }
        });
        for resource in ["categories", "products"] {
            shop.complete(resource, changes()).await;
        }
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
    });
}

#[test]
fn where_too_much_has_changed_to_be_named_everything_is_read() {
    let setup = Setup::catalog(0, 60).kept_as(Kept::Standalone).scheduled();
    run(setup, async |shop| {
        imported(&shop).await;
        let before = writes(&shop);
        shop.start("products", changes()).await;
        // as the phase leaves it behind that finds more than a document holds
        shop.change_document("products", |document| {
            document["changes"] = json!({"isEverywhere": true});
        });
        let status = shop.ticked("products").await.pop().expect("a status");
        shop.assert_completed(&status);
        assert_eq!(
            written_since(&shop, &before).len(),
            before.len(),
            "{status}"
        );
        // nothing more was looked for
        assert_eq!(
            shop.document("products")["changes"],
            json!({"isEverywhere": true})
        );
        shop.assert_ledger(&[Kind::Product]);
    });
}

/// commercetools, if it rejects predicates of the dates of products' own prices.
struct WithoutPriceDates;

impl Interceptor for WithoutPriceDates {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let query = request.uri().query().unwrap_or_default();
        query.contains("masterVariant%28prices").then(|| {
            let body =
                json!({"statusCode": 400, "message": "Malformed parameter: where", "errors": []});
            let response = Response::builder()
                .status(400)
                .body(body.to_string().into());
            Ok(response.expect("a response"))
        })
    }
}

#[test]
fn predicates_that_are_rejected_are_told_and_cost_nothing_else() {
    let setup = Setup::catalog(0, 60).kept_as(Kept::Standalone).scheduled();
    run_with(setup, Rc::new(WithoutPriceDates), async |shop| {
        shop.complete("products", "").await;
        shop.pass(HOUR).await;
        let before = writes(&shop);
        let [(product, ids)] = &beside(&shop, Beside::StandalonePrice, 1)[..] else {
            panic!("one product");
        };
        change_beside(&shop, Beside::StandalonePrice, ids, |price| {
            price["value"] = euros(77);
        });
        let status = shop.complete("products", changes()).await;
        assert_eq!(
            status["counts"]["notes"]["price-dates-unread"], 1,
            "{status}"
        );
        assert_eq!(written_since(&shop, &before), std::slice::from_ref(product));
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn what_the_scopes_do_not_allow_is_not_asked_for() {
    let setup = Setup::catalog(0, 60).kept_as(Kept::Standalone).scheduled();
    run(setup, async |shop| {
        shop.complete("products", "").await;
        shop.pass(HOUR).await;
        let fewer: Vec<&str> = SCOPES
            .into_iter()
            .filter(|scope| !["view_standalone_prices", "view_products"].contains(scope))
            .collect();
        shop.world.commercetools(|project| {
            project.set_client_scopes(&fewer);
            project.revoke_tokens();
        });
        let scopes: Vec<String> = fewer
            .iter()
            .map(|scope| format!("{scope}:sim-shop"))
            .collect();
        let other = shop.another(&[("ct_scope", &scopes.join(" "))]);
        let status = other.complete("products", changes()).await;
        assert_eq!(status["counts"]["read"], 0, "{status}");
    });
}
