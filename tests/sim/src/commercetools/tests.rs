//! The simulated project, asked as a client asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::contract::{Api, Contract};
use crate::seed::Sizes;

const SIZES: Sizes = Sizes {
    customers: 1_200,
    orders: 300,
    categories: 100,
    products: 120,
};

struct Client {
    project: Commercetools,
    now: Timestamp,
    token: String,
    contract: Option<Arc<Contract>>,
}

impl Client {
    fn new() -> Self {
        let seed = Seed {
            sizes: SIZES,
            ..Seed::default()
        };
        let mut client = Self {
            project: Commercetools::new("shop", seed),
            now: "2026-07-15T08:00:00Z".parse().unwrap(),
            token: String::new(),
            contract: Contract::shared(),
        };
        client.fetch_token();
        client
    }

    fn ask_token(&mut self, secret: &str, form: &str) -> (u16, Value) {
        let basic = BASE64_STANDARD.encode(format!("sim-client:{secret}"));
        let request = Request::post("/oauth/token")
            .header("authorization", format!("Basic {basic}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form.to_owned()))
            .unwrap();
        let response = self.project.answer(self.now, &request);
        let body = serde_json::from_slice(response.body()).unwrap();
        (response.status().as_u16(), body)
    }

    fn fetch_token(&mut self) {
        let (status, body) = self.ask_token("sim-secret", "grant_type=client_credentials");
        assert_eq!(status, 200, "{body}");
        self.token = body["access_token"].as_str().unwrap().to_owned();
    }

    fn call(&mut self, method: Method, target: &str, body: &Value) -> (u16, Value) {
        let is_post = method == Method::POST;
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("authorization", format!("Bearer {}", self.token));
        let mut bytes = Bytes::new();
        if is_post {
            request = request.header("content-type", "application/json");
            bytes = body.to_string().into();
        }
        let request = request.body(bytes).unwrap();
        let response = self.project.answer(self.now, &request);
        if let Some(contract) = &self.contract {
            let violations = contract.check_response(Api::Commercetools, &request, &response);
            assert_eq!(violations, [""; 0], "{target}");
        }
        let status = response.status().as_u16();
        if status == 404 {
            return (status, Value::Null);
        }
        let body = serde_json::from_slice(response.body()).unwrap();
        (status, body)
    }

    fn get(&mut self, target: &str) -> (u16, Value) {
        self.call(Method::GET, target, &Value::Null)
    }

    fn post_object(&mut self, body: Value) -> (u16, Value) {
        self.call(Method::POST, "/shop/custom-objects", &body)
    }
}

fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

#[test]
fn keyset_paging_covers_each_set_once() {
    let mut client = Client::new();
    for (resource, count) in [
        ("customers", SIZES.customers),
        ("orders", SIZES.orders),
        ("categories", SIZES.categories),
        ("products", SIZES.products),
    ] {
        let mut seen = BTreeSet::new();
        let mut last = String::new();
        loop {
            let predicate = format!("id > \"{last}\"");
            let query = query(&[
                ("where", &predicate),
                ("sort", "id asc"),
                ("limit", "37"),
                ("withTotal", "false"),
            ]);
            let (status, page) = client.get(&format!("/shop/{resource}?{query}"));
            assert_eq!(status, 200, "{page}");
            assert_eq!(page.get("total"), None);
            let ids = page["results"].as_array().unwrap().iter();
            let ids: Vec<String> = ids
                .map(|record| record["id"].as_str().unwrap().into())
                .collect();
            assert!(ids.is_sorted());
            let Some(end) = ids.last() else { break };
            last.clone_from(end);
            for id in ids {
                assert!(seen.insert(id));
            }
        }
        assert_eq!(seen.len(), count as usize, "{resource}");
    }
}

#[test]
fn without_sort_the_ids_are_in_no_order() {
    let (_, page) = Client::new().get("/shop/customers?limit=50");
    let ids: Vec<_> = page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["id"].as_str())
        .collect();
    assert!(!ids.is_sorted());
    assert_eq!(page["total"], SIZES.customers);
}

#[test]
fn what_the_real_api_refuses_is_refused() {
    let mut client = Client::new();
    for parameters in [
        [("limit", "501")],
        [("limit", "-1")],
        [("offset", "10001")],
        [("sort", "id sideways")],
        [("sort", "shoeSize asc")],
        [("where", "id > 'x'")],
        [("where", "shoeSize = \"9\"")],
        [("where", "id > :last")],
        [("expand", "shoes[*]")],
        [("withTotal", "maybe")],
        [("pageSize", "3")],
        [("staged", "true")],
    ] {
        let (status, body) = client.get(&format!("/shop/orders?{}", query(&parameters)));
        assert_eq!(status, 400, "{parameters:?} {body}");
        assert_eq!(body["errors"][0]["code"], "InvalidInput");
    }
    assert_eq!(client.get("/shop/shoes").0, 404);
    assert_eq!(client.get("/another/orders").0, 404);
    assert_eq!(client.call(Method::POST, "/shop/orders", &json!({})).0, 405);
}

#[test]
fn id_ranges_lists_and_variables_select_what_they_say() {
    let mut client = Client::new();
    let ids = client.project.ids(Kind::Customer);
    let (from, until) = (ids[10].to_string(), ids[20].to_string());
    let predicate = format!("id > \"{from}\" and id <= \"{until}\"");
    let count = |client: &mut Client, parameters: &[(&str, &str)]| {
        let (status, page) = client.get(&format!("/shop/customers?{}", query(parameters)));
        assert_eq!(status, 200, "{page}");
        page["total"].as_u64().unwrap()
    };
    assert_eq!(count(&mut client, &[("where", &predicate)]), 10);
    let list = format!("id in (\"{from}\", \"{until}\", \"nobody\")");
    assert_eq!(count(&mut client, &[("where", &list)]), 2);
    let variables = [
        ("where", "id > :from"),
        ("where", "id <= :until"),
        ("var.from", &from),
        ("var.until", &until),
    ];
    assert_eq!(count(&mut client, &variables), 10);
}

#[test]
fn a_token_ends_can_be_revoked_and_needs_the_right_scope() {
    let mut client = Client::new();
    assert_eq!(client.get("/shop/orders?limit=1").0, 200);
    client.project.revoke_tokens();
    assert_eq!(client.get("/shop/orders?limit=1").0, 401);
    client.project.set_token_lifetime(Duration::from_secs(60));
    client.fetch_token();
    client.now += Duration::from_secs(59);
    assert_eq!(client.get("/shop/orders?limit=1").0, 200);
    client.now += Duration::from_secs(1);
    assert_eq!(client.get("/shop/orders?limit=1").0, 401);

    let form = "grant_type=client_credentials&scope=view_orders%3Ashop";
    let (_, body) = client.ask_token("sim-secret", form);
    assert_eq!(body["scope"], "view_orders:shop");
    client.token = body["access_token"].as_str().unwrap().to_owned();
    assert_eq!(client.get("/shop/orders?limit=1").0, 200);
    assert_eq!(
        client
            .get("/shop/orders?limit=1&expand=paymentInfo.payments%5B*%5D")
            .0,
        403
    );
    let (status, body) = client.get("/shop/customers");
    assert_eq!(
        (status, &body["errors"][0]["code"]),
        (403, &json!("insufficient_scope"))
    );

    assert_eq!(
        client.ask_token("wrong", "grant_type=client_credentials").0,
        401
    );
    assert_eq!(client.ask_token("sim-secret", "grant_type=password").0, 400);
    let form = "grant_type=client_credentials&scope=manage_orders%3Ashop";
    let (status, body) = client.ask_token("sim-secret", form);
    assert_eq!((status, &body["error"]), (400, &json!("invalid_scope")));
}

#[test]
fn custom_objects_are_guarded_by_their_version() {
    let mut client = Client::new();
    let draft = |value: Value, version: Option<u64>| {
        let mut draft = json!({"container": "c", "key": "k", "value": value});
        if let Some(version) = version {
            draft["version"] = version.into();
        }
        draft
    };
    let (status, object) = client.post_object(draft(json!({"a": 1, "b": null}), Some(0)));
    assert_eq!((status, &object["version"]), (201, &json!(1)));
    assert_eq!(object["value"], json!({"a": 1}));

    let (status, body) = client.post_object(draft(json!({}), Some(0)));
    assert_eq!(status, 409);
    assert_eq!(body["errors"][0]["code"], "ConcurrentModification");
    assert_eq!(body["errors"][0]["currentVersion"], 1);

    let (status, object) = client.post_object(draft(json!({"a": 2}), Some(1)));
    assert_eq!((status, &object["version"]), (200, &json!(2)));
    assert_eq!(client.post_object(draft(json!({}), Some(1))).0, 409);
    // Without a version the last one wins.
    assert_eq!(client.post_object(draft(json!({"a": 3}), None)).0, 200);
    assert_eq!(
        client.get("/shop/custom-objects/c/k").1["value"],
        json!({"a": 3})
    );
    assert_eq!(client.get("/shop/custom-objects/c").1["count"], 1);

    let delete = |client: &mut Client, version| {
        let target = format!("/shop/custom-objects/c/k?version={version}");
        client.call(Method::DELETE, &target, &Value::Null).0
    };
    assert_eq!(delete(&mut client, 2), 409);
    assert_eq!(delete(&mut client, 3), 200);
    assert_eq!(delete(&mut client, 3), 404);
    assert_eq!(client.get("/shop/custom-objects/c/k").0, 404);
    // With a version it is created all the same, as another object.
    let (status, created) = client.post_object(draft(json!({}), Some(3)));
    assert_eq!((status, &created["version"]), (201, &json!(1)));
    assert_ne!(created["id"], object["id"]);
    let racing = RacingCreation::DuplicateField;
    client.project.refuse_racing_creations(racing);
    let (status, body) = client.post_object(draft(json!({}), Some(0)));
    assert_eq!(status, 400);
    assert_eq!(body["errors"][0]["code"], "DuplicateField");
    assert_eq!(client.post_object(draft(json!({}), Some(3))).0, 409);

    let bad_key = json!({"container": "c", "key": "a b", "value": 1});
    assert_eq!(client.post_object(bad_key).0, 400);
    let unknown = json!({"container": "c", "key": "k", "value": 1, "ttl": 3});
    assert_eq!(client.post_object(unknown).0, 400);
}

#[test]
fn records_can_be_put_changed_and_deleted() {
    let mut client = Client::new();
    let ids = client.project.ids(Kind::Product);
    let (kept, gone) = (ids[3], ids[4]);
    let now = client.now;
    assert!(client.project.change(Kind::Product, kept, now, |product| {
        product["masterData"]["published"] = true.into();
        product["masterData"]["current"]["name"] = json!({"en-US": "Changed"});
    }));
    assert!(client.project.delete(Kind::Product, gone));
    assert!(!client.project.delete(Kind::Product, gone));

    let (_, product) = client.get(&format!("/shop/product-projections/{kept}"));
    assert_eq!(product["name"]["en-US"], "Changed");
    assert_eq!(client.get(&format!("/shop/products/{gone}")).0, 404);
    let recent = query(&[
        ("where", "lastModifiedAt >= \"2026-07-15T08:00:00Z\""),
        ("sort", "id asc"),
    ]);
    let (_, page) = client.get(&format!("/shop/products?{recent}"));
    assert!(
        page["results"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["id"] == kept.to_string())
    );
    let (_, page) = client.get("/shop/products?sort=id+asc&limit=500");
    assert_eq!(page["count"], SIZES.products - 1);
}

#[test]
fn projections_hold_what_is_published_or_everything() {
    let mut client = Client::new();
    let (_, published) = client.get("/shop/product-projections?limit=500&sort=id+asc");
    let (_, staged) = client.get("/shop/product-projections?limit=500&sort=id+asc&staged=true");
    let published = published["results"].as_array().unwrap().clone();
    assert_eq!(staged["count"], SIZES.products);
    assert!(published.len() < SIZES.products as usize);
    assert!(published.iter().all(|product| product["published"] == true));
}

/// What is known without making a record is answered from there; with another member beside it, all of it is made.
#[test]
fn graphql_selects_the_same_whether_records_are_made_or_not() {
    let mut client = Client::new();
    let (_, page) = client.get("/shop/products?limit=1&sort=id+asc");
    let mut put = page["results"][0].clone();
    put["masterData"]["published"] = Value::Null;
    client.project.put(Kind::Product, &put);
    let mut select = |selection: &str| {
        let query =
            format!("{{products(sort: [\"id asc\"], limit: 500) {{results {{{selection}}}}}}}");
        let (status, body) = client.call(Method::POST, "/shop/graphql", &json!({"query": query}));
        assert_eq!(status, 200, "{body}");
        body["data"]["products"]["results"].clone()
    };
    for selection in ["id", "id masterData {published}"] {
        let known = select(selection);
        let mut made = select(&format!("{selection} key"));
        for record in made.as_array_mut().unwrap() {
            record.as_object_mut().unwrap().shift_remove("key");
        }
        assert_eq!(known.as_array().unwrap().len(), SIZES.products as usize);
        assert_eq!(known, made, "{selection}");
    }
}

#[test]
fn expanded_references_carry_their_object_where_it_exists() {
    let mut client = Client::new();
    let target = "/shop/categories?limit=500&sort=id+asc&expand=ancestors%5B*%5D";
    let (_, page) = client.get(target);
    let categories = page["results"].as_array().unwrap();
    let ancestors = categories
        .iter()
        .flat_map(|category| category["ancestors"].as_array().unwrap());
    let (found, missing): (Vec<_>, Vec<_>) = ancestors.partition(|a| a.get("obj").is_some());
    assert!(!missing.is_empty());
    assert!(
        found
            .iter()
            .all(|ancestor| ancestor["obj"]["id"] == ancestor["id"])
    );
    let depths = categories
        .iter()
        .map(|category| category["ancestors"].as_array().unwrap().len());
    assert_eq!(depths.max(), Some(19));

    let (status, _) = client.get("/shop/orders?limit=100&expand=paymentInfo.payments%5B*%5D");
    assert_eq!(status, 200);
}

#[test]
fn the_same_seed_gives_the_same_records_and_another_seed_others() {
    let texts = |number| {
        let seed = Seed {
            number,
            sizes: SIZES,
            ..Seed::default()
        };
        Kind::ALL.map(|kind| seed.record(kind, 7))
    };
    assert_eq!(texts(1), texts(1));
    for (one, other) in texts(1).iter().zip(&texts(2)) {
        assert_ne!(one, other);
    }
}

#[test]
fn the_records_are_as_awkward_as_they_should_be() {
    let project = Client::new().project;
    let count = |kind, is_so: &dyn Fn(&Value) -> bool| {
        let mut count = 0;
        project.for_each(kind, |text| {
            count += u32::from(is_so(&serde_json::from_str(text).unwrap()));
        });
        count
    };
    let nothing = |value: &Value, name: &str| value.get(name).is_none();
    let found = [
        count(Kind::Customer, &|c| c["addresses"] == json!([])),
        count(Kind::Customer, &|c| {
            c["defaultBillingAddressId"] == "gone0000"
        }),
        count(Kind::Customer, &|c| nothing(c, "firstName")),
        count(Kind::Customer, &|c| {
            c.pointer("/custom/fields/preferences") == Some(&json!([]))
        }),
        count(Kind::Order, &|o| {
            nothing(o, "customerEmail") && nothing(o, "customerId")
        }),
        count(Kind::Order, &|o| {
            nothing(o, "customerEmail") && !nothing(o, "customerId")
        }),
        count(Kind::Order, &|o| {
            !nothing(o, "customerEmail") && nothing(o, "customerId")
        }),
        count(Kind::Order, &|o| o["totalPrice"]["currencyCode"] == "JPY"),
        count(Kind::Order, &|o| o["orderState"] == "Cancelled"),
        count(Kind::Order, &|o| o["customLineItems"] != json!([])),
        count(Kind::Order, &|o| o.to_string().contains("highPrecision")),
        count(Kind::Product, &|p| p["masterData"]["published"] == false),
        count(Kind::Product, &|p| p.to_string().contains("\"prices\":[]")),
        count(Kind::Product, &|p| {
            nothing(&p["masterData"]["current"]["masterVariant"], "prices")
        }),
    ];
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
}

#[test]
fn orders_are_as_long_as_the_seed_says() {
    let seed = Seed {
        sizes: Sizes {
            orders: 3_000,
            ..SIZES
        },
        ..Seed::default()
    };
    let lengths: Vec<usize> = (0..3_000)
        .map(|index| seed.record(Kind::Order, index).len())
        .collect();
    let mean = lengths.iter().sum::<usize>() / lengths.len();
    assert!((7_000..9_500).contains(&mean), "{mean}");
    assert!(
        lengths
            .iter()
            .all(|length| (3_000..205_000).contains(length))
    );
    assert!(lengths.iter().any(|length| *length > 90_000));
}
