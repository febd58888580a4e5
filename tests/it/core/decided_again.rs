//! Entries that Klaviyo does not take as they were sent, for they came, went or moved: looked up and decided again.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join3};
use http::{Method, Request, Response};
use native::environment::{Answered, Destination};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::klaviyo::{
    Action, EntryErrors, Existing, JobKind, JobTimes, Kind as EntryKind, Operation, Pointers,
};
use sim::peer::Peer;
use sim::seed::Kind;
use sim::world::World;

use crate::support::described::run;
use crate::support::moves::{jobs_take, until_called};

/// Somebody else removes entries, all of which are there.
fn remove(shop: &Shop, kind: EntryKind, ids: &[String]) {
    shop.world.klaviyo(|klaviyo| {
        for id in ids {
            assert!(klaviyo.remove_entry(kind, id), "{id}");
        }
    });
}

/// Acts as soon as this call has been made once more.
fn after(shop: &Shop, call: impl AsRef<str>, act: impl FnOnce()) -> impl Future<Output = ()> {
    let called = until_called(shop, call);
    async move {
        called.await;
        act();
    }
}

/// Somebody else removes entries of a kind as soon as updates of some have been submitted.
fn gone_before_its_update(
    shop: &Shop,
    kind: EntryKind,
    gone: impl FnOnce() -> Vec<String>,
) -> impl Future<Output = ()> {
    let update = JobKind::Catalog(kind, Action::Update).collection();
    after(shop, format!("POST /api/{update}"), move || {
        remove(shop, kind, &gone());
    })
}

fn items(shop: &Shop) -> usize {
    shop.world.klaviyo(|klaviyo| {
        let catalog = klaviyo.ledger().catalog();
        catalog.entries(EntryKind::Item).len()
    })
}

/// The kinds of entries that are created.
const KINDS: [EntryKind; 3] = [EntryKind::Category, EntryKind::Item, EntryKind::Variant];

fn create(kind: EntryKind) -> JobKind {
    JobKind::Catalog(kind, Action::Create)
}

/// Somebody who creates entries of the first request for each kind, just before it arrives.
struct Earlier {
    world: RefCell<Option<Rc<World>>>,
    /// All entries of it, or every second one.
    step: usize,
    /// The kinds of which they have created entries.
    created: RefCell<Vec<EntryKind>>,
}

impl Interceptor for Earlier {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let path = request.uri().path();
        let is_first = |kind: &EntryKind| {
            path == format!("/api/{}", create(*kind).collection())
                && !self.created.borrow().contains(kind)
        };
        let is_post = to == Destination::Klaviyo && request.method() == Method::POST;
        let kind = KINDS.into_iter().find(is_first).filter(|_| is_post)?;
        let mut body: Value = serde_json::from_slice(request.body()).expect("a body");
        let entries = &mut body["data"]["attributes"][kind.entries()]["data"];
        let entries = entries.as_array_mut().expect("entries");
        *entries = entries.drain(..).step_by(self.step).collect();
        let mut earlier = request.clone();
        *earlier.body_mut() = body.to_string().into();
        let world = self.world.borrow();
        let world = world.as_ref().expect("a world");
        let now = world.clock().now();
        world.klaviyo(|klaviyo| {
            let at_once = JobTimes::taking(Duration::ZERO);
            let times = std::mem::replace(&mut klaviyo.options_mut().job_times, at_once);
            let answer = klaviyo.answer(now, &earlier);
            assert_eq!(answer.status(), 202, "{:?}", answer.body());
            klaviyo.settle(now);
            klaviyo.options_mut().job_times = times;
            assert!(!klaviyo.ledger().catalog().entries(kind).is_empty());
        });
        self.created.borrow_mut().push(kind);
        None
    }
}

/// Imports so many categories and products of which some entries are created by somebody else meanwhile, all of the first
/// request or every second one, where a create with such entries is answered like this.
fn import_what_is_there_already(
    (records, step): (u32, usize),
    existing: Existing,
    entry_errors: EntryErrors,
    pointers: Pointers,
) {
    let mut setup = Setup::catalog(records, records).scheduled();
    setup.klaviyo.existing = existing;
    setup.klaviyo.entry_errors = entry_errors;
    setup.klaviyo.pointers = pointers;
    let earlier = Rc::new(Earlier {
        world: RefCell::default(),
        step,
        created: RefCell::default(),
    });
    run_with(setup, earlier.clone(), async |shop| {
        *earlier.world.borrow_mut() = Some(shop.world.clone());
        let categories = shop.complete("categories", "").await;
        let products = shop.complete("products", "").await;
        let failed = [
            &categories["counts"]["failed"],
            &products["counts"]["failed"],
            &products["variants"]["failed"],
        ];
        let what = format!("{existing:?} {entry_errors:?} {pointers:?}: {products}");
        assert_eq!(failed, [&json!(0); 3], "{what}");
        assert_eq!(categories["counts"]["sent"], records, "{what}");
        assert_eq!(products["counts"]["sent"], products["total"], "{what}");
        shop.assert_ledger(&[Kind::Category, Kind::Product]);
        for kind in KINDS {
            assert!(earlier.created.borrow().contains(&kind), "{kind:?}: {what}");
            let operation = Operation::StartJob(create(kind));
            let (refused, failures) = shop.world.klaviyo(|klaviyo| {
                let traffic = klaviyo.ledger().traffic(operation);
                (traffic.refused > 0, klaviyo.failures(create(kind)) > 0)
            });
            let is_request = matches!(existing, Existing::BadRequest | Existing::Conflict);
            let is_job = existing == Existing::FailsInJob;
            assert_eq!(
                (refused, failures),
                (is_request, is_job),
                "{kind:?}: {what}"
            );
        }
    });
}

#[test]
fn what_is_there_already_is_updated_whatever_the_refusal_of_a_create_looks_like() {
    for existing in [Existing::BadRequest, Existing::Conflict] {
        for pointers in Pointers::ALL {
            for records_and_step in [(30, 2), (60, 1)] {
                let entry_errors = EntryErrors::default();
                import_what_is_there_already(records_and_step, existing, entry_errors, pointers);
            }
        }
    }
}

/// Klaviyo's listing, which does not have these categories yet when it is asked for them for the first time.
#[derive(Default)]
struct Behind {
    unlisted: RefCell<Vec<String>>,
}

impl Interceptor for Behind {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_listing = to == Destination::Klaviyo
            && request.method() == Method::GET
            && request.uri().path() == "/api/catalog-categories";
        let query = request.uri().query().filter(|_| is_listing)?;
        let mut unlisted = self.unlisted.borrow_mut();
        let before = unlisted.len();
        unlisted.retain(|id| !query.contains(id.as_str()));
        let nothing = Response::new(Bytes::from_static(br#"{"data":[]}"#));
        (unlisted.len() < before).then_some(Ok(nothing))
    }
}

#[test]
fn what_klaviyo_lists_too_late_is_updated() {
    for (existing, categories) in [(Existing::BadRequest, 60), (Existing::Conflict, 300)] {
        let mut setup = Setup::catalog(categories, 0).scheduled();
        setup.klaviyo.existing = existing;
        setup.klaviyo.pointers = Pointers::Nowhere;
        let behind = Rc::new(Behind::default());
        run_with(setup, behind.clone(), async |shop| {
            shop.complete("categories", "").await;
            *behind.unlisted.borrow_mut() = shop.ids(Kind::Category).into_iter().collect();
            // one that has sent nothing yet
            let shop = shop.another(&[]);
            let status = shop.complete("categories", "").await;
            assert_eq!(status["counts"]["failed"], 0, "{existing:?}: {status}");
            assert_eq!(status["counts"]["sent"], categories, "{existing:?}");
            assert!(behind.unlisted.borrow().is_empty());
            let operation = Operation::StartJob(create(EntryKind::Category));
            let refused = shop
                .world
                .klaviyo(|klaviyo| klaviyo.ledger().traffic(operation).refused);
            // not one for each entry
            assert!((1..=6).contains(&refused), "{existing:?}: {refused}");
        });
    }
}

#[test]
fn what_is_there_already_is_updated_however_a_job_that_creates_says_so() {
    let pointers = Pointers::default();
    for entry_errors in EntryErrors::ALL {
        import_what_is_there_already((30, 2), Existing::FailsInJob, entry_errors, pointers);
    }
    import_what_is_there_already((30, 2), Existing::Ignored, EntryErrors::default(), pointers);
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
            let first = shop.complete("products", "").await;
            let ids = shop.published_products();
            // some of what is to be updated goes before the jobs take effect
            let category = gone_before_its_update(&shop, EntryKind::Category, || {
                let ids = shop
                    .world
                    .commercetools(|project| project.ids(Kind::Category));
                ids.iter().step_by(7).map(ToString::to_string).collect()
            });
            let (categories, ()) = join(shop.complete("categories", ""), category).await;
            assert_eq!(
                categories["counts"]["failed"], 0,
                "{entry_errors:?}: {categories}"
            );
            let item = gone_before_its_update(&shop, EntryKind::Item, || {
                ids.iter().step_by(7).cloned().collect()
            });
            let variant = gone_before_its_update(&shop, EntryKind::Variant, || {
                let others = ids.iter().skip(3).step_by(7);
                others.flat_map(|id| shop.skus_of(id)).collect()
            });
            let (status, (), ()) = join3(shop.complete("products", ""), item, variant).await;
            let what = format!("{entry_errors:?}: {status}");
            assert_eq!(status["counts"]["failed"], 0, "{what}");
            assert_eq!(status["variants"]["failed"], 0, "{what}");
            assert_eq!(status["counts"]["sent"], status["total"], "{what}");
            for count in ["read", "sent", "skipped"] {
                assert_eq!(
                    status["variants"][count], first["variants"][count],
                    "{what}"
                );
            }
            shop.assert_ledger(&[Kind::Category, Kind::Product]);
            for kind in KINDS {
                let update = JobKind::Catalog(kind, Action::Update);
                let failures = shop.world.klaviyo(|klaviyo| klaviyo.failures(update));
                assert!(failures > 0, "{kind:?}: none has failed: {what}");
            }
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

/// Klaviyo cancels every job that is under way.
fn cancel_all(shop: &Shop) {
    let now = shop.world.clock().now();
    shop.world.klaviyo(|klaviyo| {
        let unfinished = klaviyo.unfinished_jobs(now).len();
        assert_eq!(klaviyo.cancel_unfinished_jobs(now), unfinished);
    });
}

/// Gives the first and the last product one sku; returns their ids, and how many variants there are.
fn share_a_sku(shop: &Shop) -> (String, String, usize) {
    let ids = shop.published_products();
    let (first, last) = (&ids[0], &ids[ids.len() - 1]);
    let mut variants = 0;
    for id in &ids {
        shop.change_published(id, |data| {
            if id == first || id == last {
                data["masterVariant"]["sku"] = "TWICE".into();
            }
            variants += 1 + data["variants"].as_array().map_or(0, Vec::len);
        });
    }
    (first.clone(), last.clone(), variants)
}

/// The sku is under the first product's item, and the report names the other. Returns whether it was moved there.
fn assert_kept(shop: &Shop, status: &Value, (first, last, all): &(String, String, usize)) -> bool {
    let variants = &status["variants"];
    assert!(shop.skus_of(first).contains(&"TWICE".to_owned()));
    assert!(!shop.skus_of(last).contains(&"TWICE".to_owned()));
    let skipped = &variants["skipped"]["sku-of-another-product"];
    assert_eq!(skipped, 1, "{status}");
    assert_eq!(variants["read"], *all, "{status}");
    assert_eq!(variants["sent"], all - 1, "{status}");
    let list = status["setAside"].as_array().expect("a list");
    let [record] = &list[..] else {
        panic!("{list:?}");
    };
    assert_eq!(record["id"], **last);
    let reason = record["reason"].as_str().unwrap_or_default();
    let names_both = reason.starts_with("TWICE: ") && reason.contains(first.as_str());
    assert!(names_both, "{reason}");
    variants["notes"]["variants-moved"].as_u64() > Some(0)
}

#[test]
fn a_product_whose_sku_was_created_before_the_one_that_keeps_it_counts_as_skipped() {
    let mut moved = BTreeSet::new();
    for seed in 0..8 {
        // more than one job has room for: whose job is first is drawn
        let mut setup = Setup::catalog(0, 130).scheduled();
        setup.klaviyo.seed = seed;
        setup.klaviyo.job_times = JobTimes::USUAL;
        moved.insert(run(setup, async |shop| {
            let shared = share_a_sku(&shop);
            let status = shop.complete("products", "").await;
            assert_kept(&shop, &status, &shared)
        }));
    }
    assert_eq!(moved.len(), 2, "either is first now and then: {moved:?}");
}

#[test]
fn a_product_whose_sku_has_become_another_ones_as_well_counts_as_skipped_in_a_run_that_reads_it() {
    for seed in 0..4 {
        let mut setup = Setup::catalog(0, 15).scheduled();
        setup.klaviyo.seed = seed;
        setup.klaviyo.job_times = JobTimes::USUAL;
        run(setup, async |shop| {
            let shared = share_a_sku(&shop);
            let (first, last, _) = &shared;
            let body = |id: &str| json!({"ids": [id]});
            let alone = shop.complete("products", body(last)).await;
            assert_eq!(alone["variants"]["skipped"], json!({}), "{alone}");
            if seed % 2 == 0 {
                let status = shop.complete("products", "").await;
                assert!(assert_kept(&shop, &status, &shared), "{status}");
                return;
            }
            // what this run does not read, it does not count
            let status = shop.complete("products", body(first)).await;
            let variants = &status["variants"];
            assert_eq!(variants["notes"]["variants-moved"], 1, "{status}");
            assert_eq!(variants["skipped"], json!({}), "{status}");
            assert_eq!(variants["sent"], shop.skus_of(first).len(), "{status}");
            let status = shop.complete("products", "").await;
            assert!(!assert_kept(&shop, &status, &shared), "{status}");
        });
    }
}

#[test]
fn a_move_that_is_decided_twice_takes_the_place_of_the_other_product_once() {
    for id_ranges in [1, 8] {
        let mut setup = Setup::catalog(0, 15).scheduled();
        setup.klaviyo.job_times = JobTimes::USUAL;
        // with one range a page has both products, and knows at once which one is skipped
        setup.variables.insert("id_ranges", id_ranges.to_string());
        run(setup, async |shop| {
            let shared = share_a_sku(&shop);
            shop.complete("products", json!({"ids": [shared.1]})).await;
            let deletion = "POST /api/catalog-variant-bulk-delete-jobs";
            let somebody = after(&shop, deletion, || cancel_all(&shop));
            let (status, ()) = join(shop.complete("products", ""), somebody).await;
            assert!(assert_kept(&shop, &status, &shared), "{status}");
            let moves = shop.world.klaviyo_server().calls_of(deletion);
            assert_eq!(moves, 2, "the first one was cancelled");
        });
    }
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

#[test]
fn what_a_cancelled_job_was_to_delete_is_noted_once() {
    run(Setup::catalog(0, 12).scheduled(), async |shop| {
        shop.complete("products", "").await;
        let ids = shop.published_products();
        let product = ids.iter().find(|id| shop.skus_of(id).len() > 2);
        let product = product.expect("one with three variants").clone();
        let obsolete = shop.skus_of(&product).len() - 1;
        shop.change_published(&product, |data| data["variants"] = json!([]));
        jobs_take(&shop, 6);
        let deletion = "POST /api/catalog-variant-bulk-delete-jobs";
        let somebody = after(&shop, deletion, || cancel_all(&shop));
        let (status, ()) = join(shop.complete("products", ""), somebody).await;
        assert_eq!(shop.skus_of(&product).len(), 1, "{status}");
        let notes = &status["variants"]["notes"];
        assert_eq!(notes["obsolete-variants-deleted"], obsolete, "{status}");
    });
}
