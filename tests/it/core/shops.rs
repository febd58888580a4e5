//! Shops that keep variants, prices and stock beside their products: Modular ones, and those with standalone prices.

use std::collections::BTreeMap;

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{Kind as EntryKind, Operation};
use sim::seed::{Beside, Kind, Shop as Kept};

use crate::support::described::run;

const SHOPS: [Kept; 3] = [Kept::Standalone, Kept::Modular, Kept::Mixed];
const PRICES: &str = "GET /sim-shop/standalone-prices";
const VARIANTS: &str = "GET /sim-shop/variant-projections";
const STOCK: &str = "GET /sim-shop/inventory";

/// What Klaviyo has of a kind of entries: their attributes, by external id.
fn entries(shop: &Shop, kind: EntryKind) -> BTreeMap<String, Value> {
    shop.world.klaviyo(|klaviyo| {
        let entries = klaviyo.ledger().catalog().entries(kind).iter();
        let attributes = entries.map(|(id, entry)| (id.clone(), entry.attributes.clone().into()));
        attributes.collect()
    })
}

fn calls_of(shop: &Shop, call: &str) -> u64 {
    shop.world.commercetools_server().calls_of(call)
}

fn change_all(shop: &Shop, beside: Beside, mut change: impl FnMut(&mut Value)) {
    let now = shop.world.clock().now();
    shop.world.commercetools(|project| {
        for id in project.beside_ids(beside) {
            assert!(project.change_beside(beside, id, now, &mut change));
        }
    });
}

#[test]
fn variants_that_klaviyo_never_got_cost_no_listing_for_each_of_their_items() {
    let setup = Setup::catalog(0, 300).kept_as(Kept::Standalone);
    run(setup.scheduled(), async |shop| {
        shop.complete("products", "").await;
        let traffic = || {
            let listed = |klaviyo: &sim::klaviyo::Klaviyo| {
                let traffic = klaviyo.ledger().traffic(Operation::ListVariantsOfItem);
                traffic.calls
            };
            shop.world.klaviyo(|klaviyo| listed(klaviyo))
        };
        // those with many variants are listed by themselves
        let many = shop.world.klaviyo(|klaviyo| {
            let catalog = klaviyo.ledger().catalog();
            let items = catalog.entries(EntryKind::Item).keys();
            items
                .filter(|id| catalog.variants_of(id).count() >= 10)
                .count() as u64
        });
        let before = traffic();
        let status = shop.complete("products", "").await;
        // without a price Klaviyo creates no variant
        let lacking = status["variants"]["skipped"]["no-price"].as_u64();
        assert!(lacking.is_some_and(|lacking| lacking > 100), "{status}");
        assert_eq!(traffic() - before, many, "{status}");
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn every_kind_of_shop_arrives_as_it_is_twice_over() {
    for kept in SHOPS {
        run(
            Setup::catalog(20, 60).kept_as(kept).scheduled(),
            async |shop| {
                shop.complete("categories", "").await;
                for _ in 0..2 {
                    let status = shop.complete("products", "").await;
                    assert_eq!(status["counts"]["failed"], 0, "{kept:?}: {status}");
                    assert_eq!(status["variants"]["failed"], 0, "{kept:?}: {status}");
                    shop.assert_ledger(&[Kind::Category, Kind::Product]);
                }
                let variants = entries(&shop, EntryKind::Variant);
                assert!(variants.len() > 100, "{kept:?}: {}", variants.len());
                // what changes beside the products arrives with the next import
                change_all(&shop, Beside::StandalonePrice, |price| {
                    if price["active"] == true {
                        price["value"] = json!({
                            "type": "centPrecision", "currencyCode": "EUR", "centAmount": 4_990, "fractionDigits": 2,
                        });
                    }
                });
                change_all(&shop, Beside::InventoryEntry, |entry| {
                    entry["availableQuantity"] = 7.into();
                });
                shop.complete("products", "").await;
                shop.assert_ledger(&[Kind::Product]);
                assert_ne!(entries(&shop, EntryKind::Variant), variants, "{kept:?}");
            },
        );
    }
}

#[test]
fn a_usual_shop_costs_no_call_for_what_it_does_not_keep_elsewhere() {
    run(Setup::catalog(5, 40).scheduled(), async |shop| {
        shop.complete("products", "").await;
        for call in [PRICES, VARIANTS, STOCK] {
            assert_eq!(calls_of(&shop, call), 0, "{call}");
        }
    });
}

#[test]
fn variants_go_only_where_others_are_read_in_their_place() {
    run(
        Setup::catalog(0, 30).kept_as(Kept::Modular).scheduled(),
        async |shop| {
            shop.complete("products", "").await;
            let before = entries(&shop, EntryKind::Variant);
            // one product loses a variant, another one all of them
            let (one, other) = shop.world.commercetools(|project| {
                let mut of_products: BTreeMap<String, Vec<_>> = BTreeMap::new();
                for id in project.beside_ids(Beside::VariantProjection) {
                    let variant = project.beside(Beside::VariantProjection, id);
                    let variant = variant.expect("a variant");
                    let product = variant["product"]["id"].as_str().expect("an id");
                    let sku = variant["sku"]
                        .as_str()
                        .filter(|sku| before.contains_key(*sku));
                    let of_product = of_products.entry(product.to_owned()).or_default();
                    of_product.push((id, sku.map(str::to_owned)));
                }
                let mut several = of_products.into_values().filter(|variants| {
                    let sent = variants.iter().filter(|(_, sku)| sku.is_some());
                    sent.count() > 1
                });
                let mut next = || several.next().expect("a product with several variants");
                let (one, other) = (next(), next());
                let (id, sku) = one.into_iter().find(|(_, sku)| sku.is_some()).expect("one");
                project.delete_beside(Beside::VariantProjection, id);
                for (id, _) in &other {
                    project.delete_beside(Beside::VariantProjection, *id);
                }
                let of_other: Vec<String> = other.into_iter().filter_map(|(_, sku)| sku).collect();
                (sku.expect("a sku"), of_other)
            });
            let status = shop.complete("products", "").await;
            let after = entries(&shop, EntryKind::Variant);
            assert!(!after.contains_key(&one), "{status}");
            for sku in other {
                assert!(
                    after.contains_key(&sku),
                    "{sku} went because a list is empty: {status}"
                );
            }
            assert_eq!(after.len(), before.len() - 1);
        },
    );
}

#[test]
fn prices_that_may_not_be_read_are_neither_sent_nor_overwritten() {
    for kept in [Kept::Standalone, Kept::Modular] {
        let setup = Setup::catalog(0, 40).kept_as(kept).scheduled();
        run(setup.variable("ct_scope", ""), async |shop| {
            let scopes = |scopes: &[&str]| {
                shop.world.commercetools(|project| {
                    project.set_client_scopes(scopes);
                    project.revoke_tokens();
                });
            };
            let all = [
                "view_products",
                "manage_key_value_documents",
                "view_standalone_prices",
            ];
            scopes(&all[..2]);
            let status = shop.complete("products", "").await;
            let unread = &status["counts"]["notes"]["standalone-prices-unread"];
            assert_eq!(*unread, status["counts"]["sent"], "{kept:?}: {status}");
            let items = entries(&shop, EntryKind::Item);
            assert!(items.len() > 20);
            for (id, item) in &items {
                assert!(item.get("price").is_none_or(Value::is_null), "{id}: {item}");
            }
            // Klaviyo creates no variant without a price
            let skipped = &status["variants"]["skipped"]["no-price"];
            assert!(skipped.as_u64() > Some(50), "{kept:?}: {status}");
            assert!(entries(&shop, EntryKind::Variant).is_empty());

            scopes(&all);
            shop.complete("products", "").await;
            shop.assert_ledger(&[Kind::Product]);
            let prices = || {
                let all = [EntryKind::Item, EntryKind::Variant].map(|kind| entries(&shop, kind));
                let all = all.into_iter().flatten();
                all.map(|(id, entry)| {
                    (id, entry["price"].clone(), entry["custom_metadata"].clone())
                })
                .collect::<Vec<_>>()
            };
            let priced = prices();
            scopes(&all[..2]);
            change_all(&shop, Beside::StandalonePrice, |price| {
                price["value"]["centAmount"] = 1.into();
            });
            shop.complete("products", "").await;
            assert_eq!(prices(), priced, "{kept:?}");
        });
    }
}

#[test]
fn stock_that_may_not_be_read_is_left_as_it_is() {
    let setup = Setup::catalog(0, 30).kept_as(Kept::Modular).scheduled();
    run(setup.variable("ct_scope", ""), async |shop| {
        shop.complete("products", "").await;
        let before = entries(&shop, EntryKind::Variant);
        shop.world.commercetools(|project| {
            project.set_client_scopes(&[
                "view_published_products",
                "manage_key_value_documents",
                "view_standalone_prices",
            ]);
            project.revoke_tokens();
        });
        change_all(&shop, Beside::InventoryEntry, |entry| {
            entry["availableQuantity"] = 4_711.into();
        });
        let status = shop.complete("products", "").await;
        assert!(
            status["counts"]["notes"]["stock-unread"].as_u64() > Some(10),
            "{status}"
        );
        assert_eq!(entries(&shop, EntryKind::Variant), before);
    });
}
