//! Nights after an import, without trouble: what was left undone by day is known at night.
//!
//! - An import of changes of everything does what it can, where one resource cannot be imported.
//! - What Klaviyo has refused is remembered through a night, and sent when it is asked for again.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::Request;
use klaviyo_bulk_import::run::state::Resource;
use native::CONTAINER;
use serde_json::{Value, json};
use sim::klaviyo::{Choice, ImportErrors};
use uuid::Builder;

use crate::operator::{LOOK, Stuck};
use crate::records::copy;
use crate::schedule::{Goal, Schedule, kind, pick};
use crate::traps::page_limit;
use crate::world::World;

/// What is started at night.
const CHANGES: &str = r#"{"since": "lastRun"}"#;
/// How long after the day the night begins: what was on its way has arrived.
const EVENING: Duration = Duration::from_secs(300);

/// Why no import of changes of a resource can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undone {
    /// Somebody has deleted its run document, as if it had never been imported.
    NeverImported(Resource),
    /// All of it has been deleted from Klaviyo. Of products only: who deletes categories has to import products anew as
    /// well.
    ProductsDeleted,
    /// Its last run has failed, and nobody has taken it up yet.
    Failed(Resource),
}

impl Undone {
    fn resource(self) -> Resource {
        match self {
            Self::NeverImported(resource) | Self::Failed(resource) => resource,
            Self::ProductsDeleted => Resource::Products,
        }
    }

    /// What the plan of the night says of a resource when it is over.
    fn state(self, resource: Resource) -> &'static str {
        match self {
            Self::NeverImported(of) if of == resource => "omitted",
            Self::ProductsDeleted if resource == Resource::Products => "omitted",
            Self::Failed(of) if of == resource => "failed",
            // they need what has failed
            Self::Failed(Resource::Categories) if resource == Resource::Products => "skipped",
            _ => "completed",
        }
    }
}

impl Schedule {
    /// What is left undone when the night comes. Drawn apart, so that what else a seed draws does not depend on it.
    fn undone(&self) -> Option<Undone> {
        let rng = &mut Rng::with_seed(self.seed ^ 0x0417);
        let is_drawn = self.goal == Goal::Plan && rng.u8(..3) > 0 && self.has_time_for_pages();
        let undone = match rng.u8(..9) {
            0 => Undone::ProductsDeleted,
            1..=4 => Undone::NeverImported(pick(rng, &Resource::ALL)),
            _ => Undone::Failed(pick(rng, &Resource::ALL)),
        };
        is_drawn.then_some(undone)
    }

    /// Whether what Klaviyo refuses is asked for again in the end, when Klaviyo takes it. Drawn apart, so that what else a
    /// seed draws does not depend on it.
    pub(crate) fn asks_again(&self) -> bool {
        let is_of = |resource| self.goal == Goal::Import(resource);
        // only what is known by its id can be asked for again
        let is_named = !is_of(Resource::Customers)
            || self.unrecorded.import_errors == ImportErrors::Documented;
        let is_import = matches!(self.goal, Goal::Import(_)) && !self.extremes.variants_go;
        let is_drawn = Rng::with_seed(self.seed ^ 0xa6a1).u8(..3) > 0;
        self.refused.is_some() && is_import && is_named && is_drawn
    }
}

impl World {
    /// The nights after the goal was reached.
    ///
    /// # Errors
    /// Where one is never over, or cannot begin.
    pub(crate) async fn live_through_nights(
        self: &Rc<Self>,
        longest: Duration,
    ) -> Result<(), Stuck> {
        let deadline = self.executor.elapsed() + longest;
        if let Some(undone) = self.schedule.undone() {
            self.executor.sleep(EVENING).await;
            self.night_of_all(undone, deadline).await?;
        }
        if self.schedule.asks_again() {
            self.executor.sleep(EVENING).await;
            self.ask_again(deadline).await?;
        }
        Ok(())
    }

    /// Starts something that nobody else is at, and returns the answer. An instance may still have a token without the
    /// scope that was lost by day: another one is asked then.
    async fn start(
        self: &Rc<Self>,
        path: &str,
        body: &str,
        deadline: Duration,
    ) -> Result<(u16, Value), Stuck> {
        while self.executor.elapsed() < deadline {
            match self.post(path, body).await {
                None | Some((423 | 500.., _)) => self.executor.sleep(LOOK).await,
                Some(answered) => return Ok(answered),
            }
        }
        Err(format!("{path} cannot be started with {body}"))
    }

    /// Starts a run, which has to begin, and waits until it has completed.
    async fn complete(
        self: &Rc<Self>,
        resource: Resource,
        body: &str,
        deadline: Duration,
    ) -> Result<(), Stuck> {
        let path = format!("/sync/{resource}");
        match self.start(&path, body, deadline).await? {
            (202, _) => self.see_completed(resource, deadline).await,
            (code, answer) => Err(format!("{resource} with {body}: {code} {answer}")),
        }
    }

    /// Waits until a run that has begun has completed, following its advice where it fails.
    async fn see_completed(
        self: &Rc<Self>,
        resource: Resource,
        deadline: Duration,
    ) -> Result<(), Stuck> {
        loop {
            let status = self.wait_for(resource, deadline).await?;
            if status["status"] == "completed" {
                return Ok(());
            }
            self.mend(&status);
            let path = format!("/sync/{resource}");
            self.start(&path, r#"{"resume": true}"#, deadline).await?;
        }
    }

    /// A plan of changes, where one resource cannot be imported. The others are, and then that one.
    async fn night_of_all(
        self: &Rc<Self>,
        undone: Undone,
        deadline: Duration,
    ) -> Result<(), Stuck> {
        self.note(format!("{undone:?}"));
        match undone {
            Undone::ProductsDeleted => {
                let body = r#"{"deleteAll": true, "confirmDeletion": "products"}"#;
                self.complete(Resource::Products, body, deadline).await?;
            }
            Undone::NeverImported(resource) => self.delete_document(resource),
            Undone::Failed(resource) => self.let_run_fail(resource, deadline).await?,
        }
        // what a run has counted at its start stays as it is
        let is_counted = |resource: &Resource| undone == Undone::Failed(*resource);
        for resource in Resource::ALL.into_iter().filter(|one| !is_counted(one)) {
            self.change_one(resource);
        }
        self.note("a night of changes");
        let (code, answer) = self.start("/sync", CHANGES, deadline).await?;
        if code != 202 {
            return Err(format!("a night with {undone:?}: {code} {answer}"));
        }
        self.see_the_plan_through(deadline).await?;
        self.others_were_imported(undone);
        match undone {
            Undone::Failed(resource) => self.see_completed(resource, deadline).await?,
            _ => self.complete(undone.resource(), "", deadline).await?,
        }
        if undone == Undone::Failed(Resource::Categories) {
            self.complete(Resource::Products, "", deadline).await?;
        }
        Ok(())
    }

    /// A run fails for a reason that does not pass by itself.
    async fn let_run_fail(
        self: &Rc<Self>,
        resource: Resource,
        deadline: Duration,
    ) -> Result<(), Stuck> {
        self.pages_refused.set(Some(resource));
        self.start(&format!("/sync/{resource}"), "", deadline)
            .await?;
        let status = self.wait_for(resource, deadline).await?;
        self.pages_refused.set(None);
        match status["status"] == "failed" {
            true => Ok(()),
            false => Err(format!("{resource} of which no page can be read: {status}")),
        }
    }

    /// Whether commercetools takes a call for a page of records for a wrong one.
    pub(crate) fn refuses_page(&self, request: &Request<Bytes>) -> bool {
        let refused = self.pages_refused.get();
        let is_of = refused.is_some_and(|resource| {
            let path = request.uri().path();
            path.ends_with(resource.name())
                || resource == Resource::Products && path.ends_with("/product-projections")
        });
        is_of && page_limit(request).is_some()
    }

    fn delete_document(&self, resource: Resource) {
        let mut project = self.project.borrow_mut();
        project.delete_custom_object(CONTAINER, resource.name());
    }

    /// Klaviyo refuses no record any more.
    fn take_everything(&self) {
        self.note("Klaviyo takes everything");
        let mut klaviyo = self.klaviyo.borrow_mut();
        let options = klaviyo.options_mut();
        options.refuse_imports = Choice::None;
        options.refuse_profiles = Choice::None;
        options.refuse_events = Choice::None;
        options.refuse_entries = Choice::None;
    }

    /// A record is another one, or there is one more.
    fn change_one(&self, resource: Resource) {
        let kind = kind(resource);
        let now = self.now();
        let mut rng = self.rng.borrow_mut();
        let mut project = self.project.borrow_mut();
        let ids = project.ids(kind);
        if ids.is_empty() {
            return;
        }
        let id = ids[rng.usize(..ids.len())];
        match resource {
            Resource::Customers => {
                project.change(kind, id, now, |customer| {
                    customer["lastName"] = "Renamed".into();
                });
                return;
            }
            Resource::Products => {
                project.change(kind, id, now, |product| {
                    let name = json!({"en-US": "Of another name"});
                    product["masterData"]["current"]["name"] = name;
                });
                return;
            }
            // an event stays as it was sent first, with the names that categories had then
            Resource::Orders | Resource::Categories => {}
        }
        let added = Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid();
        let record = project.record(kind, id).expect("it is there");
        project.put(kind, &copy(resource, record, added));
        project.change(kind, added, now, |_| {});
    }

    /// What the plan says of the night: it has left out what could not be imported, and imported the others.
    fn others_were_imported(&self, undone: Undone) {
        let project = self.project.borrow();
        let plan = project.custom_object(CONTAINER, "plan");
        let plan = plan.map(|object| &object.value).unwrap_or(&Value::Null);
        for resource in Resource::ALL {
            let mut steps = plan["steps"].as_array().into_iter().flatten();
            let step = steps.find(|step| step["resource"] == resource.name());
            let state = undone.state(resource);
            if step.is_none_or(|step| step["state"] != state) {
                let text = format!("a night with {undone:?}: {resource} are not {state}: {step:?}");
                self.watch.violation(text);
            }
        }
    }

    /// A night in which hardly anything has changed. Then Klaviyo takes everything, and the operator asks for what it had
    /// refused.
    async fn ask_again(self: &Rc<Self>, deadline: Duration) -> Result<(), Stuck> {
        let resource = self.schedule.goal.resources()[0];
        self.note("a night of changes");
        self.complete(resource, CHANGES, deadline).await?;
        self.take_everything();
        let (path, body) = (format!("/sync/{resource}"), r#"{"retryFailed": true}"#);
        // where nothing is known to have failed, everything has to be there
        if let (202, _) = self.start(&path, body, deadline).await? {
            self.see_completed(resource, deadline).await?;
        }
        Ok(())
    }
}
