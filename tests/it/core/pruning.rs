//! Prune: what Klaviyo has of this project and commercetools no longer has is removed, and nothing else.

use std::collections::BTreeSet;

use native::{Call, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::GraphqlRefusal;
use sim::klaviyo::Kind as EntryKind;
use sim::seed::Kind;

use crate::support::CRON_TOKEN;
use crate::support::described::run;

/// The item of another project of commercetools, that of the plugin, and that of another source.
const OTHER_PROJECT: &str = "0b0b0b0b-0000-4000-8000-000000000001";
const UNMARKED: &str = "0b0b0b0b-0000-4000-8000-000000000002";
const OTHER_SOURCE: &str = "SHOPIFY-4711";

fn prune() -> Value {
    json!({"prune": true})
}

fn ids(shop: &Shop, kind: EntryKind) -> BTreeSet<String> {
    shop.world.klaviyo(|klaviyo| {
        let entries = klaviyo.ledger().catalog().entries(kind);
        entries.keys().cloned().collect()
    })
}

/// Entries that somebody else has brought.
fn put_others(shop: &Shop) {
    let item = |metadata: Value| json!({"title": "Theirs", "custom_metadata": metadata});
    shop.world.klaviyo(|klaviyo| {
        for (id, metadata) in [
            (
                OTHER_PROJECT,
                json!({"commercetools_project": "other-shop"}),
            ),
            (UNMARKED, json!({"title_json": "{}"})),
            // whatever it says
            (OTHER_SOURCE, json!({"commercetools_project": "sim-shop"})),
        ] {
            klaviyo.put_entry(EntryKind::Item, id, &item(metadata));
        }
        for id in [UNMARKED, OTHER_SOURCE] {
            let category = json!({"name": "Theirs"});
            klaviyo.put_entry(EntryKind::Category, id, &category);
        }
    });
}

/// What is not this project's is taken away, to compare the rest.
fn take_others(shop: &Shop, kind: EntryKind, others: &[&str]) {
    let of_others = ids(shop, kind);
    for id in others {
        assert!(of_others.contains(*id), "{id} is still there");
        shop.world.klaviyo(|klaviyo| klaviyo.remove_entry(kind, id));
    }
}

/// Deletes so many published products in commercetools, and unpublishes as many.
fn lose_products(shop: &Shop, count: usize) -> Vec<String> {
    let known: Vec<String> = ids(shop, EntryKind::Item).into_iter().collect();
    let known: Vec<String> = known
        .into_iter()
        .filter(|id| ![OTHER_PROJECT, UNMARKED, OTHER_SOURCE].contains(&id.as_str()))
        .take(2 * count)
        .collect();
    for (at, id) in known.iter().enumerate() {
        if at % 2 == 0 {
            shop.world
                .commercetools(|project| project.delete(Kind::Product, id.parse().expect("an id")));
        } else {
            shop.change_record(Kind::Product, id, |product| {
                product["masterData"]["published"] = false.into();
            });
        }
    }
    known
}

#[test]
fn only_what_carries_this_projects_key_and_is_gone_is_removed() {
    run(Setup::catalog(0, 130).scheduled(), async |shop| {
        shop.complete("products", "").await;
        put_others(&shop);
        let of = ids(&shop, EntryKind::Item).len() - 3;
        let gone = lose_products(&shop, 2);

        let dry = shop
            .complete("products", json!({"prune": true, "dryRun": true}))
            .await;
        let expected = json!([{
            "kind": "items", "count": 4, "of": of, "ids": gone,
            "unmarked": 1, "unmarkedIds": [UNMARKED],
        }]);
        assert_eq!(dry["removals"], expected, "{dry}");
        assert_eq!(
            ids(&shop, EntryKind::Item).len(),
            of + 3,
            "nothing is removed"
        );

        let status = shop.complete("products", prune()).await;
        assert_eq!(status["removals"], expected, "{status}");
        assert_eq!(status["counts"]["sent"], 4);
        assert_eq!(status["counts"]["notes"]["pruned"], 4);
        let advice = status["advice"].as_str().expect("advice");
        assert!(advice.contains("pruneUnmarked"), "{advice}");
        take_others(
            &shop,
            EntryKind::Item,
            &[OTHER_PROJECT, OTHER_SOURCE, UNMARKED],
        );
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn unmarked_entries_go_only_when_that_is_asked_for() {
    run(Setup::catalog(30, 60).scheduled(), async |shop| {
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        put_others(&shop);
        let lost = shop.ids(Kind::Category).pop().expect("a category");
        shop.world
            .commercetools(|project| project.delete(Kind::Category, lost.parse().expect("an id")));

        // a category can carry no key
        let status = shop.complete("categories", prune()).await;
        let removal = &status["removals"][0];
        assert_eq!(
            (&removal["count"], &removal["unmarked"]),
            (&json!(0), &json!(2))
        );
        assert!(ids(&shop, EntryKind::Category).contains(&lost), "{status}");

        let body = json!({"prune": true, "pruneUnmarked": true});
        for resource in ["categories", "products"] {
            let status = shop.complete(resource, &body).await;
            assert_eq!(status["removals"][0]["unmarked"], 0, "{status}");
        }
        assert!(!ids(&shop, EntryKind::Category).contains(&lost));
        for kind in [EntryKind::Category, EntryKind::Item] {
            assert!(!ids(&shop, kind).contains(UNMARKED), "{kind:?}");
        }
        take_others(&shop, EntryKind::Category, &[OTHER_SOURCE]);
        take_others(&shop, EntryKind::Item, &[OTHER_PROJECT, OTHER_SOURCE]);
        shop.assert_ledger(&[Kind::Category]);
    });
}

#[test]
fn a_large_prune_waits_for_the_number_to_be_confirmed() {
    run(Setup::catalog(0, 400).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let before = ids(&shop, EntryKind::Item);
        let gone = lose_products(&shop, 110).len();
        let failed = shop.carried("products", prune()).await;
        assert_eq!(
            failed["lastError"]["code"], "removal_unconfirmed",
            "{failed}"
        );
        let removal = json!({"kind": "items", "count": gone, "of": before.len()});
        assert_eq!(failed["removal"], removal);
        let listed = failed["removals"][0]["ids"].as_array().map(Vec::len);
        assert_eq!(listed, Some(200), "as many as a document holds");
        assert_eq!(ids(&shop, EntryKind::Item), before);

        let body = json!({"resume": true, "confirmRemoval": gone});
        let done = shop.carried("products", body).await;
        assert_eq!(done["status"], "completed", "{done}");
        assert_eq!(done["removal"], removal);
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn changes_and_a_prune_go_in_one_plan_and_leave_what_the_shop_is() {
    run(Setup::everything().scheduled(), async |shop| {
        shop.posted("/sync", "", 202).await;
        shop.plan_over(true).await;
        shop.pass(std::time::Duration::from_secs(120)).await;
        lose_products(&shop, 1);
        let body = json!({"since": "lastRun", "prune": true});
        shop.posted("/sync", &body, 202).await;
        let status = shop.plan_over(true).await;
        assert_eq!(status["plan"]["status"], "completed", "{status}");
        assert_eq!(
            status["products"]["counts"]["notes"]["pruned"], 2,
            "{status}"
        );
        // events keep the categories of a product that is gone since
        shop.assert_ledger(&[Kind::Customer, Kind::Category, Kind::Product]);
        // nothing but the catalog can be pruned
        let body = json!({"prune": true, "resources": ["orders", "products"]});
        shop.posted("/sync", &body, 400).await;
        let answer = shop.posted("/sync", prune(), 202).await;
        let steps = answer["plan"]["steps"].as_array().map(Vec::len);
        assert_eq!(steps, Some(2), "{answer}");
        shop.plan_over(true).await;
    });
}

#[test]
fn a_prune_brings_nothing_up_to_date_and_forgets_nothing() {
    run(Setup::catalog(0, 60).scheduled(), async |shop| {
        let first = shop.complete("products", "").await;
        let status = shop.complete("products", prune()).await;
        assert_eq!(status["upToDateSince"], first["upToDateSince"], "{status}");
        assert_eq!(status["counts"]["read"], 0, "{status}");
    });
}

/// The calls of a prune of a clean catalog, to either API.
async fn reads_of_prune(shop: &Shop, resource: &str) -> [u64; 2] {
    let calls = || {
        let servers = [
            shop.world.klaviyo_server(),
            shop.world.commercetools_server(),
        ];
        servers.map(|server| server.calls().values().sum::<u64>())
    };
    let ([klaviyo, commercetools], status) = (calls(), shop.complete(resource, prune()).await);
    assert_eq!(status["removals"], json!([]), "{status}");
    let [klaviyo_then, commercetools_then] = calls();
    [klaviyo_then - klaviyo, commercetools_then - commercetools]
}

#[test]
fn a_clean_catalog_costs_two_reads_for_a_hundred_items() {
    run(Setup::catalog(150, 1_000).scheduled(), async |shop| {
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        let pages = ids(&shop, EntryKind::Item).len().div_ceil(100) as u64;
        let [klaviyo, commercetools] = reads_of_prune(&shop, "products").await;
        // beside the listing: the one that shows that it can be read, and the account
        assert!(klaviyo <= pages + 2, "{klaviyo} for {pages}");
        // beside the look-ups: the documents, and what becomes of them
        assert!(commercetools <= pages + 15, "{commercetools} for {pages}");
        let [klaviyo, commercetools] = reads_of_prune(&shop, "categories").await;
        assert!(
            klaviyo <= 4 && commercetools <= 16,
            "{klaviyo} {commercetools}"
        );
    });
}

#[test]
fn without_graphql_and_with_the_scope_for_published_products_only_it_finds_the_same() {
    run(Setup::catalog(0, 130).scheduled(), async |shop| {
        shop.complete("products", "").await;
        shop.world
            .commercetools(|project| project.refuse_graphql(GraphqlRefusal::Always));
        lose_products(&shop, 2);
        shop.complete("products", prune()).await;
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn schedulers_that_send_only_a_path_can_prune_the_catalog_and_nothing_else() {
    let setup = Setup::catalog(0, 60).variable("cron_token", CRON_TOKEN);
    run(setup.scheduled(), async |shop| {
        shop.complete("products", "").await;
        lose_products(&shop, 1);
        let call = |resource: &str| {
            Call::get(format!("/sync/cron/{CRON_TOKEN}/prune/{resource}")).without_token()
        };
        for resource in ["orders", "customers"] {
            assert_eq!(shop.send(call(resource)).await.status, 400, "{resource}");
        }
        let answer = shop.send(call("products")).await;
        assert_eq!((answer.status, answer.body), (202, json!({"ok": true})));
        shop.ticked("products").await;
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn what_does_not_go_together_with_a_prune_is_rejected() {
    run(Setup::catalog(0, 5), async |shop| {
        for (resource, body) in [
            ("orders", prune()),
            ("customers", prune()),
            ("products", json!({"pruneUnmarked": true})),
            ("products", json!({"prune": true, "retryFailed": true})),
            ("products", json!({"prune": true, "ids": [UNMARKED]})),
            ("products", json!({"prune": true, "resume": true})),
            (
                "products",
                json!({"prune": true, "deleteAll": true, "confirmDeletion": "products"}),
            ),
        ] {
            shop.posted(&format!("/sync/{resource}"), &body, 400).await;
        }
    });
}
