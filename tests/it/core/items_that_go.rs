//! Items that are not in Klaviyo when their variants are: somebody has deleted them, or Klaviyo does not show them yet.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use http::{Method, Request, Response};
use jiff::Timestamp;
use native::environment::{Answered, Destination};
use native::{Interceptor, Operator, Setup, Shop};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::{JobTimes, Kind as EntryKind};
use sim::seed::Kind;
use sim::world::World;

use crate::support::described::run;
use crate::support::moves::until_called;

/// How long jobs of items and of variants take, in seconds.
struct JobLengths {
    world: Rc<World>,
    items: u64,
    variants: u64,
}

impl Interceptor for JobLengths {
    fn request(&self, to: Destination, request: &Request<Bytes>) -> Option<Answered> {
        if to == Destination::Klaviyo && request.method() == Method::POST {
            let seconds = match request.uri().path().contains("variant") {
                true => self.variants,
                false => self.items,
            };
            self.world.klaviyo(|klaviyo| {
                klaviyo.options_mut().job_times = JobTimes::taking(Duration::from_secs(seconds));
            });
        }
        None
    }
}

/// Somebody deletes some items, and so their variants. Returns how many variants that were.
fn delete_items(shop: &Shop) -> usize {
    let ids = shop.published_products();
    let gone: Vec<&String> = ids.iter().step_by(7).collect();
    let variants = gone.iter().map(|id| shop.skus_of(id).len()).sum();
    shop.world.klaviyo(|klaviyo| {
        for id in &gone {
            assert!(klaviyo.remove_entry(EntryKind::Item, id), "{id}");
        }
    });
    variants
}

/// Until items and variants are being updated.
async fn until_updated(shop: &Shop) {
    let updates = ["item", "variant"].map(|kind| {
        let call = format!("POST /api/catalog-{kind}-bulk-update-jobs");
        until_called(shop, call)
    });
    join_all(updates).await;
}

/// What was counted of items and of variants.
fn counted(status: &Value) -> [[&Value; 4]; 2] {
    ["counts", "variants"]
        .map(|of| ["read", "sent", "skipped", "failed"].map(|count| &status[of][count]))
}

/// Imports everything, and once more while jobs of items and of variants take so many seconds. So long `after` the updates
/// somebody deletes items, and then this happens. In the end all is there, and counts once.
async fn updated_while_items_go(
    shop: &Shop,
    after: u64,
    (items, variants): (u64, u64),
    course: &str,
    happens: impl AsyncFnOnce(),
) {
    shop.complete("categories", "").await;
    let first = shop.complete("products", "").await;
    let lengths = JobLengths {
        world: shop.world.clone(),
        items,
        variants,
    };
    let watched = shop.another_with(&[], Rc::new(lengths));
    let somebody = async {
        until_updated(shop).await;
        shop.pass(Duration::from_secs(after)).await;
        let gone = delete_items(shop);
        happens().await;
        gone
    };
    let (status, gone) = join(watched.complete("products", ""), somebody).await;
    let what = format!("{course}: {gone} of {status}");
    assert!(gone > 4, "{what}");
    assert_eq!(counted(&status), counted(&first), "{what}");
    shop.assert_ledger(&[Kind::Category, Kind::Product]);
}

#[test]
fn whenever_an_item_goes_it_is_created_anew_and_its_variants_count_once() {
    // how many seconds after the updates they are deleted, how long the jobs of items and of variants take, and windows
    let courses = [
        // both kinds of jobs find them gone
        (0, 1, 1, 25),
        (0, 12, 12, 25),
        (0, 12, 12, 5),
        // that of the variants first, that of the items first
        (0, 20, 4, 25),
        (0, 4, 20, 5),
        // what one of them has updated is gone when the other one is through
        (8, 16, 4, 25),
        (8, 16, 4, 5),
        (8, 4, 16, 25),
        (8, 4, 16, 5),
    ];
    for course in courses {
        let (after, items, variants, window) = course;
        let setup = Setup::catalog(5, 30).variable("window_seconds", window);
        run(setup, async |shop| {
            let lengths = (items, variants);
            updated_while_items_go(&shop, after, lengths, &format!("{course:?}"), async || {})
                .await;
        });
    }
}

/// Why a run does not hear that Klaviyo has created items anew.
#[derive(Debug, Clone)]
enum Unheard {
    /// The answers are lost, so often.
    Answers(Fault, u64),
    /// Nothing is saved for a while from then on.
    Saves,
}

impl Unheard {
    async fn happen(&self, shop: &Shop) {
        let creation = "catalog-item-bulk-create-jobs";
        match self {
            Self::Answers(fault, times) => {
                let lost = Rule::always(fault.clone()).method(Method::POST);
                let lost = lost.path(creation).times(*times);
                shop.world.klaviyo_faults().add(lost);
            }
            Self::Saves => {
                until_called(shop, format!("POST /api/{creation}")).await;
                let faults = shop.world.commercetools_faults();
                let unsaved = Rule::always(Fault::LoseRequest).method(Method::POST);
                faults.add(unsaved.path("custom-objects"));
                shop.pass(Duration::from_secs(60)).await;
                faults.clear();
            }
        }
    }
}

#[test]
fn variants_of_an_item_that_is_created_anew_follow_although_nobody_hears_of_that() {
    // both kinds of jobs find the items gone; those of the variants first; what one has updated is gone for the other
    let courses = [(0, 12, 12), (0, 20, 4), (8, 16, 4), (8, 4, 16)];
    let troubles = [
        Unheard::Answers(Fault::LoseAnswer, 50),
        Unheard::Answers(Fault::Hold(Duration::from_secs(600)), 1),
        Unheard::Saves,
    ];
    for (course, trouble) in courses
        .iter()
        .flat_map(|course| troubles.iter().map(move |trouble| (course, trouble)))
    {
        for window in [5, 25] {
            let &(after, items, variants) = course;
            let setup = Setup::catalog(5, 30)
                .variable("window_seconds", window)
                .scheduled();
            run(setup, async |shop| {
                let what = format!("{course:?}, {trouble:?}, {window}");
                let happen = async || trouble.happen(&shop).await;
                updated_while_items_go(&shop, after, (items, variants), &what, happen).await;
                let faults = [
                    shop.world.klaviyo_faults(),
                    shop.world.commercetools_faults(),
                ];
                assert!(faults.iter().any(|faults| faults.applied() > 0), "{what}");
            });
        }
    }
}

/// Klaviyo's look-ups of items do not show those that were created less than so long ago.
struct LateListing {
    world: Rc<World>,
    seen: RefCell<BTreeMap<String, Timestamp>>,
    after: Duration,
}

impl Interceptor for LateListing {
    fn response(&self, to: Destination, call: &str, response: Response<Bytes>) -> Answered {
        let is_look_up = to == Destination::Klaviyo && call == "GET /api/catalog-items";
        let body = serde_json::from_slice::<Value>(response.body());
        let (true, Ok(mut body)) = (is_look_up, body) else {
            return Ok(response);
        };
        let now = self.world.clock().now();
        let mut seen = self.seen.borrow_mut();
        let items = body["data"].as_array_mut().expect("items");
        items.retain(|item| {
            let id = item["id"].as_str().expect("an id").to_owned();
            let since = *seen.entry(id).or_insert(now);
            now.duration_since(since).unsigned_abs() >= self.after
        });
        let (mut parts, _) = response.into_parts();
        parts.headers.remove("content-length");
        Ok(Response::from_parts(parts, Bytes::from(body.to_string())))
    }
}

#[test]
fn variants_of_items_that_klaviyo_shows_late_are_sent_all_the_same() {
    let setup = Setup::catalog(0, 30);
    let expected = run(Setup::catalog(0, 30), async |shop| {
        shop.complete("products", "").await
    });
    run(setup, async |shop| {
        let late = LateListing {
            world: shop.world.clone(),
            seen: RefCell::default(),
            after: Duration::from_secs(3),
        };
        let watched = shop.another_with(&[], Rc::new(late));
        let status = watched.complete("products", "").await;
        assert_eq!(counted(&status), counted(&expected), "{status}");
        shop.assert_ledger(&[Kind::Product]);
    });
}

/// The rule by which Klaviyo does not know the jobs of this kind, so often.
fn unknown(jobs: &str, times: u64) -> Rule {
    let refused = Rule::always(Fault::refuse(404)).method(Method::GET);
    refused.path(format!("{jobs}/")).times(times)
}

const JOBS: [&str; 4] = [
    "catalog-item-bulk-create-jobs",
    "catalog-variant-bulk-create-jobs",
    "catalog-item-bulk-update-jobs",
    "catalog-variant-bulk-update-jobs",
];

#[test]
fn a_job_that_klaviyo_does_not_know_yet_is_waited_for() {
    let mut setup = Setup::catalog(0, 30);
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(12));
    run(setup, async |shop| {
        for jobs in JOBS {
            shop.world.klaviyo_faults().add(unknown(jobs, 2));
        }
        let first = shop.complete("products", "").await;
        let again = shop.complete("products", "").await;
        assert_eq!(shop.world.klaviyo_faults().applied(), 8);
        for status in [&first, &again] {
            assert_eq!(status["counts"]["sent"], status["total"], "{status}");
            assert_eq!(
                status["variants"]["sent"], status["variants"]["read"],
                "{status}"
            );
            assert_eq!(
                status["counts"]["notes"]["jobs-without-result"],
                Value::Null,
                "{status}"
            );
        }
        shop.assert_ledger(&[Kind::Product]);
    });
}

#[test]
fn what_jobs_without_a_result_were_to_do_is_looked_up_and_decided_again() {
    let setup = || {
        let mut setup = Setup::catalog(0, 30).variable("window_seconds", 10);
        // some take effect in time, and some never do
        setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(2));
        setup
    };
    let expected = run(setup(), async |shop| shop.complete("products", "").await);
    for jobs in JOBS {
        run(setup(), async |shop| {
            if jobs.contains("update") {
                shop.complete("products", "").await;
            }
            shop.world.klaviyo_faults().add(unknown(jobs, u64::MAX));
            let status = shop.complete("products", "").await;
            assert!(shop.world.klaviyo_faults().applied() > 0, "{jobs}");
            assert_eq!(counted(&status), counted(&expected), "{jobs}: {status}");
            shop.assert_ledger(&[Kind::Product]);
        });
    }
}

#[test]
fn what_jobs_that_never_end_were_to_create_fails_by_name() {
    let mut setup = Setup::catalog(0, 12).scheduled();
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(7 * 86_400));
    run(setup, async |shop| {
        let status = shop.complete("products", "").await;
        let items = &status["counts"];
        assert_eq!(
            (&items["sent"], &items["failed"]),
            (&json!(0), &status["total"]),
            "{status}"
        );
        assert_eq!(status["failedRecords"], status["total"], "{status}");
        assert_eq!(status["variants"]["sent"], 0, "{status}");
    });
}
