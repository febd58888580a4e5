//! Jobs whose result never becomes known, and variants that are moved by jobs.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join;
use http::Method;
use native::{Operator, Setup, Shop};
use serde_json::Value;
use sim::faults::{Fault, Rule};
use sim::klaviyo::Kind as EntryKind;
use sim::seed::{Kind, Shop as Kept};

use crate::support::described::run;
use crate::support::moves::{give_a_variant, jobs_take, until_called};

/// Moves a variant from every other product to the product after it, where it has one to give. Returns the skus with the
/// ids of who has them now.
fn move_variants(shop: &Shop) -> Vec<(String, String)> {
    let ids = shop.published_products();
    let pairs = ids.chunks_exact(2).map(|pair| (&pair[0], &pair[1]));
    let moved = pairs.filter_map(|(giver, taker)| {
        let sku = give_a_variant(shop, giver, taker)?;
        Some((sku, taker.clone()))
    });
    let moved: Vec<(String, String)> = moved.collect();
    assert!(!moved.is_empty(), "no product has two variants");
    moved
}

/// The rule by which Klaviyo answers each question for a single job of these with this status.
fn unanswered(jobs: &str, status: u16) -> Rule {
    let refused = Rule::always(Fault::refuse(status)).method(Method::GET);
    refused.path(format!("{jobs}/"))
}

#[test]
fn variants_of_a_job_that_klaviyo_has_forgotten_are_created_where_they_belong() {
    run(Setup::catalog(0, 15).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let moved = move_variants(&shop);
        let forgotten = unanswered("catalog-variant-bulk-delete-jobs", 404);
        shop.world.klaviyo_faults().add(forgotten);
        let status = shop.complete("products", "").await;
        assert_eq!(status["variants"]["failed"], 0, "{status}");
        for (sku, taker) in &moved {
            assert!(shop.skus_of(taker).contains(sku), "{sku}: {status}");
        }
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn a_variant_that_cannot_be_created_stays_where_it_is() {
    let setup = Setup::catalog(0, 40).kept_as(Kept::Standalone);
    run(setup.scheduled().variable("ct_scope", ""), async |shop| {
        let skus = || {
            shop.world.klaviyo(|klaviyo| {
                let entries = klaviyo.ledger().catalog().entries(EntryKind::Variant);
                entries.keys().cloned().collect::<BTreeSet<String>>()
            })
        };
        shop.complete("products", "").await;
        let before = skus();
        let moved = move_variants(&shop);
        assert!(moved.iter().any(|(sku, _)| before.contains(sku)));
        // Klaviyo creates none without a price, and prices cannot be read now
        shop.world.commercetools(|project| {
            project.set_client_scopes(&["view_products", "manage_key_value_documents"]);
            project.revoke_tokens();
        });
        let status = shop.complete("products", "").await;
        let variants = &status["variants"];
        assert_eq!(variants["notes"]["variants-moved"], Value::Null, "{status}");
        let skipped = variants["skipped"]["no-price"].as_u64();
        assert!(skipped >= Some(moved.len() as u64), "{status}");
        assert_eq!(skus(), before, "{status}");
    });
}

#[test]
fn variants_are_counted_as_moved_once_however_often_their_jobs_are_put_off() {
    let mut setup = Setup::catalog(0, 120)
        .variable("window_seconds", 5)
        .latency_ms(300)
        .scheduled();
    setup.klaviyo.jobs_in_progress = 1;
    run(setup, async |shop| {
        let first = shop.complete("products", "").await;
        assert_eq!(first["variants"]["failed"], 0, "{first}");
        shop.assert_ledger(&[Kind::Product]);
        let moved = move_variants(&shop);
        jobs_take(&shop, 20);
        let status = shop.complete("products", "").await;
        let notes = &status["variants"]["notes"];
        assert_eq!(notes["variants-moved"], moved.len(), "{status}");
        let skus: BTreeSet<&String> = moved.iter().map(|(sku, _)| sku).collect();
        assert_eq!(skus.len(), moved.len());
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn one_slow_job_does_not_hold_up_the_variants_that_others_have_moved() {
    let setup = Setup::catalog(0, 400).scheduled().latency_ms(300);
    run(setup, async |shop| {
        shop.complete("products", "").await;
        let moved = move_variants(&shop);
        // the first job of moved variants takes minutes, the others do not
        let delete = "POST /api/catalog-variant-bulk-delete-jobs";
        jobs_take(&shop, 240);
        let server = shop.world.klaviyo_server();
        let before = server.calls_of(delete);
        let watch = async {
            until_called(&shop, delete).await;
            jobs_take(&shop, 8);
            shop.pass(Duration::from_secs(120)).await;
            let there = moved
                .iter()
                .filter(|(sku, taker)| shop.skus_of(taker).contains(sku));
            there.count()
        };
        let (status, early) = join(shop.complete("products", ""), watch).await;
        assert!(server.calls_of(delete) > before + 1, "only one job");
        assert!(
            early > 0,
            "none was created while one job was slow: {status}"
        );
        shop.assert_ledger(&[Kind::Product]);
    });
}

/// However long it is: an outage of hours ends with a poll that fails, too.
#[test]
fn a_job_that_cannot_be_read_for_hours_is_read_when_it_can() {
    run(Setup::customers(20).scheduled(), async |shop| {
        let failing = unanswered("profile-bulk-import-jobs", 500);
        shop.world.klaviyo_faults().add(failing);
        let watch = async {
            shop.pass(Duration::from_secs(2 * 3_600)).await;
            shop.world.klaviyo_faults().clear();
        };
        let begun = shop.world.clock().now();
        let (status, ()) = join(shop.complete("customers", ""), watch).await;
        let took = shop.world.clock().now().duration_since(begun);
        assert!(took.as_secs() >= 2 * 3_600, "{took}");
        let notes = &status["counts"]["notes"];
        assert_eq!(notes["jobs-without-result"], Value::Null, "{status}");
        shop.assert_ledger(&[Kind::Customer]);
    });
}
