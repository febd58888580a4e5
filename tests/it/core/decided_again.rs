//! Entries that Klaviyo does not take as they were sent, for they came, went or moved: looked up and decided again.

use std::time::Duration;

use futures_util::future::join;
use http::Method;
use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::{EntryErrors, Existing, JobTimes, Kind as EntryKind};
use sim::seed::Kind;

use crate::support::described::run;

/// Somebody else removes entries, all of which are there.
fn remove(shop: &Shop, kind: EntryKind, ids: &[String]) {
    shop.world.klaviyo(|klaviyo| {
        for id in ids {
            assert!(klaviyo.remove_entry(kind, id), "{id}");
        }
    });
}

/// Acts as soon as this call has been made once more.
fn after(shop: &Shop, call: &str, act: impl FnOnce()) -> impl Future<Output = ()> {
    let before = shop.world.klaviyo_server().calls_of(call);
    async move {
        while shop.world.klaviyo_server().calls_of(call) == before {
            shop.pass(Duration::from_millis(10)).await;
        }
        act();
    }
}

fn items(shop: &Shop) -> usize {
    shop.world.klaviyo(|klaviyo| {
        let catalog = klaviyo.ledger().catalog();
        catalog.entries(EntryKind::Item).len()
    })
}

#[test]
fn what_is_there_already_is_updated_however_a_create_says_so() {
    for existing in Existing::ALL {
        for entry_errors in EntryErrors::ALL {
            let mut setup = Setup::catalog(30, 20).scheduled();
            setup.klaviyo.existing = existing;
            setup.klaviyo.entry_errors = entry_errors;
            setup.klaviyo.point_at_records = entry_errors != EntryErrors::Nameless;
            run(setup, async |shop| {
                // taken, but the answer is lost: what is handed in again meets the entries
                for kind in ["category", "item", "variant"] {
                    let lost = Rule::always(Fault::LoseAnswer)
                        .path(format!("catalog-{kind}-bulk-create-jobs"))
                        .method(Method::POST);
                    shop.world.klaviyo_faults().add(lost.times(1));
                }
                let categories = shop.complete("categories", "").await;
                let products = shop.complete("products", "").await;
                let failed = [
                    &categories["counts"]["failed"],
                    &products["counts"]["failed"],
                    &products["variants"]["failed"],
                ];
                let what = format!("{existing:?} {entry_errors:?}: {products}");
                assert_eq!(failed, [&json!(0); 3], "{what}");
                assert_eq!(categories["counts"]["sent"], 30, "{what}");
                assert_eq!(products["counts"]["sent"], products["total"], "{what}");
                shop.assert_ledger(&[Kind::Category, Kind::Product]);
            });
        }
    }
}

#[test]
fn entries_of_a_job_that_another_window_submitted_are_decided_again() {
    for entry_errors in EntryErrors::ALL {
        // jobs take longer than windows: whoever reads their results knows the entries by their digests only
        let mut setup = Setup::catalog(150, 150).variable("window_seconds", 5);
        setup.klaviyo.entry_errors = entry_errors;
        setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(12));
        run(setup, async |shop| {
            shop.complete("categories", "").await;
            shop.complete("products", "").await;
            let ids = shop.published_products();
            // some of what is to be updated goes before the jobs take effect
            let update = "POST /api/catalog-item-bulk-update-jobs";
            let somebody = after(&shop, update, || {
                let gone: Vec<String> = ids.iter().step_by(7).cloned().collect();
                remove(&shop, EntryKind::Item, &gone);
            });
            let (status, ()) = join(shop.complete("products", ""), somebody).await;
            let what = format!("{entry_errors:?}: {status}");
            assert_eq!(status["counts"]["failed"], 0, "{what}");
            assert_eq!(status["variants"]["failed"], 0, "{what}");
            assert_eq!(status["counts"]["sent"], status["total"], "{what}");
            shop.assert_ledger(&[Kind::Category, Kind::Product]);
        });
    }
}

#[test]
fn the_deletion_of_what_is_gone_is_done() {
    run(Setup::catalog(0, 12).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let ids = shop.published_products();
        // a variant that the product no longer has goes while it is about to be deleted
        let product = ids.iter().find(|id| shop.skus_of(id).len() > 1);
        let product = product.expect("one with two variants").clone();
        let gone = shop.skus_of(&product);
        shop.change_published(&product, |data| {
            data["variants"] = json!([]);
        });
        let kept: Vec<String> = shop.world.commercetools(|project| {
            let product = project.record(Kind::Product, product.parse().expect("an id"));
            let sku = &product.expect("a product")["masterData"]["current"]["masterVariant"]["sku"];
            sku.as_str().map(str::to_owned).into_iter().collect()
        });
        let gone: Vec<String> = gone.into_iter().filter(|sku| !kept.contains(sku)).collect();
        assert!(!gone.is_empty());
        let deletion = "POST /api/catalog-variant-bulk-delete-jobs";
        let somebody = after(&shop, deletion, || remove(&shop, EntryKind::Variant, &gone));
        let (status, ()) = join(shop.complete("products", ""), somebody).await;
        assert_eq!(status["variants"]["failed"], 0, "{status}");
        assert_eq!(shop.skus_of(&product), kept);
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn items_that_go_while_all_are_deleted_are_no_failures() {
    for seen_late in [false, true] {
        let mut setup = Setup::catalog(0, 30).scheduled();
        setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(4));
        run(setup, async |shop| {
            shop.complete("products", "").await;
            let ids = shop.published_products();
            let body = json!({"deleteAll": true, "confirmDeletion": "products"});
            let deletion = "POST /api/catalog-item-bulk-delete-jobs";
            // listed and handed in, and then they are gone; or gone before
            if !seen_late {
                remove(&shop, EntryKind::Item, &ids[..3]);
            }
            let somebody = after(&shop, deletion, || {
                if seen_late {
                    remove(&shop, EntryKind::Item, &ids[..3]);
                }
            });
            let (status, ()) = join(shop.complete("products", body), somebody).await;
            assert_eq!(status["counts"]["failed"], 0, "{status}");
            assert_eq!(items(&shop), 0);
        });
    }
}

#[test]
fn a_sku_that_klaviyo_has_under_another_item_is_moved() {
    run(Setup::catalog(0, 15).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let ids = shop.published_products();
        // the product is made anew under another id, and another one's variant moves to it
        let old = ids.iter().find(|id| shop.skus_of(id).len() > 1);
        let old = old.expect("one with two variants").clone();
        let giver = ids
            .iter()
            .find(|id| **id != old && shop.skus_of(id).len() > 1);
        let giver = giver.expect("another one").clone();
        let mut moved = shop.skus_of(&old);
        let mut given = Value::Null;
        shop.change_published(&giver, |data| {
            let variants = data["variants"].as_array_mut().expect("variants");
            given = variants.pop().expect("a variant");
        });
        let new = "ffff0000-0000-4000-8000-000000000001";
        shop.world.commercetools(|project| {
            let id = old.parse().expect("an id");
            let mut product = project.record(Kind::Product, id).expect("a product");
            project.delete(Kind::Product, id);
            product["id"] = new.into();
            let variants = product["masterData"]["current"]["variants"].as_array_mut();
            variants.expect("variants").push(given.clone());
            project.put(Kind::Product, &product);
        });
        moved.extend(given["sku"].as_str().map(str::to_owned));
        moved.sort_unstable();
        let status = shop.complete("products", "").await;
        assert_eq!(status["variants"]["failed"], 0, "{status}");
        assert_eq!(
            status["variants"]["notes"]["variants-moved"],
            moved.len(),
            "{status}"
        );
        assert_eq!(shop.skus_of(new), moved, "{status}");
        // whoever had it before neither deletes it nor has it still
        assert!(shop.skus_of(&old).is_empty());
        assert!(!shop.skus_of(&giver).iter().any(|sku| moved.contains(sku)));
        let again = shop.complete("products", "").await;
        assert_eq!(again["variants"]["notes"], Value::Null, "{again}");
        assert_eq!(again["variants"]["sent"], status["variants"]["sent"]);
        assert_eq!(shop.skus_of(new), moved, "{status}");
    });
}

#[test]
fn of_two_products_with_one_sku_the_first_keeps_it() {
    run(Setup::catalog(0, 15).scheduled(), async |shop| {
        let ids = shop.published_products();
        let (first, second) = (&ids[2], &ids[9]);
        for id in [first, second] {
            shop.change_published(id, |data| {
                data["masterVariant"]["sku"] = "TWICE".into();
            });
        }
        for _ in 0..2 {
            let status = shop.complete("products", "").await;
            assert_eq!(status["variants"]["failed"], 0, "{status}");
            assert!(shop.skus_of(first).contains(&"TWICE".to_owned()));
            assert!(!shop.skus_of(second).contains(&"TWICE".to_owned()));
            let skipped = &status["variants"]["skipped"]["sku-of-another-product"];
            assert_eq!(skipped, 1, "{status}");
            let list = status["setAside"].as_array().expect("a list");
            let record = list.iter().find(|record| record["id"] == **second);
            let reason = record.expect("it is named")["reason"].as_str();
            let reason = reason.unwrap_or_default();
            assert!(reason.starts_with("TWICE: "), "{reason}");
            assert!(reason.contains(first.as_str()), "{reason}");
        }
    });
}

#[test]
fn a_job_that_stays_under_way_for_minutes_is_waited_for_and_nothing_is_sent_twice() {
    let mut setup = Setup::catalog(0, 2).scheduled();
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(300));
    run(setup, async |shop| {
        let status = shop.complete("products", "").await;
        assert_eq!(status["counts"]["failed"], 0, "{status}");
        assert_eq!(status["variants"]["failed"], 0, "{status}");
        let server = shop.world.klaviyo_server();
        for (kind, jobs) in [("item", 1), ("variant", 1)] {
            let created = server.calls_of(&format!("POST /api/catalog-{kind}-bulk-create-jobs"));
            let updated = server.calls_of(&format!("POST /api/catalog-{kind}-bulk-update-jobs"));
            assert_eq!((created, updated), (jobs, 0), "{kind}");
        }
        shop.assert_ledger(&[Kind::Product]);
    });
}
