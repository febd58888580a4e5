//! Items of an import of changes that Klaviyo rejects with the request: their variants are counted, whenever the window
//! ends.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::Kind as EntryKind;
use sim::seed::{Beside, Kind};

/// Klaviyo rejects the titles of all items of a request, if it is `armed`.
#[derive(Default)]
struct NoTitles {
    is_armed: Cell<bool>,
    rejected: Cell<u64>,
}

impl Interceptor for NoTitles {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_of_items = request
            .uri()
            .path()
            .starts_with("/api/catalog-item-bulk-create");
        let is_write = request.method() == http::Method::POST;
        if !self.is_armed.get() || to != Destination::Klaviyo || !is_of_items || !is_write {
            return None;
        }
        let body: Value = serde_json::from_slice(request.body()).expect("JSON");
        let items = body["data"]["attributes"]["items"]["data"].as_array()?;
        self.rejected.set(self.rejected.get() + items.len() as u64);
        let errors = (0..items.len()).map(|index| {
            json!({
                "id": "0", "status": 400, "code": "invalid", "title": "Invalid input.", "detail": "Not a title.",
                "source": {"pointer": format!("/data/attributes/items/data/{index}/attributes/title")},
            })
        });
        let errors = json!({"errors": errors.collect::<Vec<_>>()}).to_string();
        let answer = Response::builder()
            .status(400)
            .header("content-type", "application/vnd.api+json")
            .body(Bytes::from(errors));
        Some(Ok(answer.expect("an answer")))
    }
}

/// Publishes all products that are not; returns how many, and how many variants they have.
fn publish_all(shop: &Shop) -> (u64, u64) {
    let now = shop.world.clock().now();
    let (mut products, mut variants) = (0, 0);
    shop.world.commercetools(|project| {
        for id in project.ids(Kind::Product) {
            let record = project.record(Kind::Product, id).expect("it is there");
            if record["masterData"]["published"] == true {
                continue;
            }
            products += 1;
            let others = record["masterData"]["current"]["variants"].as_array();
            variants += 1 + others.map_or(0, Vec::len) as u64;
            project.change(Kind::Product, id, now, |product| {
                product["masterData"]["published"] = true.into();
            });
        }
    });
    (products, variants)
}

/// Somebody deletes so many items in Klaviyo, and their products have other stock: they are not modified themselves. Returns how
/// many, and how many variants they have.
fn restock(shop: &Shop, count: usize) -> (u64, u64) {
    let now = shop.world.clock().now();
    let (mut products, mut variants) = (0, 0);
    shop.world.commercetools(|project| {
        let mut restocked = Vec::new();
        project.for_each_published_product(|product| {
            let product: Value = serde_json::from_str(product).expect("a product");
            let sku = product["masterVariant"]["sku"].as_str();
            if restocked.len() == count || sku.is_none_or(str::is_empty) {
                return;
            }
            let others = product["variants"].as_array();
            variants += 1 + others.map_or(0, Vec::len) as u64;
            products += 1;
            restocked.push((product["id"].clone(), sku.map(str::to_owned)));
        });
        for (number, (id, sku)) in restocked.into_iter().enumerate() {
            let id = id.as_str().expect("an id");
            let is_gone = shop
                .world
                .klaviyo(|klaviyo| klaviyo.remove_entry(EntryKind::Item, id));
            assert!(is_gone, "{id}");
            project.put_beside(
                Beside::InventoryEntry,
                &json!({
                    "id": format!("5ca1ab1e-0000-4000-8000-{number:012}"), "version": 1, "sku": sku,
                    "createdAt": now.to_string(), "lastModifiedAt": now.to_string(),
                    "quantityOnStock": 3, "availableQuantity": 3,
                }),
            );
        }
    });
    (products, variants)
}

/// The products change in this way, and Klaviyo rejects all their items.
fn assert_variants_are_counted(change: fn(&Shop) -> (u64, u64)) {
    for latency in [0, 100, 150, 200, 250, 300, 350, 400, 500, 600] {
        let no_titles = Rc::new(NoTitles::default());
        let setup = Setup::catalog(0, 150)
            .scheduled()
            .variable("window_seconds", "1")
            .latency_ms(latency);
        run_with(setup, no_titles.clone(), async |shop| {
            shop.complete("products", "").await;
            shop.pass(std::time::Duration::from_secs(3_600)).await;
            let (products, variants) = change(&shop);
            assert!(
                products > 8,
                "more than a range of the cursor names: {products}"
            );
            no_titles.is_armed.set(true);
            let status = shop.complete("products", json!({"since": "lastRun"})).await;
            assert!(no_titles.rejected.get() >= products);
            assert_eq!(
                status["counts"]["failed"], products,
                "{latency} ms: {status}"
            );
            let counted = &status["variants"]["skipped"]["item-not-in-klaviyo"];
            assert_eq!(*counted, variants, "{latency} ms: {status}");
            assert_eq!(
                status["variants"]["read"], variants,
                "{latency} ms: {status}"
            );
            // mended, they are all there
            no_titles.is_armed.set(false);
            shop.complete("products", json!({"retryFailed": true}))
                .await;
            shop.assert_ledger(&[Kind::Product]);
        });
    }
}

#[test]
fn variants_of_new_items_that_a_request_rejects_are_counted_whenever_the_window_ends() {
    assert_variants_are_counted(publish_all);
}

#[test]
fn variants_of_items_that_were_not_modified_themselves_are_counted_too() {
    assert_variants_are_counted(|shop| restock(shop, 20));
}
