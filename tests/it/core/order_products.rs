//! The categories of orders' products: of all products that there are, in whichever way they may be read.

use std::collections::HashSet;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use native::environment::{Answered, Destination};
use native::operator::reported;
use native::shop::run_with;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::GraphqlRefusal;
use sim::seed::Kind;

use crate::support::described::run;

fn setup() -> Setup {
    let mut setup = Setup::orders(200).scheduled().variable("ct_scope", "");
    setup.sizes.products = 60;
    setup
}

/// The scopes of an API client that may read published products, and not the others.
const PUBLISHED_ONLY: [&str; 5] = [
    "view_customers",
    "view_orders",
    "view_categories",
    "view_published_products",
    "manage_key_value_documents",
];

/// The orders with a product that is not published, or not there.
fn orders_of_others(shop: &Shop) -> usize {
    let mut published = HashSet::new();
    shop.world.commercetools(|project| {
        project.for_each_published_product(|product| {
            let product: Value = serde_json::from_str(product).expect("a product");
            published.insert(product["id"].as_str().expect("an id").to_owned());
        });
    });
    let mut orders = 0;
    shop.world.commercetools(|project| {
        project.for_each(Kind::Order, |order| {
            let order: Value = serde_json::from_str(order).expect("an order");
            let lines = order["lineItems"].as_array().expect("line items");
            let mut ids = lines.iter().map(|line| line["productId"].as_str());
            let has_identifier = ["customerEmail", "customerId"]
                .iter()
                .any(|name| order[name].as_str().is_some_and(|text| !text.is_empty()));
            let is_of_others = ids.any(|id| !published.contains(id.expect("an id")));
            orders += usize::from(has_identifier && is_of_others);
        });
    });
    orders
}

fn calls_of(shop: &Shop, call: &str) -> u64 {
    shop.world.commercetools_server().calls_of(call)
}

const GRAPHQL: &str = "POST /sim-shop/graphql";
const PRODUCTS: &str = "GET /sim-shop/products";
const PROJECTIONS: &str = "GET /sim-shop/product-projections";

#[test]
fn unpublished_products_have_their_categories_in_the_orders() {
    run(setup(), async |shop| {
        assert!(orders_of_others(&shop) > 10, "too few orders to tell");
        // one product is deleted: its orders have the categories of the others
        let deleted = shop.ids(Kind::Product)[0].parse().expect("an id");
        shop.world
            .commercetools(|project| assert!(project.delete(Kind::Product, deleted)));
        let status = shop.complete("orders", "").await;
        assert_eq!(status["counts"]["notes"], Value::Null, "{status}");
        shop.assert_ledger(&[Kind::Order]);
        assert!(calls_of(&shop, GRAPHQL) > 0);
        for call in [PRODUCTS, PROJECTIONS] {
            assert_eq!(calls_of(&shop, call), 0, "whole products were read");
        }
    });
}

#[test]
fn where_graphql_is_refused_whole_products_are_read() {
    run(setup(), async |shop| {
        shop.world
            .commercetools(|project| project.refuse_graphql(GraphqlRefusal::Always));
        shop.complete("orders", "").await;
        shop.assert_ledger(&[Kind::Order]);
        assert!(calls_of(&shop, PRODUCTS) > 0);
        assert_eq!(calls_of(&shop, PROJECTIONS), 0);
    });
}

#[test]
fn where_only_published_products_may_be_read_the_orders_of_others_are_counted() {
    for refusal in [GraphqlRefusal::Forbidden, GraphqlRefusal::Errors] {
        run(setup(), async |shop| {
            shop.world.commercetools(|project| {
                project.set_client_scopes(&PUBLISHED_ONLY);
                project.refuse_graphql(refusal);
            });
            let status = shop.complete("orders", "").await;
            let counted = &status["counts"]["notes"]["unpublished-products-unread"];
            assert_eq!(*counted, orders_of_others(&shop), "{status}");
            let check = shop.read("/sync/check").await;
            let lines = check["lines"].as_array().expect("lines");
            let line = lines
                .iter()
                .find(|line| line["what"] == "commercetools: scope for unpublished products");
            let line = line.expect("a line");
            assert_eq!(line["state"], "unknown", "{check}");
            // the scope is granted, and the check says so
            shop.world.commercetools(|project| {
                let all = [&PUBLISHED_ONLY[..], &["view_products"]].concat();
                project.set_client_scopes(&all);
            });
            // an instance with a new token
            let check = shop.another(&[]).read("/sync/check").await;
            let is_granted = |line: &Value| line["detail"] == "view_products is granted";
            let lines = check["lines"].as_array().expect("lines");
            assert!(lines.iter().any(is_granted), "{check}");
        });
    }
}

/// A product of this many bytes.
fn enlarge(shop: &Shop, id: &str, bytes: usize) {
    shop.change_record(Kind::Product, id, |product| {
        let current = &mut product["masterData"]["current"];
        current["metaDescription"] = json!({"en": "x".repeat(bytes)});
    });
}

/// The ids of the orders of a product.
fn orders_of(shop: &Shop, product: &str) -> Vec<String> {
    let mut ids = Vec::new();
    shop.world.commercetools(|project| {
        project.for_each(Kind::Order, |text| {
            if text.contains(product) {
                let order: Value = serde_json::from_str(text).expect("an order");
                ids.push(order["id"].as_str().expect("an id").to_owned());
            }
        });
    });
    ids.sort_unstable();
    ids
}

#[test]
fn a_product_of_any_size_costs_its_orders_nothing() {
    run(setup(), async |shop| {
        let product = shop.ids(Kind::Product)[3].clone();
        enlarge(&shop, &product, 17 * 1024 * 1024);
        assert!(!orders_of(&shop, &product).is_empty());
        shop.complete("orders", "").await;
        shop.assert_ledger(&[Kind::Order]);
    });
}

#[test]
fn a_whole_product_that_is_too_large_costs_its_orders_and_no_others() {
    run(setup(), async |shop| {
        let product = shop.ids(Kind::Product)[3].clone();
        enlarge(&shop, &product, 17 * 1024 * 1024);
        shop.world
            .commercetools(|project| project.refuse_graphql(GraphqlRefusal::Always));
        let status = shop.complete("orders", "").await;
        let lost = orders_of(&shop, &product);
        let skipped = &status["counts"]["skipped"];
        assert!(skipped["product-too-large"].as_u64() > Some(0), "{status}");
        let set_aside = reported(&status);
        for id in &lost {
            assert!(set_aside.contains(id), "{id}: {status}");
            let id = id.parse().expect("an id");
            shop.world
                .commercetools(|project| project.delete(Kind::Order, id));
        }
        shop.assert_ledger(&[Kind::Order]);
    });
}

/// commercetools gives up GraphQL queries of more than this many ids, in an answer with the status 200.
struct SlowGraphql(usize);

impl Interceptor for SlowGraphql {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_graphql =
            to == Destination::Commercetools && request.uri().path().ends_with("/graphql");
        let body: Value = serde_json::from_slice(request.body()).ok()?;
        let ids = body["query"].as_str()?.matches(r#"\","#).count() + 1;
        (is_graphql && ids > self.0).then(|| {
            let error = json!({
                "message": "Query timed out.",
                "locations": [],
                "extensions": {"code": "QueryTimedOut"},
            });
            let body = json!({"data": {"products": null}, "errors": [error]}).to_string();
            Ok(Response::new(Bytes::from(body)))
        })
    }
}

#[test]
fn a_query_that_takes_too_long_is_asked_for_with_fewer_ids() {
    run_with(setup(), Rc::new(SlowGraphql(7)), async |shop: Shop| {
        shop.complete("orders", "").await;
        shop.assert_ledger(&[Kind::Order]);
        assert_eq!(calls_of(&shop, PRODUCTS), 0, "another way was taken");
    });
}
