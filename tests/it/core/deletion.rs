//! The deletion of the catalog.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join;
use http::{Method, Request, Response};
use jiff::Timestamp;
use native::environment::{Answered, Destination, lost};
use native::shop::run_with;
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::commercetools::GraphqlRefusal;
use sim::faults::{Fault, Rule};
use sim::klaviyo::{Choice, JobTimes, Kind};
use sim::world::World;

use crate::support::calls::{Calls, Sent};
use crate::support::described::run;
use crate::support::moves::jobs_take;

fn deletion(resource: &str) -> Value {
    json!({"deleteAll": true, "confirmDeletion": resource})
}

fn count(shop: &Shop, kind: Kind) -> usize {
    shop.world
        .klaviyo(|klaviyo| klaviyo.ledger().catalog().entries(kind).len())
}

/// The entries are found by the ids that the shop has, or in Klaviyo's list alone where these cannot be read.
const WAYS: [Option<GraphqlRefusal>; 2] = [None, Some(GraphqlRefusal::Always)];

fn refuse_ids(shop: &Shop, refusal: Option<GraphqlRefusal>) {
    if let Some(refusal) = refusal {
        shop.world
            .commercetools(|project| project.refuse_graphql(refusal));
    }
}

#[test]
fn a_deletion_leaves_nothing_of_its_kind() {
    WAYS.into_iter().for_each(a_deletion_leaves_nothing);
}

fn a_deletion_leaves_nothing(ids: Option<GraphqlRefusal>) {
    let setup = Setup::catalog(130, 260)
        .scheduled()
        .variable("window_seconds", 6)
        .latency_ms(200);
    run(setup, async |shop| {
        shop.complete("categories", "").await;
        shop.complete("products", "").await;
        refuse_ids(&shop, ids);
        let items = count(&shop, Kind::Item);
        assert!(items > 200);
        let faults = shop.world.klaviyo_faults();
        faults.add(Rule::every(4, Fault::throttle(2)));

        let status = shop.complete("products", deletion("products")).await;
        assert_eq!(
            (count(&shop, Kind::Item), count(&shop, Kind::Variant)),
            (0, 0)
        );
        assert_eq!(count(&shop, Kind::Category), 130);
        assert_eq!(status["counts"]["sent"], items, "{status}");

        let as_the_plugin_spells_it = json!({"deleteAll": true, "confirmDeletetion": "categories"});
        shop.complete("categories", as_the_plugin_spells_it).await;
        assert_eq!(count(&shop, Kind::Category), 0);
    });
}

#[test]
fn a_deletion_that_is_killed_goes_on() {
    WAYS.into_iter().for_each(a_killed_deletion_goes_on);
}

fn a_killed_deletion_goes_on(ids: Option<GraphqlRefusal>) {
    let setup = Setup::catalog(450, 0)
        .scheduled()
        .variable("window_seconds", 4)
        .latency_ms(100);
    run(setup, async |shop| {
        shop.complete("categories", "").await;
        refuse_ids(&shop, ids);
        shop.start("categories", deletion("categories")).await;
        for kill in [5, 20, 60, 120, 250] {
            let window = shop.go_on("categories");
            let kill = Duration::from_millis(kill);
            let _ = shop.world.clock().within(kill, window).await;
            shop.pass(Duration::from_secs(15)).await;
        }
        let last = shop.ticked("categories").await.pop();
        assert_eq!(last.expect("a tick")["status"], "completed");
        assert_eq!(count(&shop, Kind::Category), 0);
    });
}

/// Klaviyo does not answer what would delete one of these categories.
#[derive(Default)]
struct Unanswered(RefCell<Vec<String>>);

impl Interceptor for Unanswered {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_deletion = request.uri().path().contains("category-bulk-delete-jobs");
        let body = String::from_utf8_lossy(request.body());
        let is_meant = is_deletion && self.0.borrow().iter().any(|id| body.contains(id));
        (is_meant && to == Destination::Klaviyo).then(|| Err(lost()))
    }
}

#[test]
fn hundreds_of_entries_that_wait_for_the_next_window_are_deleted_and_counted_once() {
    let unanswered = Rc::new(Unanswered::default());
    let klaviyo = unanswered.clone();
    let setup = Setup::catalog(8_000, 0)
        .scheduled()
        .variable("window_seconds", 5)
        .latency_ms(300);
    run_with(setup, unanswered, async move |shop| {
        shop.complete("categories", "").await;
        jobs_take(&shop, 60);
        let ids = shop.ids(sim::seed::Kind::Category);
        let some = ids.into_iter().step_by(150).collect();
        klaviyo.0.replace(some);
        let answer = async {
            // what waits is stored by its digests, beside what jobs are deleting
            until_stored(&shop, |range| range["digests"].is_string()).await;
            klaviyo.0.take();
        };
        let deleted = shop.complete("categories", deletion("categories"));
        let (status, ()) = join(deleted, answer).await;
        assert_eq!(count(&shop, Kind::Category), 0, "{status}");
        assert_eq!(status["counts"]["sent"], 8_000, "{status}");
        assert_eq!(status["counts"]["read"], 8_000, "{status}");
    });
}

/// Until the stored cursor has such a range.
async fn until_stored(shop: &Shop, is_such: impl Fn(&Value) -> bool) {
    let is_there = || {
        let document = shop.document("categories");
        let ranges = document["cursor"]["ranges"].as_array();
        ranges.is_some_and(|ranges| ranges.iter().any(&is_such))
    };
    while !is_there() {
        shop.pass(Duration::from_millis(100)).await;
    }
}

#[test]
fn what_cannot_be_deleted_is_said_after_a_bounded_number_of_passes() {
    run(Setup::catalog(120, 0).scheduled(), async |shop| {
        shop.complete("categories", "").await;
        let stays = shop.ids(sim::seed::Kind::Category).swap_remove(3);
        shop.world
            .klaviyo(|klaviyo| klaviyo.options_mut().refuse_entries = Choice::ids([stays.clone()]));
        let status = shop.complete("categories", deletion("categories")).await;
        assert_eq!(count(&shop, Kind::Category), 1);
        let counts = &status["counts"];
        assert_eq!(
            (&counts["sent"], &counts["failed"]),
            (&119.into(), &1.into()),
            "{status}"
        );
        assert_eq!(counts["notes"]["left-in-klaviyo"], 1);
        assert_eq!(status["setAside"][0]["id"], stays);
    });
}

#[test]
fn nothing_is_deleted_without_the_right_confirmation() {
    run(Setup::catalog(5, 0), async |shop| {
        for (resource, body) in [
            ("categories", json!({"deleteAll": true})),
            ("categories", deletion("products")),
            (
                "categories",
                json!({"deleteAll": false, "confirmDeletion": "categories"}),
            ),
            ("customers", deletion("customers")),
            ("orders", deletion("orders")),
        ] {
            shop.posted(&format!("/sync/{resource}"), &body, 400).await;
            let status = shop.status(resource).await;
            assert_eq!(status["status"], "idle", "{resource} {body}");
        }
    });
}

#[test]
fn a_deletion_of_categories_and_an_import_of_products_exclude_each_other() {
    run(Setup::catalog(20, 20).scheduled(), async |shop| {
        shop.complete("categories", "").await;
        shop.start("products", "").await;
        let answer = shop
            .posted("/sync/categories", deletion("categories"), 423)
            .await;
        assert_eq!(answer["resource"], "products", "{answer}");
        // an import of categories and a deletion of products go beside it
        shop.start("categories", "").await;
        shop.ticked("categories").await;
        shop.ticked("products").await;

        shop.start("categories", deletion("categories")).await;
        let answer = shop.posted("/sync/products", "", 423).await;
        assert_eq!(answer["resource"], "categories", "{answer}");
        shop.start("products", deletion("products")).await;
        shop.ticked("products").await;
        shop.ticked("categories").await;
        assert_eq!(count(&shop, Kind::Category), 0);
        shop.start("products", "").await;
        shop.ticked("products").await;
    });
}

#[test]
fn what_the_shop_has_is_found_by_its_ids_and_the_rest_is_listed() {
    for refusal in [
        None,
        Some(GraphqlRefusal::Errors),
        Some(GraphqlRefusal::Always),
    ] {
        run(Setup::catalog(0, 900).scheduled(), async |shop| {
            shop.complete("products", "").await;
            refuse_ids(&shop, refusal);
            // of somebody else, and not in the shop
            shop.world.klaviyo(|klaviyo| {
                klaviyo.put_entry(Kind::Item, "foreign", &json!({"title": "foreign"}));
            });
            let items = count(&shop, Kind::Item);
            let status = shop.complete("products", deletion("products")).await;
            assert_eq!(
                (count(&shop, Kind::Item), count(&shop, Kind::Variant)),
                (0, 0),
                "{refusal:?}"
            );
            assert_eq!(status["counts"]["read"], items, "{refusal:?} {status}");
            assert_eq!(status["counts"]["sent"], items, "{refusal:?} {status}");
        });
    }
}

/// A question for jobs of Klaviyo.
fn is_for_jobs(call: &Sent) -> bool {
    call.is_to(Destination::Klaviyo, Method::GET) && call.path().contains("-jobs")
}

/// A question for everything that Klaviyo has.
fn is_for_the_list(call: &Sent) -> bool {
    let is_read = call.is_to(Destination::Klaviyo, Method::GET);
    is_read && !call.path().contains("-jobs") && !call.query().contains("filter=")
}

/// A query of ids of commercetools.
fn is_for_ids(call: &Sent) -> bool {
    call.is_to(Destination::Commercetools, Method::POST) && call.path().ends_with("/graphql")
}

/// A save of a document.
fn is_save(call: &Sent) -> bool {
    let is_write = call.is_to(Destination::Commercetools, Method::POST);
    is_write && call.path().contains("/custom-objects")
}

/// Deletes all items, and returns the status and the calls.
async fn calls_of_a_deletion(shop: &Shop) -> (Value, Rc<Calls>) {
    let calls = Rc::new(Calls::of(&shop.world));
    let watched = shop.another_with(&[], calls.clone());
    let status = watched.complete("products", deletion("products")).await;
    assert_eq!(count(shop, Kind::Item), 0);
    (status, calls)
}

/// When the last of these calls was sent.
fn last(calls: &[Sent]) -> Option<Timestamp> {
    calls.last().map(|call| call.at)
}

#[test]
fn the_list_is_looked_at_while_the_last_jobs_are() {
    // few jobs are polled, many are looked for in their list
    for products in [150, 1_500] {
        let mut setup = Setup::catalog(0, products).latency_ms(200);
        setup.klaviyo.job_times = JobTimes::USUAL;
        run(setup, async |shop| {
            shop.complete("products", "").await;
            let items = count(&shop, Kind::Item);
            let (status, calls) = calls_of_a_deletion(&shop).await;
            assert_eq!(status["counts"]["sent"], items, "{status}");
            let list = last(&calls.all(is_for_the_list));
            let jobs = last(&calls.all(is_for_jobs));
            // a look may go on with a second page of jobs
            assert!(
                list.is_some() && list <= jobs,
                "{products}: {list:?} {jobs:?}"
            );
        });
    }
}

#[test]
fn what_the_shop_does_not_have_is_listed_when_its_own_is_deleted() {
    let mut setup = Setup::catalog(0, 150).latency_ms(200);
    setup.klaviyo.job_times = JobTimes::USUAL;
    run(setup, async |shop| {
        shop.complete("products", "").await;
        // so the list is not empty beside the last jobs of what the shop has
        shop.world.klaviyo(|klaviyo| {
            klaviyo.put_entry(Kind::Item, "foreign", &json!({"title": "foreign"}));
        });
        let items = count(&shop, Kind::Item);
        let (status, calls) = calls_of_a_deletion(&shop).await;
        assert_eq!(status["counts"]["sent"], items, "{status}");
        let jobs = last(&calls.all(is_for_jobs));
        assert!(jobs.is_some() && last(&calls.all(is_for_the_list)) >= jobs);
    });
}

#[test]
fn the_first_ids_of_a_deletion_are_read_while_it_is_asked_whether_it_may_begin() {
    let mut setup = Setup::catalog(0, 900).latency_ms(200);
    setup.klaviyo.job_times = JobTimes::USUAL;
    run(setup, async |shop| {
        shop.complete("products", "").await;
        let calls = Rc::new(Calls::of(&shop.world));
        let watched = shop.another_with(&[], calls.clone());
        watched.start("products", deletion("products")).await;
        let (reads, saves) = (calls.all(is_for_ids), calls.all(is_save));
        assert!(reads.len() > 10, "{}", reads.len());
        assert!(reads[0].at < saves[0].at);
        assert!(shop.world.klaviyo(|klaviyo| klaviyo.jobs()) > 0);

        // one that may not begin reads no more than that
        let others = Rc::new(Calls::of(&shop.world));
        let other = shop.another_with(&[], others.clone());
        other
            .posted("/sync/products", deletion("products"), 423)
            .await;
        assert_eq!(others.all(is_for_ids).len(), 1);
        assert_eq!(others.all(is_save).len(), 0);
        shop.over("products").await;
        assert_eq!(count(&shop, Kind::Item), 0);
    });
}

#[test]
fn ids_that_were_read_too_early_are_read_again_after_jobs_of_a_stopped_run() {
    let mut setup = Setup::catalog(0, 150).latency_ms(200);
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(30));
    run(setup, async |shop| {
        shop.start("products", "").await;
        // its jobs are under way: what they create is not in Klaviyo yet
        shop.pass(Duration::from_secs(5)).await;
        assert!(shop.world.klaviyo(|klaviyo| klaviyo.jobs()) > 0);
        shop.stop("products").await;
        let calls = Rc::new(Calls::of(&shop.world));
        let watched = shop.another_with(&[], calls.clone());
        let status = watched.complete("products", deletion("products")).await;
        assert!(status["counts"]["sent"].as_u64() > Some(0), "{status}");
        assert_eq!(count(&shop, Kind::Item), 0);
        let look_ups = calls.all(|call| call.query().contains("filter=any"));
        let first = look_ups[0].query();
        let times = look_ups.iter().filter(|call| call.query() == first);
        assert_eq!(times.count(), 2);
    });
}

/// commercetools' first answer to a query of ids cannot be understood.
#[derive(Default)]
struct FirstIdsUnreadable(Cell<bool>);

impl Interceptor for FirstIdsUnreadable {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let is_of_ids =
            to == Destination::Commercetools && request.uri().path().ends_with("/graphql");
        (is_of_ids && !self.0.replace(true)).then(|| {
            let answer = Response::builder().body(Bytes::from_static(b"[]"));
            Ok(answer.expect("a response"))
        })
    }
}

#[test]
fn a_first_page_that_was_read_in_vain_is_read_again_in_the_same_window() {
    let mut setup = Setup::catalog(0, 150).latency_ms(200);
    setup.klaviyo.job_times = JobTimes::USUAL;
    run(setup, async |shop| {
        shop.complete("products", "").await;
        let unreadable = Rc::new(FirstIdsUnreadable::default());
        let failing = shop.another_with(&[], unreadable.clone());
        let status = failing.complete("products", deletion("products")).await;
        assert!(unreadable.0.get());
        assert_eq!(
            (&status["window"], &status["lastError"]),
            (&json!(1), &Value::Null)
        );
        assert_eq!(count(&shop, Kind::Item), 0);
    });
}

/// From the first question for jobs on, Klaviyo's next list of items never comes.
#[derive(Default)]
struct ListThatHangs {
    world: OnceCell<Rc<World>>,
    is_asked: Cell<bool>,
}

impl Interceptor for ListThatHangs {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let world = self.world.get().filter(|_| to == Destination::Klaviyo)?;
        let is_of_jobs = request.uri().path().contains("-jobs");
        if is_of_jobs && request.method() == "GET" && !self.is_asked.replace(true) {
            let rule = Rule::always(Fault::Hang)
                .path("/api/catalog-items")
                .times(1);
            world.klaviyo_faults().add(rule.method(Method::GET));
        }
        None
    }
}

#[test]
fn what_is_known_of_jobs_does_not_wait_for_a_list_that_hangs() {
    let job = Duration::from_secs(12);
    let mut setup = Setup::catalog(0, 150).latency_ms(200);
    setup.klaviyo.job_times = JobTimes::taking(job);
    run(setup, async |shop| {
        shop.complete("products", "").await;
        let hanging = Rc::new(ListThatHangs::default());
        _ = hanging.world.set(shop.world.clone());
        let begun = shop.world.clock().now();
        let asking = shop.another_with(&[], hanging.clone());
        asking.complete("products", deletion("products")).await;
        assert_eq!(count(&shop, Kind::Item), 0);
        assert!(hanging.is_asked.get());
        assert_eq!(shop.world.klaviyo_faults().applied(), 1);
        let took = shop.world.clock().now().duration_since(begun);
        let after = took.unsigned_abs().saturating_sub(job);
        assert!(after < Duration::from_secs(4), "{after:?}");
    });
}

/// commercetools answers queries of one id only.
struct OneAtATime;

impl Interceptor for OneAtATime {
    fn request(&self, _to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        let body = std::str::from_utf8(request.body()).unwrap_or_default();
        let is_of_several = body.contains("limit: ") && !body.contains("limit: 1)");
        is_of_several.then(|| {
            let answer = Response::builder().status(502).body(Bytes::new());
            Ok(answer.expect("a response"))
        })
    }
}

#[test]
fn pages_of_which_klaviyo_has_nothing_are_progress() {
    let setup = Setup::catalog(90, 0)
        .scheduled()
        .variable("window_seconds", 5)
        .latency_ms(900);
    run(setup, async |shop| {
        // none of the shop's is in Klaviyo
        let slow = shop.another_with(&[], Rc::new(OneAtATime));
        let status = slow.complete("categories", deletion("categories")).await;
        assert_eq!(status["counts"]["failed"], 0, "{status}");
        assert_eq!(count(&shop, Kind::Category), 0);
    });
}
