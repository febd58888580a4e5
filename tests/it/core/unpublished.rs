//! Products that were unpublished leave Klaviyo with the next import of changes.

use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::{GraphqlRefusal, SCOPES};
use sim::klaviyo::Kind as EntryKind;
use sim::seed::Kind;

use crate::support::described::run;

/// The import of changes.
fn changes() -> Value {
    json!({"since": "lastRun"})
}

fn items(shop: &Shop) -> Vec<String> {
    shop.world.klaviyo(|klaviyo| {
        let items = klaviyo.ledger().catalog().entries(EntryKind::Item);
        items.keys().cloned().collect()
    })
}

/// Publishes a product, or takes that back.
fn publish(shop: &Shop, id: &str, is_published: bool) {
    shop.change_record(Kind::Product, id, |product| {
        product["masterData"]["published"] = is_published.into();
    });
}

/// Unpublishes so many products that Klaviyo has; returns their ids.
fn unpublish(shop: &Shop, count: usize) -> Vec<String> {
    let ids: Vec<String> = items(shop).into_iter().take(count).collect();
    assert_eq!(ids.len(), count);
    for id in &ids {
        publish(shop, id, false);
    }
    ids
}

/// A shop whose products have been imported.
async fn imported(shop: &Shop) {
    shop.complete("products", "").await;
    shop.pass(std::time::Duration::from_secs(120)).await;
}

#[test]
fn an_unpublished_product_leaves_with_its_variants_and_comes_back_when_it_is_published() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        imported(&shop).await;
        let gone = unpublish(&shop, 3);
        let status = shop.complete("products", changes()).await;
        assert_eq!(status["counts"]["notes"]["unpublished-deleted"], 3);
        assert_eq!(status["counts"]["sent"], 3, "{status}");
        let published = items(&shop).len() as u64;
        let removal = &status["removals"][0];
        assert_eq!(removal["kind"], "items", "{status}");
        assert_eq!(removal["ids"], json!(gone));
        assert_eq!(
            (&removal["count"], &removal["of"]),
            (&json!(3), &json!(published + 3))
        );
        shop.assert_ledger(&[Kind::Product]);

        shop.pass(std::time::Duration::from_secs(120)).await;
        publish(&shop, &gone[0], true);
        shop.complete("products", changes()).await;
        assert!(items(&shop).contains(&gone[0]));
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn what_an_import_of_everything_left_alone_leaves_with_the_next_changes() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        imported(&shop).await;
        let gone = unpublish(&shop, 2);
        shop.pass(std::time::Duration::from_secs(600)).await;
        shop.complete("products", "").await;
        assert!(gone.iter().all(|id| items(&shop).contains(id)));
        shop.pass(std::time::Duration::from_secs(600)).await;
        shop.complete("products", changes()).await;
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn a_dry_run_lists_what_would_leave() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        imported(&shop).await;
        let before = items(&shop);
        let gone = unpublish(&shop, 30);
        let body = json!({"since": "lastRun", "dryRun": true});
        let status = shop.complete("products", body).await;
        assert_eq!(status["removals"][0]["ids"], json!(gone), "{status}");
        assert_eq!(items(&shop), before);
    });
}

#[test]
fn many_leave_only_when_their_number_is_confirmed_and_what_is_published_again_stays() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        imported(&shop).await;
        let before = items(&shop);
        let gone = unpublish(&shop, 15);
        let failed = shop.carried("products", changes()).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        assert_eq!(failed["lastError"]["code"], "removal_unconfirmed");
        let removal = json!({"kind": "items", "count": 15, "of": before.len()});
        assert_eq!(failed["removal"], removal);
        let message = failed["lastError"]["message"].as_str().expect("a message");
        assert!(message.starts_with("15 of the "), "{message}");
        assert_eq!(items(&shop), before, "nothing is deleted");

        let failed = shop.carried("products", json!({"resume": true})).await;
        assert_eq!(failed["removal"], removal, "counted once more");
        publish(&shop, &gone[0], true);
        let body = json!({"resume": true, "confirmRemoval": 15});
        let done = shop.carried("products", body).await;
        assert_eq!(done["status"], "completed", "{done}");
        assert_eq!(done["removal"]["count"], 14);
        assert_eq!(items(&shop).len(), before.len() - 14);
        assert!(items(&shop).contains(&gone[0]));
    });
}

#[test]
fn variants_and_items_that_go_in_one_run_are_counted_apart() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        imported(&shop).await;
        unpublish(&shop, 2);
        let products = shop.ids(Kind::Product);
        let with_variants = products.iter().find(|id| {
            let record = shop
                .world
                .commercetools(|project| project.record(Kind::Product, id.parse().expect("an id")));
            let data = &record.expect("a product")["masterData"];
            let others = data["current"]["variants"].as_array().expect("variants");
            data["published"] == true && others.iter().any(|other| other["sku"].is_string())
        });
        shop.change_record(Kind::Product, with_variants.expect("one"), |product| {
            product["masterData"]["current"]["variants"] = json!([]);
        });
        let status = shop.complete("products", changes()).await;
        let kinds: Vec<&Value> = status["removals"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|removal| &removal["kind"])
            .collect();
        assert_eq!(kinds, ["variants", "items"], "{status}");
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn it_needs_no_graphql_and_without_the_scope_for_all_products_nothing_leaves() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        imported(&shop).await;
        unpublish(&shop, 2);
        shop.world
            .commercetools(|project| project.refuse_graphql(GraphqlRefusal::Always));
        shop.complete("products", changes()).await;
        shop.assert_ledger(&[Kind::Product]);

        shop.pass(std::time::Duration::from_secs(120)).await;
        unpublish(&shop, 2);
        let before = items(&shop);
        let fewer: Vec<&str> = SCOPES
            .into_iter()
            .filter(|scope| *scope != "view_products")
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
        other.complete("products", changes()).await;
        assert_eq!(items(&shop), before);
    });
}
