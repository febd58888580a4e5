//! Outages, records that one API stumbles over, pages that are too much for the other, windows that are killed: nothing of
//! it ends an import that a person need not mend.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use jiff::SignedDuration;
use klaviyo_bulk_import::error::POLICY;
use native::environment::{Answered, Destination, lost};
use native::operator::{moment, reported};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::GraphqlRefusal;
use sim::faults::{Fault, Rule};
use sim::klaviyo;
use sim::seed::Kind;

use crate::support::described::run;

/// The advice of a row of the error table.
fn advice(what: &str) -> &'static str {
    let row = POLICY.iter().find(|row| row.what == what);
    row.unwrap_or_else(|| panic!("the table has no row {what}"))
        .advice
}

fn rejection(status: u16, errors: &Value) -> Answered {
    let body = json!({ "errors": errors }).to_string();
    let response = Response::builder().status(status).body(Bytes::from(body));
    Ok(response.expect("a response"))
}

/// Whether Klaviyo gets documents with this request, at a path that has this in it.
fn is_posted(to: Destination, request: &Request<Bytes>, path: &str) -> bool {
    matches!(to, Destination::Klaviyo)
        && request.method() == Method::POST
        && request.uri().path().contains(path)
}

fn query_value<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    let query = request.uri().query()?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// commercetools answers pages of more than this many of these records with this status and the code `QueryTimedOut`.
struct SlowPages {
    of: &'static str,
    most: usize,
    status: u16,
}

impl Interceptor for SlowPages {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_page = matches!(to, Destination::Commercetools)
            && request.uri().path().ends_with(self.of)
            && query_value(request, "limit")?.parse::<usize>().ok()? > self.most;
        is_page.then(|| rejection(self.status, &json!([{"code": "QueryTimedOut"}])))
    }
}

#[test]
fn a_page_that_takes_too_long_is_asked_for_with_fewer_records() {
    for status in [400, 503] {
        for most in [100, 1] {
            let orders = if most == 1 { 12 } else { 600 };
            let setup = Setup::orders(orders).scheduled();
            let slow = Rc::new(SlowPages {
                of: "/orders",
                most,
                status,
            });
            run_with(setup, slow, async |shop: Shop| {
                let status = shop.carried("orders", "").await;
                assert_eq!(status["status"], "completed", "{status}");
                assert_eq!(status["counts"]["read"], orders, "{status}");
                assert_eq!(status["counts"]["failed"], 0, "{status}");
                shop.assert_ledger(&[Kind::Order]);
            });
        }
    }
}

#[test]
fn a_page_of_changes_that_takes_too_long_is_asked_for_with_fewer_records() {
    let slow = Rc::new(SlowPages {
        of: "/categories",
        most: 1,
        status: 400,
    });
    run_with(
        Setup::catalog(30, 0).scheduled(),
        slow,
        async |shop: Shop| {
            shop.carried("categories", "").await;
            shop.pass(Duration::from_secs(60)).await;
            let status = shop
                .carried("categories", json!({"since": "lastRun"}))
                .await;
            assert_eq!(status["status"], "completed", "{status}");
            shop.assert_ledger(&[Kind::Category]);
        },
    );
}

/// Klaviyo answers every request for events that has this text in it with this status, and every request at all where
/// there is no text; so many times, at most.
struct Stumbling {
    text: Option<String>,
    status: u16,
    left: Cell<u32>,
}

impl Interceptor for Stumbling {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_of_events = is_posted(to, request, "event-bulk-create-jobs");
        let body = String::from_utf8_lossy(request.body());
        let is_meant = self.text.as_ref().is_none_or(|text| body.contains(text));
        if !is_of_events || !is_meant || self.left.get() == 0 {
            return None;
        }
        self.left.set(self.left.get() - 1);
        Some(rejection(self.status, &json!([{"code": "error"}])))
    }
}

#[test]
fn a_record_that_klaviyo_stumbles_over_is_set_aside_and_named() {
    let setup = Setup::orders(30).scheduled();
    let shop_ids = Rc::new(Cell::new(None::<String>));
    let first = shop_ids.clone();
    run(setup, async move |shop: Shop| {
        first.set(shop.ids(Kind::Order).into_iter().nth(7));
    });
    // the seed is the same: so are the ids
    let id = shop_ids.take().expect("an order");
    let stumbling = Rc::new(Stumbling {
        text: Some(id.clone()),
        status: 500,
        left: Cell::new(u32::MAX),
    });
    let setup = Setup::orders(30).scheduled();
    run_with(setup, stumbling, async move |shop: Shop| {
        let status = shop.carried("orders", "").await;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["sent"], 29, "{status}");
        assert_eq!(status["counts"]["failed"], 1, "{status}");
        assert_eq!(reported(&status), [id], "{status}");
    });
}

#[test]
fn an_outage_is_not_taken_for_bad_records() {
    let stumbling = Rc::new(Stumbling {
        text: None,
        status: 500,
        left: Cell::new(200),
    });
    let setup = Setup::orders(30).scheduled();
    run_with(setup, stumbling, async |shop: Shop| {
        let status = shop.carried("orders", "").await;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["failed"], 0, "{status}");
        shop.assert_ledger(&[Kind::Order]);
    });
}

#[test]
fn where_every_document_is_refused_the_run_stops_and_can_be_resumed() {
    let stumbling = Rc::new(Stumbling {
        text: None,
        status: 400,
        left: Cell::new(u32::MAX),
    });
    let setup = Setup::orders(60).scheduled();
    let refusing = stumbling.clone();
    run_with(setup, stumbling, async move |shop: Shop| {
        let status = shop.carried("orders", "").await;
        assert_eq!(status["status"], "failed", "{status}");
        let told = advice("Klaviyo: every document is rejected, without a pointer to any of them");
        assert_eq!(status["lastError"]["advice"], told, "{status}");
        assert!(status["upToDateSince"].is_null(), "{status}");
        assert!(status["rangesLeft"].as_u64() > Some(0), "{status}");
        refusing.left.set(0);
        shop.posted("/sync/orders", json!({"resume": true}), 202)
            .await;
        let status = shop.ticked("orders").await.pop().expect("a tick");
        assert_eq!(status["status"], "completed", "{status}");
        shop.assert_ledger(&[Kind::Order]);
    });
}

/// An account that takes nothing; its answers to the first requests are lost.
struct ShutAccount {
    lost: Cell<u32>,
    refused: Cell<u32>,
}

impl Interceptor for ShutAccount {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        if !is_posted(to, request, "bulk") {
            return None;
        }
        let left = self.lost.get();
        self.lost.set(left.saturating_sub(1));
        if left > 0 {
            return Some(Err(lost()));
        }
        self.refused.set(self.refused.get() + 1);
        Some(rejection(400, &json!([{"code": "invalid", "source": {}}])))
    }
}

#[test]
fn lost_answers_do_not_hide_that_an_account_takes_nothing() {
    // entries that a lost request may have created are looked up; events are not, and cannot be rejected for being there
    for (resource, setup) in [
        ("categories", Setup::catalog(130, 0).scheduled()),
        ("categories", Setup::catalog(3_000, 0).scheduled()),
        ("orders", Setup::orders(60).scheduled()),
    ] {
        let shut = Rc::new(ShutAccount {
            lost: Cell::new(1),
            refused: Cell::new(0),
        });
        run_with(setup, shut.clone(), async move |shop: Shop| {
            let status = shop.carried(resource, "").await;
            assert_eq!(shut.lost.get(), 0);
            let refused = shut.refused.get();
            assert!(refused < 300, "{resource}: {refused} requests");
            assert_eq!(status["status"], "failed", "{status}");
            assert_eq!(status["counts"]["sent"], 0, "{status}");
            let told =
                advice("Klaviyo: every document is rejected, without a pointer to any of them");
            assert_eq!(status["lastError"]["advice"], told, "{status}");
            assert!(status["upToDateSince"].is_null(), "{status}");
        });
    }
}

/// Klaviyo creates none of these categories: first it is asked too often, and then it does not say why.
#[derive(Default)]
struct Refused {
    ids: RefCell<Vec<String>>,
    is_mere_throttling: Cell<bool>,
}

impl Interceptor for Refused {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let body = String::from_utf8_lossy(request.body());
        let is_meant = is_posted(to, request, "category-bulk-create-jobs")
            && self.ids.borrow().iter().any(|id| body.contains(id));
        let status = match self.is_mere_throttling.get() {
            true => 429,
            false => 400,
        };
        is_meant.then(|| rejection(status, &json!([{"code": "invalid", "source": {}}])))
    }
}

#[test]
fn a_run_that_has_sent_something_does_not_take_many_bad_records_for_a_shut_account() {
    let refused = Rc::new(Refused::default());
    let klaviyo = refused.clone();
    let setup = Setup::catalog(160, 0).scheduled().variable("id_ranges", 1);
    run_with(setup, refused, async move |shop: Shop| {
        let ids = shop.ids(Kind::Category).into_iter().skip(100).collect();
        klaviyo.ids.replace(ids);
        klaviyo.is_mere_throttling.set(true);
        shop.posted("/sync/categories", "", 202).await;
        shop.go_on("categories").await;
        let status = shop.status("categories").await;
        assert_eq!(status["counts"]["sent"], 100, "{status}");

        // an instance that knows of nothing that was accepted gets the others
        klaviyo.is_mere_throttling.set(false);
        let shop = shop.another(&[]);
        let status = shop.ticked("categories").await.pop().expect("a tick");
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["sent"], 100, "{status}");
        assert_eq!(status["counts"]["failed"], 60, "{status}");
    });
}

/// An account that has room for nothing new, once it is full, and does not say so.
#[derive(Default)]
struct FullAccount {
    is_full: Cell<bool>,
}

impl Interceptor for FullAccount {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_creation = is_posted(to, request, "item-bulk-create-jobs");
        let is_refused = self.is_full.get() && is_creation;
        is_refused.then(|| rejection(400, &json!([{"code": "invalid", "source": {}}])))
    }
}

/// Imports all products into an account that has some of them and takes no others. Returns the run's document at the end,
/// or after `longest`, and the size of the largest until then.
fn import_into_full_account(products: u32, longest: Duration) -> (Value, usize) {
    let full = Rc::new(FullAccount::default());
    let account = full.clone();
    let setup = Setup::catalog(0, products).latency_ms(300);
    run_with(setup, full, async move |shop: Shop| {
        let ids = shop.published_products();
        let some: Vec<&String> = ids.iter().step_by(12).take(100).collect();
        shop.complete("products", json!({ "ids": some })).await;
        account.is_full.set(true);
        shop.start("products", "").await;
        let begun = shop.world.clock().now();
        let mut largest = 0;
        loop {
            let document = shop.document("products");
            largest = largest.max(document.to_string().len());
            let passed = shop.world.clock().now().duration_since(begun);
            if document["status"] != "running" || passed.unsigned_abs() > longest {
                return (document, largest);
            }
            shop.pass(Duration::from_secs(1)).await;
        }
    })
}

#[test]
fn what_an_account_does_not_take_fails_by_name_and_what_it_has_is_updated() {
    let (document, _) = import_into_full_account(150, Duration::from_hours(1));
    let counts = &document["counts"];
    assert_eq!(document["status"], "completed", "{document}");
    let failed = counts["failed"].as_u64().expect("a count");
    assert!(
        failed > 100 && counts["sent"].as_u64() > Some(10),
        "{counts}"
    );
    assert_eq!(
        document["namedFailures"].as_u64(),
        Some(failed),
        "{document}"
    );
}

#[test]
fn the_document_stays_small_where_an_account_takes_thousands_of_products_not() {
    let (_, largest) = import_into_full_account(8_000, Duration::from_mins(1));
    assert!(largest > 0 && largest < 256 * 1024, "{largest} B");
}

/// Klaviyo answers what would create this category with 503, for as long as it is set.
#[derive(Default)]
struct StumblingCategory {
    id: RefCell<Option<String>>,
}

impl Interceptor for StumblingCategory {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let id = self.id.borrow().clone()?;
        let is_creation = is_posted(to, request, "category-bulk-create-jobs")
            && String::from_utf8_lossy(request.body()).contains(&id);
        is_creation.then(|| rejection(503, &json!([{"code": "service_unavailable"}])))
    }
}

#[test]
fn what_is_sent_beside_a_failing_record_does_not_wait_for_it() {
    let stumbling = Rc::new(StumblingCategory::default());
    let klaviyo = stumbling.clone();
    let setup = Setup::catalog(12, 0).scheduled();
    run_with(setup, stumbling, async move |shop: Shop| {
        let mut ids: Vec<String> = shop.ids(Kind::Category).into_iter().collect();
        let last = ids.pop().expect("a category");
        shop.complete("categories", json!({ "ids": ids })).await;

        // the others are updated, in a request of their own
        klaviyo.id.replace(Some(last));
        shop.posted("/sync/categories", "", 202).await;
        shop.go_on("categories").await;
        let status = shop.status("categories").await;
        assert_eq!(status["status"], "running", "{status}");
        assert_eq!(status["counts"]["sent"], 11, "{status}");
        assert_eq!(status["waitingFor"], "Klaviyo to answer", "{status}");

        // the one that is left is no progress, however often it is tried
        for _ in 0..6 {
            shop.pass(Duration::from_secs(300)).await;
            shop.go_on("categories").await;
            let later = shop.status("categories").await;
            assert_eq!(later["status"], "running", "{later}");
            assert_eq!(later["counts"], status["counts"], "{later}");
        }
        let later = shop.status("categories").await;
        let since = |status: &Value| moment(&status["lastProgressAt"]);
        let waited = since(&later).duration_since(since(&status));
        assert!(waited < SignedDuration::from_secs(60), "{later}");

        klaviyo.id.replace(None);
        shop.pass(Duration::from_secs(16 * 60)).await;
        let status = shop.ticked("categories").await.pop().expect("a tick");
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["counts"]["sent"], 12, "{status}");
        shop.assert_ledger(&[Kind::Category]);
    });
}

/// Klaviyo refuses the first page cursor that comes after so many others.
struct ForgottenPage {
    after: Cell<u32>,
}

impl Interceptor for ForgottenPage {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_cursor = matches!(to, Destination::Klaviyo)
            && request
                .uri()
                .query()
                .is_some_and(|query| query.contains("page%5Bcursor%5D"));
        if !is_cursor {
            return None;
        }
        let left = self.after.get();
        self.after.set(left.wrapping_sub(1));
        (left == 0).then(|| {
            let error = json!([{"code": "invalid", "title": "Invalid input.", "source": {"pointer": "/data/"}}]);
            rejection(400, &error)
        })
    }
}

#[test]
fn a_listing_begins_again_where_klaviyo_knows_its_page_no_more() {
    for after in [0, 1] {
        let setup = Setup::catalog(350, 0)
            .scheduled()
            .variable("window_seconds", 5);
        let forgotten = Rc::new(ForgottenPage {
            after: Cell::new(u32::MAX),
        });
        let armed = forgotten.clone();
        run_with(setup, forgotten, async move |shop: Shop| {
            shop.complete("categories", "").await;
            // without the ids that the shop has, everything is listed
            shop.world
                .commercetools(|project| project.refuse_graphql(GraphqlRefusal::Always));
            armed.after.set(after);
            let deletion = json!({"deleteAll": true, "confirmDeletion": "categories"});
            let status = shop.carried("categories", deletion).await;
            assert_eq!(status["status"], "completed", "{status}");
            assert!(armed.after.get() > after, "no page was forgotten");
            let left = shop.world.klaviyo(|account| {
                account
                    .ledger()
                    .catalog()
                    .entries(klaviyo::Kind::Category)
                    .len()
            });
            assert_eq!(left, 0, "{status}");
        });
    }
}

#[test]
fn an_outage_of_hours_is_waited_out_and_told() {
    for (fault, told) in [
        (Fault::refuse(503), "503"),
        (Fault::throttle(8), "rate limit"),
        (Fault::Hang, "in time"),
        (Fault::Trickle, "in time"),
        (Fault::LoseAnswer, "connection failed"),
        (Fault::HalfAnswer, "connection failed"),
    ] {
        for (setup, resource) in [
            (Setup::customers(40), "customers"),
            (Setup::catalog(40, 40), "categories"),
        ] {
            let fault = fault.clone();
            run(setup.scheduled(), async |shop: Shop| {
                is_waited_out(&shop, resource, fault, told).await;
            });
        }
    }
}

async fn is_waited_out(shop: &Shop, resource: &str, fault: Fault, told: &str) {
    shop.start(resource, "").await;
    let faults = shop.world.klaviyo_faults();
    faults.add(Rule::always(fault));
    let begun = shop.status(resource).await["lastProgressAt"].clone();
    for _ in 0..40 {
        shop.go_on(resource).await;
        shop.pass(Duration::from_secs(300)).await;
    }
    let status = shop.status(resource).await;
    assert_eq!(status["status"], "running", "{told}: {status}");
    assert_eq!(status["lastProgressAt"], begun, "{status}");
    eprintln!(
        "{told} {resource} {} {}",
        status["waitingFor"], status["lastError"]
    );
    faults.clear();
    shop.pass(Duration::from_secs(16 * 60)).await;
    let status = shop.ticked(resource).await.pop().expect("a tick");
    assert_eq!(status["status"], "completed", "{status}");
    assert!(status["lastError"].is_null(), "{status}");
    shop.assert_ledger(&[Kind::Customer, Kind::Category]);
}

#[test]
fn pages_of_commercetools_that_do_not_come_for_hours_are_waited_out() {
    for fault in [Fault::refuse(503), Fault::Hang, Fault::Trickle] {
        for window in [10, 25] {
            let setup = Setup::customers(40).variable("window_seconds", window);
            let fault = fault.clone();
            run(setup.scheduled(), async |shop: Shop| {
                shop.start("customers", "").await;
                let faults = shop.world.commercetools_faults();
                faults.add(Rule::always(fault).path("/sim-shop/customers"));
                for _ in 0..40 {
                    shop.go_on("customers").await;
                    shop.pass(Duration::from_secs(60)).await;
                }
                let status = shop.status("customers").await;
                assert!(faults.applied() > 0);
                eprintln!(
                    "{} {} {}",
                    status["status"], status["waitingFor"], status["lastError"]
                );
                faults.clear();
                shop.pass(Duration::from_secs(16 * 60)).await;
                shop.ticked("customers").await;
                shop.assert_ledger(&[Kind::Customer]);
            });
        }
    }
}

#[test]
fn credentials_that_were_mended_are_taken_up_by_continue() {
    run(Setup::customers(40).scheduled(), async |shop: Shop| {
        shop.posted("/sync/customers", "", 202).await;
        let faults = shop.world.klaviyo_faults();
        faults.add(Rule::always(Fault::refuse(401)));
        let status = shop.ticked("customers").await.pop().expect("a tick");
        assert_eq!(status["status"], "failed", "{status}");
        faults.clear();
        shop.pass(Duration::from_secs(60)).await;
        shop.go_on("customers").await;
        let status = shop.ticked("customers").await.pop().expect("a tick");
        assert_eq!(status["status"], "completed", "{status}");
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn a_window_that_was_killed_is_counted_and_five_in_a_row_fail_the_run() {
    run(Setup::customers(40).scheduled(), async |shop: Shop| {
        shop.posted("/sync/customers", "", 202).await;
        let killed = |times: u64| {
            move |document: &mut Value| {
                document["lease"] = json!({"holder": "dead", "until": "2020-01-01T00:00:00Z"});
                document["killedWindows"] = times.into();
            }
        };
        // four were killed before: this is the fifth
        shop.change_document("customers", killed(4));
        shop.go_on("customers").await;
        let status = shop.status("customers").await;
        assert_eq!(status["status"], "failed", "{status}");
        assert_eq!(status["killedWindows"], 5, "{status}");
        let told = status["lastError"]["advice"].as_str().unwrap_or_default();
        for cause in ["memory_mib", "continuation", "window_seconds"] {
            assert!(told.contains(cause), "{told}");
        }
        shop.posted("/sync/customers", json!({"resume": true}), 202)
            .await;
        // the first of a row: the next window works, with less memory, and ends well
        shop.change_document("customers", killed(0));
        let status = shop.ticked("customers").await.pop().expect("a tick");
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["killedWindows"], 0, "{status}");
        shop.assert_ledger(&[Kind::Customer]);
    });
}

#[test]
fn a_window_that_saved_before_it_was_killed_is_not_counted() {
    run(Setup::customers(40).scheduled(), async |shop: Shop| {
        shop.posted("/sync/customers", "", 202).await;
        shop.change_document("customers", |document| {
            document["lease"] =
                json!({"holder": "dead", "until": "2020-01-01T00:00:00Z", "hasSaved": true});
            document["killedWindows"] = 4.into();
        });
        let status = shop.ticked("customers").await.pop().expect("a tick");
        assert_eq!(status["status"], "completed", "{status}");
        shop.assert_ledger(&[Kind::Customer]);
    });
}

/// What the leases said of their windows' progress, in each save of the customers' document.
#[derive(Default)]
struct Saves {
    progress: RefCell<Vec<bool>>,
}

impl Interceptor for Saves {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_save = matches!(to, Destination::Commercetools)
            && request.method() == Method::POST
            && request.uri().path().ends_with("/custom-objects");
        if is_save {
            let draft: Value = serde_json::from_slice(request.body()).expect("JSON");
            let lease = &draft["value"]["lease"];
            if draft["key"] == "customers" && lease.is_object() {
                let progress = lease["hasSaved"].as_bool().unwrap_or_default();
                self.progress.borrow_mut().push(progress);
            }
        }
        None
    }
}

#[test]
fn only_a_save_of_progress_keeps_a_killed_window_from_counting() {
    let saves = Rc::new(Saves::default());
    let seen = saves.clone();
    let setup = Setup::customers(1000).scheduled();
    run_with(setup, saves, async move |shop: Shop| {
        shop.posted("/sync/customers", "", 202).await;
        seen.progress.take();
        let faults = shop.world.klaviyo_faults();
        // the window lives, and saves, until it has to end
        faults.add(Rule::always(Fault::Hang));
        shop.go_on("customers").await;
        let without = seen.progress.take();
        assert!(without.len() > 1, "{without:?}");
        assert!(without.iter().all(|&progress| !progress), "{without:?}");

        faults.clear();
        faults.add(Rule::always(Fault::Hold(Duration::from_secs(6))));
        shop.pass(Duration::from_secs(16 * 60)).await;
        shop.go_on("customers").await;
        let with = seen.progress.take();
        assert!(with.iter().any(|&progress| progress), "{with:?}");
    });
}
