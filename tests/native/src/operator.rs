//! Somebody who operates the app: an operator, or a scheduler. They make calls and wait for what comes of them.

use std::time::Duration;

use serde_json::Value;
use sim::commercetools::CustomObject;
use sim::seed::Kind;
use sim::world::World;

use crate::CONTAINER;
use crate::call::{Answer, Call};

/// How often an operator looks.
pub const LOOK: Duration = Duration::from_millis(500);

/// How long something is waited for, in the world's time: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(6 * 3_600);

/// An app that is operated.
#[expect(
    async_fn_in_trait,
    reason = "tests wait for one thing at a time, on one thread"
)]
pub trait Operator {
    /// Both APIs.
    fn world(&self) -> &World;

    /// The app's log lines, which tell what went wrong where a test fails.
    fn log(&self) -> Vec<String>;

    /// A call; nothing where the connection broke before the whole answer was there.
    async fn try_send(&self, call: Call) -> Option<Answer>;

    /// Lets time pass.
    async fn pass(&self, duration: Duration);

    /// A call that is answered.
    async fn send(&self, call: Call) -> Answer {
        self.try_send(call).await.expect("the app answers")
    }

    /// A GET.
    async fn get(&self, path: &str) -> Answer {
        self.send(Call::get(path)).await
    }

    /// A POST with a body, which may be empty.
    async fn post(&self, path: &str, body: impl ToString) -> Answer {
        self.send(Call::post(path, body)).await
    }

    /// What a GET shows that must succeed.
    async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// How the run of a resource stands.
    async fn status(&self, resource: &str) -> Value {
        self.read(&format!("/sync/{resource}")).await
    }

    /// A POST that must be answered with this status; gives the body of the answer.
    async fn posted(&self, path: &str, body: impl ToString, status: u16) -> Value {
        let body = body.to_string();
        let answer = self.post(path, &body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        answer.body
    }

    /// Starts a run that must be accepted.
    async fn start(&self, resource: &str, body: impl ToString) -> Value {
        self.posted(&format!("/sync/{resource}"), body, 202).await
    }

    /// Calls `continue` of a resource.
    async fn go_on(&self, resource: &str) -> Answer {
        self.post(&format!("/sync/{resource}/continue"), "").await
    }

    /// Calls `stop` of a resource.
    async fn stop(&self, resource: &str) -> Answer {
        self.post(&format!("/sync/{resource}/stop"), "").await
    }

    /// Waits until the status of a resource is so.
    async fn until(&self, resource: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = self.world().clock().elapsed();
        loop {
            let status = self.status(resource).await;
            if is_so(&status) {
                return status;
            }
            self.assert_patience(begun, &status);
            self.pass(LOOK).await;
        }
    }

    /// Waits until a run is over, whatever has come of it.
    async fn over(&self, resource: &str) -> Value {
        self.until(resource, |status| status["status"] != "running")
            .await
    }

    /// Waits until a run is over, and asserts that it has completed.
    async fn completed(&self, resource: &str) -> Value {
        let status = self.over(resource).await;
        self.assert_completed(&status);
        status
    }

    /// Waits until a run is over, and asserts that it has failed; gives the advice that it leaves.
    async fn failed(&self, resource: &str) -> String {
        let status = self.over(resource).await;
        assert_eq!(status["status"], "failed", "{status}");
        let advice = status["lastError"]["advice"].as_str();
        advice.expect("a failed run leaves advice").to_owned()
    }

    /// Starts a run and waits until it is over, whatever has come of it.
    async fn import(&self, resource: &str, body: impl ToString) -> Value {
        self.start(resource, body).await;
        self.over(resource).await
    }

    /// Ticks as a scheduler does until a run is over; gives its status after each tick.
    async fn ticked(&self, resource: &str) -> Vec<Value> {
        let begun = self.world().clock().elapsed();
        let mut seen = Vec::new();
        loop {
            self.go_on(resource).await;
            let status = self.status(resource).await;
            let is_over = status["status"] != "running";
            self.assert_patience(begun, &status);
            seen.push(status);
            if is_over {
                return seen;
            }
            self.pass(LOOK).await;
        }
    }

    /// Starts a run, ticks as a scheduler does until it is over, and gives how it stands then.
    async fn carried(&self, resource: &str, body: impl ToString) -> Value {
        self.start(resource, body).await;
        let last = self.ticked(resource).await.pop();
        let status = last.expect("a tick");
        assert_counts_add_up(&status);
        status
    }

    /// As [`Operator::carried`], where the run must complete.
    async fn complete(&self, resource: &str, body: impl ToString) -> Value {
        let status = self.carried(resource, body).await;
        self.assert_completed(&status);
        status
    }

    /// Starts a run, however many calls go wrong on the way.
    async fn start_despite_faults(&self, resource: &str) {
        loop {
            let answer = self.post(&format!("/sync/{resource}"), "").await;
            match answer.status {
                202 | 423 => return,
                502 | 503 => {}
                _ => panic!("{}", answer.body),
            }
        }
    }

    /// Ticks as a scheduler does until a run has completed, however many calls go wrong on the way: after so many ticks
    /// they go well. Until then a run whose windows were too short to achieve anything is resumed, as its advice says: five
    /// such windows in a row end it, also where calls are held for longer than a window.
    async fn complete_despite_faults(&self, resource: &str, ticks: u32) -> Value {
        let begun = self.world().clock().elapsed();
        let mut ticked = 0;
        loop {
            let answer = self.get(&format!("/sync/{resource}")).await;
            let status = answer.body;
            match (answer.status, status["status"].as_str()) {
                (200, Some("completed")) => {
                    assert_counts_add_up(&status);
                    return status;
                }
                (200, Some("running")) | (502 | 503, _) => {}
                (200, Some("failed")) if ticked <= ticks && has_stood_still(&status) => {
                    self.post(&format!("/sync/{resource}"), r#"{"resume":true}"#)
                        .await;
                }
                _ => panic!("{status}\n{}", self.log().join("\n")),
            }
            self.assert_patience(begun, &status);
            ticked += 1;
            if ticked > ticks {
                self.end_faults();
            }
            // as it is called by name, and with all others
            let path = match ticked % 2 {
                0 => "/sync/continue".to_owned(),
                _ => format!("/sync/{resource}/continue"),
            };
            self.post(&path, "").await;
            self.pass(Duration::from_secs(2)).await;
        }
    }

    /// All calls of both APIs go well from now on.
    fn end_faults(&self) {
        self.world().commercetools_faults().clear();
        self.world().klaviyo_faults().clear();
    }

    /// Waits until the plan is over, ticking as a scheduler does where there is one.
    async fn plan_over(&self, has_scheduler: bool) -> Value {
        let begun = self.world().clock().elapsed();
        loop {
            let status = self.read("/sync/status").await;
            if status["plan"]["status"] != "running" {
                return status;
            }
            self.assert_patience(begun, &status);
            if has_scheduler {
                let answer = self.post("/sync/continue", "").await;
                let is_known = matches!(answer.status, 200 | 202 | 503);
                assert!(is_known, "{}: {}", answer.status, answer.body);
            }
            self.pass(LOOK).await;
        }
    }

    /// Asserts that a run has completed, and its counts add up.
    fn assert_completed(&self, status: &Value) {
        let log = self.log().join("\n");
        assert_eq!(status["status"], "completed", "{status}\n{log}");
        assert_counts_add_up(status);
    }

    /// Asserts that what is waited for since a moment has not been waited for too long.
    fn assert_patience(&self, begun: Duration, status: &Value) {
        let waited = self.world().clock().elapsed() - begun;
        let log = || self.log().join("\n");
        assert!(waited < PATIENCE, "never came to be: {status}\n{}", log());
    }

    /// Asserts that Klaviyo has exactly what the seed asks for, and that no call broke a contract.
    fn assert_ledger(&self, kinds: &[Kind]) {
        let world = self.world();
        let now = world.clock().now();
        world.klaviyo(|klaviyo| klaviyo.settle(now));
        if let Err(differences) = world.check_ledger_of(kinds) {
            panic!("Klaviyo does not have what the seed asks for: {differences:?}");
        }
        self.assert_contract();
    }

    /// Asserts that no call and no answer broke a contract.
    fn assert_contract(&self) {
        let violations = self.world().violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }

    /// The ids of all records of a kind, in their order.
    fn ids(&self, kind: Kind) -> Vec<String> {
        let ids = self.world().commercetools(|project| project.ids(kind));
        ids.iter().map(ToString::to_string).collect()
    }

    /// Somebody changes a record, which must be there.
    fn change_record(&self, kind: Kind, id: &str, change: impl FnOnce(&mut Value)) {
        let now = self.world().clock().now();
        let id = id.parse().expect("an id");
        let is_there = self
            .world()
            .commercetools(|project| project.change(kind, id, now, change));
        assert!(is_there, "there is no record {id}");
    }

    /// The ids of the published products, in order.
    fn published_products(&self) -> Vec<String> {
        self.world().commercetools(|project| {
            let mut ids = Vec::new();
            project.for_each_published_product(|product| {
                let product: Value = serde_json::from_str(product).expect("a product");
                ids.push(product["id"].as_str().expect("an id").to_owned());
            });
            ids
        })
    }

    /// Changes what is published of a product.
    fn change_published(&self, id: &str, change: impl FnOnce(&mut Value)) {
        self.change_record(Kind::Product, id, |product| {
            change(&mut product["masterData"]["current"]);
        });
    }

    /// The skus that Klaviyo has of an item.
    fn skus_of(&self, item: &str) -> Vec<String> {
        self.world().klaviyo(|klaviyo| {
            let catalog = klaviyo.ledger().catalog();
            catalog.variants_of(item).map(str::to_owned).collect()
        })
    }

    /// A run document or the plan as it stands in commercetools.
    fn stored(&self, key: &str) -> Option<CustomObject> {
        self.world()
            .commercetools(|project| project.custom_object(CONTAINER, key).cloned())
    }

    /// The content of [`Operator::stored`], which must be there.
    fn document(&self, key: &str) -> Value {
        let stored = self.stored(key);
        stored.expect("it is stored in commercetools").value
    }

    /// Puts a run document or a plan into commercetools, as it were by hand.
    fn put_document(&self, key: &str, value: &Value) {
        let now = self.world().clock().now();
        self.world().commercetools(|project| {
            project.put_custom_object(now, CONTAINER, key, value);
        });
    }

    /// Changes what is stored, as it were by hand.
    fn change_document(&self, key: &str, change: impl FnOnce(&mut Value)) {
        let mut document = self.document(key);
        change(&mut document);
        self.put_document(key, &document);
    }

    /// Deletes a run document or the plan from commercetools; whether it was there.
    fn delete_document(&self, key: &str) -> bool {
        self.world()
            .commercetools(|project| project.delete_custom_object(CONTAINER, key))
    }
}

/// read = sent + skipped + failed, of records and of variants.
///
/// # Panics
/// Where they do not.
pub fn assert_counts_add_up(status: &Value) {
    let variants = Some(&status["variants"]).filter(|variants| !variants.is_null());
    for counts in [&status["counts"]].into_iter().chain(variants) {
        let number = |value: &Value| {
            value
                .as_u64()
                .unwrap_or_else(|| panic!("not a count: {counts}"))
        };
        let skipped = counts["skipped"].as_object().expect("skipped by reason");
        let skipped: u64 = skipped.values().map(number).sum();
        assert_eq!(
            number(&counts["read"]),
            number(&counts["sent"]) + skipped + number(&counts["failed"]),
            "{counts}"
        );
    }
}

/// The ids of the records that a run has set aside, in the order of the ids.
///
/// # Panics
/// Where the status has no list of them.
#[must_use]
pub fn reported(status: &Value) -> Vec<String> {
    let list = status["setAside"].as_array().expect("a list");
    let ids = list.iter().filter_map(|record| record["id"].as_str());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort_unstable();
    ids
}

/// The moment that a member of a status shows.
///
/// # Panics
/// Where it is none.
#[must_use]
pub fn moment(value: &Value) -> jiff::Timestamp {
    let moment = value.as_str().and_then(|text| text.parse().ok());
    moment.unwrap_or_else(|| panic!("no time: {value}"))
}

/// Whether a run has failed because its windows ended without progress.
fn has_stood_still(status: &Value) -> bool {
    status["lastError"]["message"] == "a window ended without progress"
}
