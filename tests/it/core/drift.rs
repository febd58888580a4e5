//! A comparison tells how far Klaviyo is from the shop, and sends nothing.

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{Kind as EntryKind, Operation};
use sim::seed::{Kind, Shop as Kept};

use crate::support::described::run;

fn drift() -> Value {
    json!({"drift": true})
}

/// The comparison, whose counts are those of all that is there.
async fn compared(shop: &Shop) -> Value {
    let status = shop.complete("products", drift()).await;
    let count = |kind| {
        shop.world
            .klaviyo(|klaviyo| klaviyo.ledger().catalog().entries(kind).len())
    };
    assert!(count(EntryKind::Item) > 0 && count(EntryKind::Variant) > 0);
    status["drift"].clone()
}

/// How many writes Klaviyo has had.
fn writes(shop: &Shop) -> u64 {
    shop.world.klaviyo(|klaviyo| {
        let traffic = klaviyo.ledger().all_traffic();
        traffic
            .filter(|(operation, _)| matches!(operation, Operation::StartJob(_)))
            .map(|(_, traffic)| traffic.calls)
            .sum()
    })
}

fn differences(of: &Value) -> [u64; 3] {
    ["lacking", "different", "surplus"].map(|name| of[name].as_u64().expect("a count"))
}

#[test]
fn after_an_import_there_is_none_in_any_kind_of_shop() {
    for kept in [Kept::Usual, Kept::Standalone, Kept::Modular, Kept::Mixed] {
        run(
            Setup::catalog(10, 60).kept_as(kept).scheduled(),
            async |shop| {
                for resource in ["categories", "products"] {
                    shop.complete(resource, "").await;
                }
                let before = writes(&shop);
                let drift = compared(&shop).await;
                for of in ["items", "variants"] {
                    assert_eq!(differences(&drift[of]), [0; 3], "{kept:?}: {drift}");
                    assert!(drift[of]["compared"].as_u64() > Some(30), "{drift}");
                }
                assert_eq!(writes(&shop), before, "nothing is sent");
            },
        );
    }
}

#[test]
fn what_lacks_what_differs_and_what_is_too_much_is_counted_and_named() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let before = shop.status("products").await;
        let items: Vec<String> = shop.world.klaviyo(|klaviyo| {
            let items = klaviyo.ledger().catalog().entries(EntryKind::Item);
            items.keys().cloned().collect()
        });
        let [lacking, renamed, unpublished, ..] = &items[..] else {
            panic!("three items");
        };
        shop.world
            .klaviyo(|klaviyo| klaviyo.remove_entry(EntryKind::Item, lacking));
        shop.change_record(Kind::Product, renamed, |product| {
            product["masterData"]["current"]["name"] = json!({"en-US": "Another name"});
        });
        shop.change_record(Kind::Product, unpublished, |product| {
            product["masterData"]["published"] = false.into();
        });
        let drift = compared(&shop).await;
        assert_eq!(differences(&drift["items"]), [1, 1, 1], "{drift}");
        assert_eq!(drift["items"]["lackingIds"], json!([lacking]));
        assert_eq!(drift["items"]["differentIds"], json!([renamed]));
        assert_eq!(
            drift["items"]["fields"],
            json!({"title": 1, "custom_metadata": 1})
        );
        assert!(drift["variants"]["lacking"].as_u64() > Some(0), "{drift}");
        assert!(drift["variants"]["different"].as_u64() > Some(0), "{drift}");

        // it brings nothing up to date, and what it has found is mended by an import and a prune
        let status = shop.status("products").await;
        assert_eq!(status["upToDateSince"], before["upToDateSince"]);
        shop.complete("products", "").await;
        shop.complete("products", json!({"prune": true})).await;
        let drift = compared(&shop).await;
        assert_eq!(differences(&drift["items"]), [0; 3], "{drift}");
        assert_eq!(differences(&drift["variants"]), [0; 3], "{drift}");
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn it_is_for_products_and_stands_alone() {
    run(Setup::catalog(0, 5), async |shop| {
        for (resource, body) in [
            ("categories", drift()),
            ("orders", drift()),
            ("products", json!({"drift": true, "since": "lastRun"})),
            ("products", json!({"drift": true, "prune": true})),
            ("products", json!({"drift": true, "retryFailed": true})),
        ] {
            shop.posted(&format!("/sync/{resource}"), &body, 400).await;
        }
    });
}
