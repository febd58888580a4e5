//! Variants that Klaviyo has and commercetools no longer has: counted, confirmed where they are many, deleted.

use native::{Call, Operator, Setup, Shop};
use serde_json::json;
use sim::klaviyo;
use sim::seed::Kind;

use crate::support::described::run;

/// The skus of the variants in Klaviyo.
fn variants(shop: &Shop) -> Vec<String> {
    shop.world.klaviyo(|klaviyo| {
        let catalog = klaviyo.ledger().catalog();
        let entries = catalog.entries(klaviyo::Kind::Variant);
        entries.keys().map(ToString::to_string).collect()
    })
}

/// Takes all variants but the master from so many products that have others; returns how many skus are gone.
fn take_variants(shop: &Shop, products: usize) -> u64 {
    let now = shop.world.clock().now();
    let mut gone = 0;
    shop.world.commercetools(|project| {
        let mut left = products;
        for id in project.ids(Kind::Product) {
            let record = project.record(Kind::Product, id).expect("a product");
            let data = &record["masterData"];
            let others = data["current"]["variants"].as_array();
            let skus = others.into_iter().flatten();
            let skus = skus.filter(|variant| variant["sku"].is_string()).count();
            if left == 0 || skus == 0 || data["published"] != true {
                continue;
            }
            left -= 1;
            gone += skus as u64;
            project.change(Kind::Product, id, now, |record| {
                record["masterData"]["current"]["variants"] = json!([]);
            });
        }
        assert_eq!(left, 0, "there are so many products with variants");
    });
    gone
}

#[test]
fn a_few_obsolete_variants_are_deleted_without_a_question() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let before = variants(&shop).len();
        let gone = take_variants(&shop, 1);
        assert!(gone <= 10, "{gone}");
        let status = shop.complete("products", "").await;
        assert_eq!(variants(&shop).len() as u64, before as u64 - gone);
        assert_eq!(status["removal"]["count"], gone, "{status}");
        assert_eq!(status["removal"]["of"], before, "{status}");
        let notes = &status["variants"]["notes"];
        assert_eq!(notes["obsolete-variants-deleted"], gone);
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn many_obsolete_variants_are_deleted_only_when_their_number_is_confirmed() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let before = variants(&shop);
        let gone = take_variants(&shop, 20);
        assert!(gone > 10 && gone * 10 > before.len() as u64, "{gone}");

        shop.start("products", "").await;
        let failed = shop.ticked("products").await.pop().expect("a status");
        assert_eq!(failed["status"], "failed", "{failed}");
        assert_eq!(failed["lastError"]["code"], "removal_unconfirmed");
        let removal = json!({"kind": "variants", "count": gone, "of": before.len()});
        assert_eq!(failed["removal"], removal);
        assert_eq!(variants(&shop), before, "nothing is deleted");
        assert!(failed["counts"]["sent"].as_u64() > Some(40), "{failed}");

        // a scheduler does not confirm it, nor does a number that is too small, nor none
        let answer = shop.send(Call::post("/sync/products/continue", "")).await;
        assert_eq!(answer.body["outcome"], "not running", "{answer:?}");
        for body in [
            json!({"resume": true}),
            json!({"resume": true, "confirmRemoval": gone - 1}),
        ] {
            shop.start("products", &body).await;
            let again = shop.ticked("products").await.pop().expect("a status");
            assert_eq!(again["lastError"]["code"], "removal_unconfirmed", "{body}");
            assert_eq!(again["removal"], removal, "{body}");
            assert_eq!(variants(&shop), before, "{body}");
        }

        let body = json!({"resume": true, "confirmRemoval": gone});
        shop.start("products", &body).await;
        let done = shop.ticked("products").await.pop().expect("a status");
        assert_eq!(done["status"], "completed", "{done}");
        assert_eq!(variants(&shop).len() as u64, before.len() as u64 - gone);
        assert_eq!(done["counts"], failed["counts"]);
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn a_dry_run_tells_how_many_variants_are_obsolete() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let before = variants(&shop);
        let gone = take_variants(&shop, 20);
        let dry = shop.complete("products", json!({"dryRun": true})).await;
        assert_eq!(dry["removal"]["count"], gone, "{dry}");
        assert_eq!(variants(&shop), before);
    });
}
