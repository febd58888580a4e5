//! What the operator and others do in a trap, and what they expect of the app.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use klaviyo_bulk_import::run::state::Resource;
use native::CONTAINER;
use serde_json::Value;
use sim::klaviyo::Kind as EntryKind;

use super::Trap;
use crate::schedule::Goal;
use crate::world::World;

/// Callers that start at once.
const STARTERS: usize = 4;
/// How soon after a run has begun its document is deleted, at most.
const DELETED_WITHIN: Duration = Duration::from_secs(4);
/// How often the document is looked at by who waits for a moment.
const GLANCE: Duration = Duration::from_millis(100);
/// The longest that six windows take whose leases run out and that a scheduler's tick follows.
const DEAD_WINDOWS: Duration = Duration::from_secs(1_800);
/// How often somebody looks whether a run waits.
const LOOK_AT_WAITING: Duration = Duration::from_secs(300);
/// How long somebody sees a run wait.
const WAITS_LONG: SignedDuration = SignedDuration::from_hours(7);
/// The records that cannot be told from an outage when they are all that is left: with these documents without any
/// accepted beside them, it is one.
const ALONE: u64 = 3;
/// How long an answer may still tell of a document that is gone.
const ANSWER_TIME: SignedDuration = SignedDuration::from_secs(60);
/// Stops while a batch is on its way, at most.
const STOPS: u32 = 4;
/// The chance that a batch is one of those.
const STOP_CHANCE: f64 = 0.2;

impl World {
    /// What the goal needs is there. Several callers start it at once, where that is the trap.
    pub(crate) async fn set_trap(self: &Rc<Self>) {
        self.sprung.is_set.set(true);
        match self.trap() {
            Some(Trap::PoisonousRecord) => self.choose_poison(),
            Some(Trap::RacingStarts) => self.race().await,
            _ => {}
        }
    }

    /// Of those who start at once each gets to know whether there is a run: nothing is wrong with any API.
    async fn race(self: &Rc<Self>) {
        let (path, body) = self.start_call();
        let answers = join_all((0..STARTERS).map(|_| self.post(&path, &body))).await;
        for (code, answer) in answers.into_iter().flatten() {
            if !matches!(code, 202 | 423 | 409) {
                let text = format!("a start among others was answered with {code}: {answer}");
                self.watch.violation(text);
            }
        }
    }

    /// The run has been started.
    pub(crate) fn let_trap_spring(self: &Rc<Self>) {
        let world = Rc::clone(self);
        match self.trap() {
            Some(Trap::DeletedAtWork) => self.executor.spawn(None, async move {
                world.delete_at_work().await;
            }),
            Some(Trap::DeadWindows) => self.executor.spawn(None, async move {
                world.expect_failure().await;
            }),
            Some(Trap::PoisonousRecord) => self.executor.spawn(None, async move {
                world.mend_what_is_alone().await;
            }),
            Some(Trap::NobodyCalls(_)) => self.executor.spawn(None, async move {
                world.expect_to_go_on().await;
            }),
            _ => {}
        }
    }

    /// A record with which Klaviyo answers 503 cannot be told from an outage where nothing else is left to send. Somebody
    /// who sees a run wait for hours mends it, and expects that nothing but what belongs to it has waited.
    async fn mend_what_is_alone(self: &Rc<Self>) {
        let total = self.of_document(|document| document["total"].clone());
        loop {
            self.executor.sleep(LOOK_AT_WAITING).await;
            let (status, progress) = (
                self.of_document(|document| document["status"].clone()),
                self.of_document(|document| document["lastProgressAt"].clone()),
            );
            if status == "completed" {
                return;
            }
            let since: Option<Timestamp> = progress.as_str().and_then(|text| text.parse().ok());
            let waits = since.is_some_and(|since| self.now().duration_since(since) > WAITS_LONG);
            if self.is_troubled.get() || !waits {
                continue;
            }
            let left = total
                .as_u64()
                .unwrap_or_default()
                .saturating_sub(self.arrived());
            if left > ALONE {
                let text = format!("{left} records wait for one that Klaviyo does not bear");
                self.watch.violation(text);
            }
            self.note("somebody mends the record that Klaviyo does not bear");
            *self.sprung.poison.borrow_mut() = None;
            return;
        }
    }

    /// How many records have arrived in Klaviyo, or have been set aside. An entry of the catalog may have arrived before
    /// it counts: what comes before it in the same document is committed first.
    fn arrived(&self) -> u64 {
        let read = self.of_document(|document| document["counts"]["read"].clone());
        let read = read.as_u64().unwrap_or_default();
        let klaviyo = self.klaviyo.borrow();
        let categories = klaviyo.ledger().catalog().entries(EntryKind::Category);
        read.max(categories.len() as u64)
    }

    fn resource(&self) -> Resource {
        self.schedule.goal.resources()[0]
    }

    /// A member of the goal's run document; null where there is none.
    fn of_document(&self, read: impl Fn(&Value) -> Value) -> Value {
        let project = self.project.borrow();
        let object = project.custom_object(CONTAINER, self.resource().name());
        object.map_or(Value::Null, |object| read(&object.value))
    }

    /// Somebody deletes the document of a run that is being worked on, and starts anew at once.
    async fn delete_at_work(self: &Rc<Self>) {
        self.executor.sleep(self.up_to(DELETED_WITHIN)).await;
        let lease = loop {
            if !self.is_troubled.get() {
                return;
            }
            let lease = self.of_document(|document| document["lease"].clone());
            if lease.is_object() {
                break lease;
            }
            self.executor.sleep(GLANCE).await;
        };
        let holder = lease["holder"].as_str().unwrap_or_default();
        let until: Option<Timestamp> = lease["until"].as_str().and_then(|text| text.parse().ok());
        let orphan = self.watch.instance_of(holder).zip(until);
        self.sprung.orphans.borrow_mut().extend(orphan);
        let run = self.of_document(|document| document["runId"].clone());
        let run = run.as_str().unwrap_or_default().to_owned();
        self.sprung.deleted.borrow_mut().insert(run, self.now());
        self.note("somebody deletes the run document while it is worked on, and starts anew");
        let resource = self.resource();
        self.project
            .borrow_mut()
            .delete_custom_object(CONTAINER, resource.name());
        let (path, body) = self.start_call();
        self.post(&path, &body).await;
    }

    /// A run whose windows are all killed says so: it fails, with advice. Then the operator sees to the platform.
    async fn expect_failure(self: &Rc<Self>) {
        let end = self.executor.elapsed() + DEAD_WINDOWS;
        loop {
            self.executor.sleep(GLANCE * 10).await;
            let status = self.of_document(|document| document["status"].clone());
            if status != "running" || self.sprung.has_failed.get() {
                break;
            }
            if self.executor.elapsed() >= end {
                self.watch.violation(format!(
                    "every window has been killed for {DEAD_WINDOWS:?}, and the run does not say so"
                ));
                break;
            }
        }
        self.sprung.is_mended.set(true);
        self.note("the platform lets windows live");
    }

    /// The run of this resource is stored. One that has failed says what to do about windows that are killed. Somebody may
    /// take it up before anybody looks again, so that it is seen here.
    pub(crate) fn watch_dead_windows(&self, resource: &str, document: &Value) {
        let is_meant = self.trap() == Some(Trap::DeadWindows)
            && !self.is_mended_now()
            && resource == self.resource().name()
            && document["status"] == "failed";
        if !is_meant || self.sprung.has_failed.replace(true) {
            return;
        }
        let advice = &document["lastError"]["advice"];
        let is_told = advice
            .as_str()
            .is_some_and(|advice| advice.contains("memory_mib"));
        // windows that are too short for the calls fail a run as well, before any of them is killed
        if self.sprung.has_ended_window.get() && !is_told {
            let text = format!("every window was killed, and the advice is {advice}");
            self.watch.violation(text);
        }
    }

    /// Somebody stops the run now that a batch is on its way.
    pub(crate) fn stop_while_sending(self: &Rc<Self>) {
        let is_meant = self.trap() == Some(Trap::StopWhileSending)
            && self.sprung.stops.get() < STOPS
            && self.is_drawn(STOP_CHANCE);
        if !is_meant {
            return;
        }
        self.sprung.stops.set(self.sprung.stops.get() + 1);
        let due = &self.sprung.restarts_due;
        due.set(due.get() + 1);
        let world = Rc::clone(self);
        self.executor.spawn(None, async move {
            let (path, body) = world.start_call();
            world.post(&format!("{path}/stop"), "").await;
            world.executor.sleep(world.up_to(GLANCE * 100)).await;
            world.post(&path, &body).await;
            let due = &world.sprung.restarts_due;
            due.set(due.get() - 1);
        });
    }

    /// Whoever has stopped the run while a batch was on its way has started it again. Returns how often that was.
    pub(crate) async fn wait_for_restarts(&self) -> u32 {
        while self.sprung.restarts_due.get() > 0 {
            self.executor.sleep(GLANCE * 10).await;
        }
        self.sprung.stops.get()
    }

    /// What the operator finds, and what was not to be found. Returns whether something is left to be asked for again.
    pub(crate) fn found(&self, status: &Value) -> bool {
        let is_failed = status["status"] == "failed";
        match self.trap() {
            Some(Trap::ShutAccount) => {
                if !self.is_mended_now() && !is_failed {
                    let text = "a run has completed although Klaviyo took nothing of it";
                    self.watch.violation(text.to_owned());
                }
                self.sprung.is_mended.set(true);
                !is_failed && status["counts"]["failed"].as_u64() > Some(0)
            }
            Some(Trap::Memory(memory)) if is_failed => {
                let error = &status["lastError"];
                let text = format!("a run has failed where {memory:?} is enough: {error}");
                self.watch.violation(text);
                false
            }
            _ => false,
        }
    }

    fn is_mended_now(&self) -> bool {
        self.sprung.is_mended.get()
    }

    /// The app has answered who asks for the run: one that somebody has deleted does not come back.
    pub(crate) fn watch_deleted(&self, what: &str, response: &Response<Bytes>) {
        let is_status = what == format!("GET /sync/{}", self.resource());
        if !is_status || response.status() != StatusCode::OK {
            return;
        }
        let status: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let run = status["runId"].as_str().unwrap_or_default();
        let deleted = self.sprung.deleted.borrow();
        let is_back = deleted
            .get(run)
            .is_some_and(|at| self.now().duration_since(*at) > ANSWER_TIME);
        let is_alive = matches!(status["status"].as_str(), Some("running" | "completed"));
        if is_back && is_alive && matches!(self.schedule.goal, Goal::Import(_)) {
            let text = format!("{run} was deleted, and is {} again", status["status"]);
            self.watch.violation(text);
        }
    }

    /// Nothing of a run that was refused as a whole counts as up to date.
    pub(crate) fn watch_up_to_date(&self, document: &Value) {
        let is_shut = self.trap() == Some(Trap::ShutAccount) && !self.is_mended_now();
        if is_shut && !document["upToDateSince"].is_null() {
            let text = "up to date, although Klaviyo took nothing";
            self.watch.violation(text.to_owned());
        }
    }
}
