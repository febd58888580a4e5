//! Records and configurations as shops really have them.

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{self, Choice};
use sim::seed::Kind;

use crate::support::described::run;

/// The default configuration of the Node plugin, as it is in its repository.
fn plugin_defaults() -> Value {
    let properties = json!({"include": [], "exclude": [], "map": {}});
    json!({
        "disabledEvents": [],
        "order": {
            "states": {
                "changed": {"cancelledOrder": ["Cancelled"], "fulfilledOrder": ["Confirmed", "Complete"]},
                "created": {"placedOrder": ["Open"]},
            },
            "messages": {
                "changed": ["OrderStateChanged"],
                "created": ["OrderCreated", "OrderImported", "OrderCustomerSet"],
            },
            "properties": properties,
            "metrics": {
                "cancelledOrder": "Cancelled Order",
                "fulfilledOrder": "Fulfilled Order",
                "placedOrder": "Placed Order",
                "orderedProduct": "Ordered Product",
                "refundedOrder": "Refunded Order",
            },
            "customFields": {"properties": properties},
        },
        "customer": {
            "messages": {
                "addressChanged": [
                    "CustomerAddressAdded", "CustomerAddressRemoved", "CustomerAddressChanged",
                ],
            },
            "customFields": {"properties": properties},
            "deduplication": {"enabled": false},
        },
        "payment": {
            "messages": {
                "transactionAdded": ["PaymentTransactionAdded"],
                "transactionChanged": ["PaymentTransactionStateChanged"],
            },
            "states": {"validTransactionStates": ["Initial", "Pending", "Success"]},
        },
        "category": {"messages": {"created": ["CategoryCreated"]}},
        "product": {
            "messages": {"deleted": ["ProductUnpublished"], "published": ["ProductPublished"]},
            "inventory": {"useChannelInventory": ""},
        },
    })
}

/// The line of the check about `sync_config`.
async fn line_about_configuration(shop: &Shop) -> Option<Value> {
    let check = shop.read("/sync/check").await;
    let lines = check["lines"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["what"] == "sync_config");
    line.cloned()
}

#[test]
fn the_plugins_default_configuration_is_valid_and_the_check_names_what_has_no_effect() {
    let setup = Setup::orders(40).scheduled();
    run(
        setup.variable("sync_config", plugin_defaults()),
        async |shop| {
            shop.complete("orders", "").await;
            shop.assert_ledger(&[Kind::Order]);
            let line = line_about_configuration(&shop).await.expect("a line");
            assert_eq!(line["state"], "ok");
            let (_, named) = line["detail"]
                .as_str()
                .and_then(|detail| detail.split_once(": "))
                .expect("a list");
            assert_eq!(
                named.split(", ").collect::<Vec<_>>(),
                [
                    "disabledEvents",
                    "payment",
                    "category",
                    "order.messages",
                    "order.states.created",
                    "customer.messages",
                    "product.messages",
                ]
            );
        },
    );
}

#[test]
fn a_configuration_without_such_keys_has_no_line() {
    let setup = Setup::orders(0).scheduled();
    let config = r#"{"customer": {"deduplication": {"enabled": false}}}"#;
    run(setup.variable("sync_config", config), async |shop| {
        assert_eq!(line_about_configuration(&shop).await, None);
    });
}

/// The profile of a customer.
fn attributes(shop: &Shop, id: &str) -> Value {
    let now = shop.world.clock().now();
    shop.world.klaviyo(|klaviyo| {
        klaviyo.settle(now);
        let profile = klaviyo.ledger().profiles().by_external_id(id);
        Value::Object(profile.expect("a profile").attributes.clone())
    })
}

#[test]
fn custom_fields_that_became_empty_are_taken_out_of_the_profile() {
    let config = json!({"customer": {"customFields": {"properties": {
        "include": ["newsletter", "points", "note", "tier", "size"],
        "map": {"size": "Shoe \"size\""},
    }}}});
    let setup = Setup::customers(3).scheduled();
    run(setup.variable("sync_config", config), async |shop| {
        let id = shop.ids(Kind::Customer).remove(0);
        let fields = |fields: Value| {
            shop.change_record(Kind::Customer, &id, |customer| {
                customer["custom"] = json!({
                    "type": {"typeId": "type", "id": "71000001-0000-4000-8000-000000000000"},
                    "fields": fields,
                });
            });
        };
        fields(json!({"newsletter": true, "points": 7, "note": "x", "tier": "silver", "size": 40}));
        shop.complete("customers", "").await;
        assert_eq!(
            attributes(&shop, &id)["properties"],
            json!({"newsletter": true, "points": 7, "note": "x", "tier": "silver", "Shoe \"size\"": 40})
        );

        fields(json!({"newsletter": false, "points": 0, "note": "", "tier": "gold"}));
        shop.complete("customers", "").await;
        assert_eq!(
            attributes(&shop, &id)["properties"],
            json!({"tier": "gold"})
        );
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn what_klaviyo_refused_and_gets_again_still_takes_properties_out() {
    let setup = Setup::customers(2).scheduled();
    run(setup, async |shop| {
        let id = shop.ids(Kind::Customer).remove(0);
        let change = |newsletter: bool| {
            shop.change_record(Kind::Customer, &id, |customer| {
                customer["custom"] = json!({
                    "type": {"typeId": "type", "id": "71000001-0000-4000-8000-000000000000"},
                    "fields": {"newsletter": newsletter},
                });
                customer["addresses"] = json!([
                    {"id": "a1", "country": "DE", "mobile": "+491701234567"},
                ]);
                customer["billingAddressIds"] = json!([]);
                let customer = customer.as_object_mut().expect("an object");
                customer.remove("defaultBillingAddressId");
            });
        };
        change(true);
        shop.complete("customers", "").await;
        assert_eq!(attributes(&shop, &id)["properties"]["newsletter"], true);
        change(false);
        shop.world.klaviyo(|klaviyo| {
            klaviyo.options_mut().refuse_phone_numbers = Choice::ids([id.as_str()]);
        });
        let status = shop.complete("customers", "").await;
        let again = &status["counts"]["notes"]["sent-again-without-phone-number"];
        assert_eq!(*again, 1, "{status}");
        let properties = &attributes(&shop, &id)["properties"];
        assert_eq!(properties.get("newsletter"), None, "{properties}");
    });
}

/// The events of one metric, as `(unique_id, time, email)`.
fn events(shop: &Shop, metric: &str) -> Vec<(String, String, Option<String>)> {
    shop.world.klaviyo(|klaviyo| {
        let events = klaviyo.ledger().events().iter();
        events
            .filter(|(key, _)| &*key.metric == metric)
            .map(|(key, event)| {
                let email = event.identifiers.email.as_deref().map(str::to_owned);
                (key.unique_id.to_string(), event.time.to_string(), email)
            })
            .collect()
    })
}

#[test]
fn imported_orders_are_of_their_own_day_and_emails_have_no_blanks() {
    run(Setup::orders(3).scheduled(), async |shop| {
        let ids = shop.ids(Kind::Order);
        for id in &ids {
            shop.change_record(Kind::Order, id, |order| {
                order["createdAt"] = json!("2025-06-01T08:00:00.000Z");
                order["customerEmail"] = json!("ada@shop.example ");
                order["customerId"] = json!("30000001-0000-4000-8000-000000000000");
                order
                    .as_object_mut()
                    .expect("an object")
                    .remove("completedAt");
            });
        }
        shop.change_record(Kind::Order, &ids[0], |order| {
            order["completedAt"] = json!("2019-11-29T18:30:00.000Z");
        });
        let status = shop.complete("orders", "").await;
        assert_eq!(status["counts"]["sent"], 3, "{status}");
        shop.assert_ledger(&[Kind::Order]);
        let placed = events(&shop, "Placed Order");
        assert_eq!(placed.len(), 3);
        for (id, time, email) in placed {
            let expected = match id == ids[0] {
                true => "2019-11-29T18:30:00Z",
                false => "2025-06-01T08:00:00Z",
            };
            assert_eq!(time, expected, "{id}");
            assert_eq!(email.as_deref(), Some("ada@shop.example"));
        }
        let line = shop.world.commercetools(|project| {
            let id = ids[0].parse().expect("an id");
            let order = project.record(Kind::Order, id).expect("an order");
            order["lineItems"][0]["id"]
                .as_str()
                .expect("an id")
                .to_owned()
        });
        let ordered = events(&shop, "Ordered Product");
        let first = ordered
            .iter()
            .find(|(id, ..)| *id == line)
            .expect("an event");
        assert_eq!(first.1, "2019-11-29T18:30:01Z");
    });
}

#[test]
fn an_email_of_100_characters_is_left_out_where_something_else_identifies_the_profile() {
    run(Setup::orders(2).scheduled(), async |shop| {
        let long = format!("{}@shop.example", "a".repeat(87));
        assert_eq!(long.len(), 100);
        let ids = shop.ids(Kind::Order);
        let customer = "30000001-0000-4000-8000-000000000000";
        for (id, customer) in ids.iter().zip([Some(customer), None]) {
            shop.change_record(Kind::Order, id, |order| {
                order["customerEmail"] = json!(long);
                let order = order.as_object_mut().expect("an object");
                order.remove("customerId");
                order.extend(customer.map(|id| ("customerId".to_owned(), json!(id))));
            });
        }
        let status = shop.complete("orders", "").await;
        let counts = &status["counts"];
        assert_eq!(counts["sent"], 1, "{status}");
        assert_eq!(counts["notes"], json!({"email-left-out": 1}));
        assert_eq!(counts["skipped"], json!({"email-too-long": 1}));
        let placed = events(&shop, "Placed Order");
        assert_eq!(placed.len(), 1);
        assert_eq!((&placed[0].0, &placed[0].2), (&ids[0], &None));

        let id = shop.ids(Kind::Customer).remove(0);
        shop.change_record(Kind::Customer, &id, |customer| {
            customer["email"] = json!(long);
        });
        let status = shop.complete("customers", "").await;
        let counts = &status["counts"];
        assert_eq!(counts["notes"]["email-left-out"], 1, "{status}");
        assert_eq!(attributes(&shop, &id).get("email"), None);
        shop.assert_ledger(&[Kind::Customer, Kind::Order]);
    });
}

/// An entry's attributes and what it belongs to.
fn entry(shop: &Shop, kind: klaviyo::Kind, id: &str) -> (Value, Vec<String>) {
    let now = shop.world.clock().now();
    shop.world.klaviyo(|klaviyo| {
        klaviyo.settle(now);
        let entry = klaviyo.ledger().catalog().entries(kind).get(id);
        let entry = entry.expect("an entry");
        let belongs_to = entry.belongs_to.iter().cloned().collect();
        (Value::Object(entry.attributes.clone()), belongs_to)
    })
}

fn references(ids: &[&str]) -> Value {
    let references = ids.iter().map(|id| json!({"typeId": "category", "id": id}));
    references.collect()
}

/// The id of a published product.
fn published(shop: &Shop) -> String {
    let mut found = None;
    shop.world.commercetools(|project| {
        project.for_each_published_product(|product| {
            let product: Value = serde_json::from_str(product).expect("a product");
            found = product["id"].as_str().map(str::to_owned);
        });
    });
    found.expect("one is published")
}

/// A category that commercetools does not have.
const GONE: &str = "20000063-0000-4000-8000-000000000000";

#[test]
fn ancestors_that_are_gone_or_circular_cost_neither_a_category_nor_its_products() {
    run(Setup::catalog(6, 8).scheduled(), async |shop| {
        let ids = shop.ids(Kind::Category);
        let [women, jeans, looped, one, other, nameless] = ids.as_slice() else {
            panic!("six categories");
        };
        let change = |id: &str, name: &str, ancestors: &[&str]| {
            shop.change_record(Kind::Category, id, |category| {
                category["name"] = match name {
                    "" => json!({}),
                    name => json!({"en-US": name}),
                };
                category["ancestors"] = references(ancestors);
                category
                    .as_object_mut()
                    .expect("an object")
                    .remove("parent");
            });
        };
        change(women, "Women", &[]);
        change(jeans, "Jeans", &[women, GONE]);
        change(looped, "Loop", &[looped]);
        change(one, "A", &[other]);
        change(other, "B", &[one]);
        change(nameless, "", &[women]);
        let product = published(&shop);
        let put_into = |categories: &[&str]| {
            shop.change_record(Kind::Product, &product, |product| {
                let current = &mut product["masterData"]["current"];
                current["categories"] = references(categories);
            });
        };
        put_into(&[jeans, nameless, GONE, looped]);

        let status = shop.complete("categories", "").await;
        assert_eq!(status["counts"]["sent"], 5, "{status}");
        assert_eq!(status["counts"]["skipped"], json!({"no-name": 1}));
        let names = [
            (women, "Women"),
            (jeans, "Women > Jeans"),
            (looped, "Loop"),
            (one, "B > A"),
            (other, "A > B"),
        ];
        for (id, name) in names {
            let (attributes, _) = entry(&shop, klaviyo::Kind::Category, id);
            assert_eq!(attributes["name"], name);
        }

        let status = shop.complete("products", "").await;
        assert_eq!(status["counts"]["failed"], 0, "{status}");
        shop.assert_ledger(&[Kind::Product]);
        let (_, belongs_to) = entry(&shop, klaviyo::Kind::Item, &product);
        let mut expected = vec![women.clone(), jeans.clone(), looped.clone()];
        expected.sort();
        assert_eq!(belongs_to, expected);

        // only its categories are left out that are not there
        put_into(&[GONE]);
        shop.complete("products", "").await;
        shop.assert_ledger(&[Kind::Product]);
        let (_, belongs_to) = entry(&shop, klaviyo::Kind::Item, &product);
        assert_eq!(belongs_to, [""; 0]);
    });
}

#[test]
fn what_a_product_no_longer_has_is_cleared() {
    run(Setup::catalog(3, 8).scheduled(), async |shop| {
        let id = published(&shop);
        let categories = shop.ids(Kind::Category);
        let change = |change: &dyn Fn(&mut Value)| {
            shop.change_record(Kind::Product, &id, |product| {
                change(&mut product["masterData"]["current"]);
            });
        };
        change(&|current| {
            current["categories"] = references(&[&categories[0]]);
            current["description"] = json!({"en-US": "Warm"});
            current["variants"] = json!([]);
            let master = &mut current["masterVariant"];
            master["sku"] = json!("CLEARED-1");
            master["images"] = json!([
                {"url": "https://images.example.com/1.jpg", "dimensions": {"w": 1, "h": 1}},
            ]);
            master["availability"] = json!({"channels": {
                "8d2b6a3e-0c55-4d1d-9a6b-31f1c2f3a401": {"availableQuantity": 3},
                "8d2b6a3e-0c55-4d1d-9a6b-31f1c2f3a402": {"availableQuantity": 4},
            }});
        });
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
        let (attributes, belongs_to) = entry(&shop, klaviyo::Kind::Item, &id);
        assert_eq!(
            attributes["image_full_url"],
            "https://images.example.com/1.jpg"
        );
        assert_eq!(attributes["description"], "Warm");
        assert!(!belongs_to.is_empty());
        let (attributes, _) = entry(&shop, klaviyo::Kind::Variant, "CLEARED-1");
        assert_eq!(attributes["inventory_quantity"], 7);
        assert_eq!(attributes["inventory_policy"], 1);

        change(&|current| {
            current["categories"] = json!([]);
            current
                .as_object_mut()
                .expect("an object")
                .remove("description");
            let master = &mut current["masterVariant"];
            master["images"] = json!([]);
            master
                .as_object_mut()
                .expect("an object")
                .remove("availability");
        });
        shop.complete("products", "").await;
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
        let (attributes, belongs_to) = entry(&shop, klaviyo::Kind::Item, &id);
        assert!(attributes["image_full_url"].is_null(), "{attributes}");
        assert_eq!(attributes["description"], "");
        assert_eq!(belongs_to, [""; 0]);
        let (attributes, _) = entry(&shop, klaviyo::Kind::Variant, "CLEARED-1");
        assert!(attributes["image_full_url"].is_null(), "{attributes}");
        assert!(attributes["inventory_quantity"].is_null(), "{attributes}");
        assert_eq!(attributes["inventory_policy"], 2);
    });
}
