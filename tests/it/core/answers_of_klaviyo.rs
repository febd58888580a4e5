//! Answers of Klaviyo in forms that were not recorded, and answers that never came.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{join, select};
use http::Method;
use native::shop::{run, run_with};
use native::{Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::{Existing, JobTimes, Kind as EntryKind, Pointers};
use sim::seed::Kind;

use crate::support::moves::{give_a_variant, jobs_take, until_called};
use crate::support::rewrite::Rewrite;

const DELETE_VARIANTS: &str = "POST /api/catalog-variant-bulk-delete-jobs";

/// Moves a variant from a product to another one, whose id is returned with the sku.
fn move_a_variant(shop: &Shop) -> (String, String) {
    let ids = shop.published_products();
    let variants = |id: &String| shop.skus_of(id).len();
    let giver = ids.iter().find(|id| variants(id) > 1).expect("a product");
    let others = ids.iter().filter(|id| *id != giver);
    let taker = others.into_iter().find(|id| variants(id) > 0);
    let taker = taker.expect("another one").clone();
    let sku = give_a_variant(shop, giver, &taker).expect("a variant with a sku");
    (taker, sku)
}

/// Whether the product has the variant when all jobs are long over.
async fn has_in_the_end(shop: &Shop, product: &str, sku: &str) -> bool {
    shop.pass(Duration::from_secs(400)).await;
    let now = shop.world.clock().now();
    shop.world.klaviyo(|klaviyo| klaviyo.settle(now));
    shop.skus_of(product).iter().any(|there| there == sku)
}

#[test]
fn a_moved_variant_stays_whatever_a_killed_window_has_left() {
    run(Setup::catalog(0, 15).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let (taker, sku) = move_a_variant(&shop);
        jobs_take(&shop, 250);
        shop.start("products", "").await;
        {
            // killed when its deletion has been submitted, before that is saved
            let window = std::pin::pin!(shop.go_on("products"));
            let submitted = std::pin::pin!(until_called(&shop, DELETE_VARIANTS));
            select(window, submitted).await;
        }
        // what the next window submits overtakes it
        jobs_take(&shop, 8);
        let status = shop.ticked("products").await.pop().expect("a status");
        shop.assert_completed(&status);
        assert!(has_in_the_end(&shop, &taker, &sku).await, "{status}");
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn a_moved_variant_stays_when_the_answer_to_its_deletion_was_lost() {
    run(Setup::catalog(0, 15).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let (taker, sku) = move_a_variant(&shop);
        let lost = Rule::always(Fault::LoseAnswer).method(Method::POST);
        let lost = lost.path("catalog-variant-bulk-delete-jobs").times(1);
        shop.world.klaviyo_faults().add(lost);
        jobs_take(&shop, 240);
        let overtaken = async {
            until_called(&shop, DELETE_VARIANTS).await;
            jobs_take(&shop, 8);
        };
        let (status, ()) = join(shop.complete("products", ""), overtaken).await;
        assert!(has_in_the_end(&shop, &taker, &sku).await, "{status}");
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn creates_whose_answer_comes_too_late_are_no_sign_that_everything_is_rejected() {
    for existing in [Existing::BadRequest, Existing::Conflict] {
        let mut setup = Setup::catalog(100, 0).scheduled();
        setup.klaviyo.existing = existing;
        setup.klaviyo.pointers = Pointers::Nowhere;
        setup.klaviyo.job_times = JobTimes::USUAL;
        run(setup, async |shop| {
            // taken, and longer under way than anybody waits
            let late = Rule::always(Fault::Hold(Duration::from_secs(60))).method(Method::POST);
            let late = late.path("catalog-category-bulk-create-jobs").times(1);
            shop.world.klaviyo_faults().add(late);
            let status = shop.carried("categories", "").await;
            shop.assert_completed(&status);
            shop.assert_ledger(&[Kind::Category]);
        });
    }
}

#[test]
fn items_that_are_listed_without_their_variants_keep_them() {
    let lacking: [fn(&mut Value); 2] = [
        |item| {
            _ = item
                .as_object_mut()
                .expect("an item")
                .remove("relationships");
        },
        // as an index that is behind would have it
        |item| item["relationships"]["variants"]["data"] = json!([]),
    ];
    for change in lacking {
        let rewrite = Rewrite {
            call: "GET /api/catalog-items",
            change: Box::new(move |body| {
                let items = body["data"].as_array_mut().into_iter().flatten();
                let items = items.filter(|item| item["type"] == "catalog-item");
                items.for_each(change);
            }),
        };
        let setup = Setup::catalog(0, 60).scheduled();
        run_with(setup, Rc::new(rewrite), async |shop| {
            let first = shop.complete("products", "").await;
            let status = shop.complete("products", "").await;
            let deletions = shop.world.klaviyo_server().calls_of(DELETE_VARIANTS);
            assert_eq!(deletions, 0, "{}", status["variants"]);
            assert_eq!(status["variants"], first["variants"], "{status}");
            shop.assert_ledger(&[Kind::Product]);
        });
    }
}

#[test]
fn errors_of_a_job_in_an_unknown_form_are_looked_up() {
    let odd: [fn(&mut Value); 3] = [
        |error| error["code"] = 400.into(),
        |error| error["source"] = "body".into(),
        |error| *error = json!("An item does not exist"),
    ];
    for change in odd {
        let rewrite = Rewrite {
            call: "GET /api/catalog-item-bulk-",
            change: Box::new(move |body| {
                let of_job = |job: &mut Value| {
                    let errors = job.pointer_mut("/attributes/errors");
                    let errors = errors.and_then(Value::as_array_mut);
                    errors.into_iter().flatten().for_each(change);
                };
                match &mut body["data"] {
                    Value::Array(jobs) => jobs.iter_mut().for_each(of_job),
                    job => of_job(job),
                }
            }),
        };
        run_with(
            Setup::catalog(0, 30).scheduled(),
            Rc::new(rewrite),
            async |shop| {
                shop.complete("products", "").await;
                let ids = shop.published_products();
                let removed = async {
                    until_called(&shop, "POST /api/catalog-item-bulk-update-jobs").await;
                    shop.world.klaviyo(|klaviyo| {
                        for id in ids.iter().step_by(7) {
                            klaviyo.remove_entry(EntryKind::Item, id);
                        }
                    });
                };
                let (status, ()) = join(shop.carried("products", ""), removed).await;
                shop.assert_completed(&status);
                shop.assert_ledger(&[Kind::Product]);
            },
        );
    }
}
