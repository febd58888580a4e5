//! The people and programs around the app: who starts, stops, continues, and what happens to the APIs meanwhile.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use klaviyo_bulk_import::api::Request;
use klaviyo_bulk_import::run::state::Resource;
use native::Call;
use serde_json::Value;
use sim::faults::Fault;

use crate::records::Unsettled;
use crate::schedule::{Disturbance, Goal, Link};
use crate::world::World;

/// How long it may take to reach the goal after the trouble.
const LONGEST_RUN: Duration = Duration::from_secs(12 * 3_600);
/// The longest window that can be configured.
const LONGEST_WINDOW: Duration = Duration::from_secs(25);
/// The pause between two looks.
pub(crate) const LOOK: Duration = Duration::from_secs(15);
/// Callers that continue at once.
const MANY: usize = 7;
/// How often all jobs are cancelled at most: after that many times an entry is counted as refused.
const CANCELLATIONS: u32 = 2;
/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a goal was not reached.
pub(crate) type Stuck = String;

impl World {
    /// A call from outside; `None` where there is no answer.
    pub(crate) async fn call(
        self: &Rc<Self>,
        method: Method,
        path: &str,
        body: &str,
    ) -> Option<(u16, Value)> {
        let call = Call::new(method.clone(), path).body(body.to_owned());
        let request = || Request::from(call.clone());
        let is_start =
            method == Method::POST && !path.ends_with("/stop") && !path.ends_with("/continue");
        let fault = self.fault(Link::Outside);
        self.travel().await;
        let response = match fault {
            Some(Fault::LoseRequest | Fault::Hang | Fault::Refuse(..)) => None,
            _ => {
                // a start that comes a second time is one that nobody knows to be under way
                if fault == Some(Fault::Double) && !is_start {
                    self.deliver_later(request());
                }
                self.deliver(request()).await.ok()
            }
        };
        if fault == Some(Fault::Hang) {
            self.executor.sleep(PATIENCE).await;
        }
        self.travel_back(fault.as_ref()).await;
        if fault == Some(Fault::LoseAnswer) {
            return None;
        }
        let response = response?;
        let body = serde_json::from_slice(response.body()).unwrap_or_default();
        Some((response.status().as_u16(), body))
    }

    pub(crate) async fn post(self: &Rc<Self>, path: &str, body: &str) -> Option<(u16, Value)> {
        self.call(Method::POST, path, body).await
    }

    async fn status(self: &Rc<Self>, resource: Resource) -> Option<Value> {
        let (code, status) = self
            .call(Method::GET, &format!("/sync/{resource}"), "")
            .await?;
        (code == 200).then_some(status)
    }

    pub(crate) fn start_call(&self) -> (String, String) {
        match self.schedule.goal {
            Goal::Import(resource) => (format!("/sync/{resource}"), String::new()),
            Goal::Deletion(resource) => (
                format!("/sync/{resource}"),
                format!(r#"{{"deleteAll": true, "confirmDeletion": "{resource}"}}"#),
            ),
            Goal::Plan => ("/sync".to_owned(), String::new()),
        }
    }

    /// Everything from what the goal needs to be there until it is reached.
    ///
    /// # Errors
    /// Where it is not reached.
    pub(crate) async fn reach_goal(
        self: &Rc<Self>,
        unsettled: &Rc<Unsettled>,
    ) -> Result<(), Stuck> {
        self.prepare().await?;
        self.let_variants_go(unsettled);
        self.set_trap().await;
        self.make_trouble();
        let is_over = Rc::new(Cell::new(false));
        self.schedule_ticks(&is_over);
        let disturbances_left = Rc::new(Cell::new(self.schedule.disturbances.len()));
        for &(disturbance, pause) in &self.schedule.disturbances {
            let (world, unsettled) = (Rc::clone(self), Rc::clone(unsettled));
            let left = Rc::clone(&disturbances_left);
            self.executor.spawn(None, async move {
                world.disturb(disturbance, pause, &unsettled).await;
                left.set(left.get() - 1);
            });
        }
        let end = self.executor.elapsed() + self.schedule.trouble;
        let (path, body) = self.start_call();
        while self.executor.elapsed() < end {
            if matches!(self.post(&path, &body).await, Some((202 | 423, _))) {
                break;
            }
            self.executor.sleep(LOOK).await;
        }
        self.let_others_in();
        self.let_account_be_read();
        self.let_document_vanish();
        self.let_items_go();
        self.let_trap_spring();
        let left = end.saturating_sub(self.executor.elapsed());
        self.executor.sleep(left).await;
        self.calm_down();
        self.wait_for_outage().await;
        // who has stopped and is about to start again does that first
        while disturbances_left.get() > 0 {
            self.executor.sleep(LOOK).await;
        }
        let deadline = self.executor.elapsed() + LONGEST_RUN;
        let mut stops = self.wait_for_restarts().await;
        loop {
            if self.schedule.goal == Goal::Plan {
                self.see_the_plan_through(deadline).await?;
            }
            for &resource in self.schedule.goal.resources() {
                self.see_through(resource, deadline).await?;
            }
            // what somebody else has stopped and started since is to be seen through as well
            let before = std::mem::replace(&mut stops, self.wait_for_restarts().await);
            if stops == before {
                break;
            }
        }
        self.bring_items_back(unsettled, deadline).await?;
        self.live_on(LONGEST_RUN).await?;
        self.live_through_nights(LONGEST_RUN).await?;
        is_over.set(true);
        Ok(())
    }

    /// What the goal needs to be there, without trouble.
    async fn prepare(self: &Rc<Self>) -> Result<(), Stuck> {
        let before: &[Resource] = match self.schedule.goal {
            Goal::Import(Resource::Products) if self.schedule.extremes.variants_go => {
                &[Resource::Categories, Resource::Products]
            }
            Goal::Import(Resource::Products) if self.schedule.lacks_categories() => &[],
            Goal::Import(Resource::Products) => &[Resource::Categories],
            Goal::Deletion(Resource::Products) => &[Resource::Categories, Resource::Products],
            Goal::Deletion(resource) => match resource {
                Resource::Categories => &[Resource::Categories],
                _ => &[],
            },
            Goal::Import(_) | Goal::Plan => &[],
        };
        let is_over = Rc::new(Cell::new(false));
        self.schedule_ticks(&is_over);
        for &resource in before {
            let deadline = self.executor.elapsed() + LONGEST_RUN;
            self.post(&format!("/sync/{resource}"), "").await;
            let status = self.wait_for(resource, deadline).await?;
            let run = status["runId"].as_str().map(str::to_owned);
            *self.prepared.borrow_mut() = run;
        }
        is_over.set(true);
        Ok(())
    }

    /// A scheduler that calls every now and then until the goal is reached.
    fn schedule_ticks(self: &Rc<Self>, is_over: &Rc<Cell<bool>>) {
        let (world, is_over) = (Rc::clone(self), Rc::clone(is_over));
        self.executor.spawn(None, async move {
            while !is_over.get() {
                world.executor.sleep(world.schedule.tick).await;
                if world.is_left_alone() {
                    continue;
                }
                let calling = Rc::clone(&world);
                // like a cron job's, its calls do not wait for one another
                world.executor.spawn(None, async move {
                    _ = calling.post("/sync/continue", "").await;
                });
            }
        });
    }

    pub(crate) async fn wait_for(
        self: &Rc<Self>,
        resource: Resource,
        deadline: Duration,
    ) -> Result<Value, Stuck> {
        let mut last = Value::Null;
        while self.executor.elapsed() < deadline {
            if let Some(status) = self.status(resource).await {
                if status["status"] != "running" {
                    return Ok(status);
                }
                last = status;
            }
            self.executor.sleep(LOOK).await;
        }
        Err(format!("{resource} are never over: {last}"))
    }

    /// Brings the import of a resource to its end, whatever the trouble has left of it.
    pub(crate) async fn see_through(
        self: &Rc<Self>,
        resource: Resource,
        deadline: Duration,
    ) -> Result<(), Stuck> {
        let path = format!("/sync/{resource}");
        let is_deletion = matches!(self.schedule.goal, Goal::Deletion(_));
        let body = if is_deletion {
            self.start_call().1
        } else {
            String::new()
        };
        while self.executor.elapsed() < deadline {
            let status = self.wait_for(resource, deadline).await?;
            // what came before a deletion was an import
            let is_errand = status["options"]["deleteAll"] == is_deletion
                && status["runId"].as_str() != self.prepared.borrow().as_deref();
            match status["status"].as_str() {
                Some("completed") if is_errand => {
                    if !self.found(&status) {
                        return Ok(());
                    }
                    self.post(&path, r#"{"retryFailed": true}"#).await;
                }
                Some("failed") => {
                    self.found(&status);
                    self.mend(&status);
                    let confirmation = self.confirm(&status).await;
                    let resume = confirmation.as_deref().unwrap_or(r#"{"resume": true}"#);
                    self.post(&path, resume).await;
                }
                _ => {
                    self.post(&path, &body).await;
                }
            }
            self.executor.sleep(LOOK).await;
        }
        Err(format!("{resource} do not come to their end"))
    }

    /// Follows the advice of a run that has failed: where windows are too short, the app is deployed anew with longer ones.
    pub(crate) fn mend(&self, status: &Value) {
        self.watch_failure(status);
        let advice = status["lastError"]["advice"].as_str().unwrap_or_default();
        let mut config = self.config.borrow_mut();
        let (config, deployment) = &mut *config;
        if advice.contains("window_seconds") && config.window < LONGEST_WINDOW {
            config.window = (config.window * 2).min(LONGEST_WINDOW);
            *deployment += 1;
            self.note(format!("windows of {:?}", config.window));
        }
    }

    pub(crate) async fn see_the_plan_through(
        self: &Rc<Self>,
        deadline: Duration,
    ) -> Result<(), Stuck> {
        let mut last = Value::Null;
        while self.executor.elapsed() < deadline {
            if let Some((200, status)) = self.call(Method::GET, "/sync/status", "").await {
                if status["plan"]["status"] != "running" {
                    return Ok(());
                }
                // a run that has failed is the operator's to take up
                for resource in Resource::ALL {
                    if status[resource.name()]["status"] == "failed" {
                        self.mend(&status[resource.name()]);
                        self.post(&format!("/sync/{resource}"), r#"{"resume": true}"#)
                            .await;
                    }
                }
                last = status;
            }
            self.executor.sleep(LOOK).await;
        }
        Err(format!("the plan is never over: {last}"))
    }

    /// Applies a disturbance again and again while things go wrong.
    async fn disturb(
        self: &Rc<Self>,
        disturbance: Disturbance,
        pause: Duration,
        unsettled: &Unsettled,
    ) {
        loop {
            self.executor.sleep(self.up_to(pause * 2)).await;
            if !self.is_troubled.get() {
                return;
            }
            self.note(format!("{disturbance:?}"));
            self.apply(disturbance, pause, unsettled).await;
        }
    }

    async fn apply(
        self: &Rc<Self>,
        disturbance: Disturbance,
        pause: Duration,
        unsettled: &Unsettled,
    ) {
        let (start, body) = self.start_call();
        match disturbance {
            Disturbance::TokensRevoked => self.project.borrow_mut().revoke_tokens(),
            Disturbance::ScopeLost => {
                self.give_scope(false);
                self.executor.sleep(pause / 4).await;
                self.give_scope(true);
            }
            Disturbance::KeyRevoked => {
                self.know_key(false);
                self.executor.sleep(pause / 4).await;
                self.know_key(true);
            }
            Disturbance::JobsCancelled if self.cancellations.get() < CANCELLATIONS => {
                self.cancellations.set(self.cancellations.get() + 1);
                let now = self.now();
                self.klaviyo.borrow_mut().cancel_unfinished_jobs(now);
            }
            Disturbance::JobsCancelled => {}
            Disturbance::Restart => self
                .alive()
                .into_iter()
                .for_each(|number| self.kill(number)),
            Disturbance::ClockJumps => self
                .alive()
                .into_iter()
                .for_each(|number| self.let_clock_jump(number)),
            Disturbance::RecordChanges => self.change_a_record(unsettled),
            Disturbance::StopAndStart => {
                self.post(&format!("{start}/stop"), "").await;
                self.executor.sleep(self.up_to(pause)).await;
                self.post(&start, &body).await;
            }
            Disturbance::ContinuedByMany => {
                let path = match self.schedule.goal {
                    Goal::Plan => format!("{start}/continue"),
                    Goal::Import(resource) | Goal::Deletion(resource) => {
                        format!("/sync/{resource}/continue")
                    }
                };
                join_all((0..MANY).map(|_| self.post(&path, ""))).await;
            }
            Disturbance::StartedAgain => {
                self.post(&start, &body).await;
            }
        }
    }
}
