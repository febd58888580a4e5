//! A chain that nobody helps: no scheduler calls, and something does not arrive, once. What has begun goes on by itself.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::{Method, Request};
use klaviyo_bulk_import::run::state::{Resource, Status};
use native::CONTAINER;
use native::environment::Destination;
use serde_json::{Value, json};

use super::{Missing, Trap};
use crate::schedule::{Goal, pick};
use crate::world::World;

/// How long no attempt of a plan's save arrives: longer than the app tries.
const PLAN_LOST: Duration = Duration::from_secs(15);
/// The longest that a chain may take to its end. None takes an hour where nothing else goes wrong.
const LONGEST_CHAIN: Duration = Duration::from_secs(2 * 3_600);
/// How often somebody looks.
const LOOK: Duration = Duration::from_secs(10);
/// Of a plan those that begin at once: what follows them begins when the plan moves on, which a scheduler sees to.
const FIRST_OF_PLAN: [Resource; 2] = [Resource::Customers, Resource::Categories];

/// What is missing. Drawn apart, so that what else a seed draws does not depend on it.
pub(super) fn draw(seed: u64, goal: Goal) -> Missing {
    let rng = &mut Rng::with_seed(seed ^ 0xa10e);
    // a window that tries again saves it, or it does not and the next one works again
    let last_save = Missing::LastSave(pick(rng, &[3, 12].map(Duration::from_secs)));
    match goal {
        Goal::Plan => Missing::PlanSave,
        _ => pick(rng, &[last_save, last_save, Missing::SelfCall]),
    }
}

/// The custom object that a call writes.
fn draft(to: Destination, request: &Request<Bytes>) -> Option<Value> {
    let is_write = to == Destination::Commercetools
        && request.method() == Method::POST
        && request.uri().path().ends_with("/custom-objects");
    let draft = is_write.then(|| serde_json::from_slice(request.body()).ok());
    draft.flatten()
}

impl World {
    /// Whether nobody but the app itself calls it.
    pub(crate) fn is_left_alone(&self) -> bool {
        matches!(self.trap(), Some(Trap::NobodyCalls(_))) && !self.sprung.is_mended.get()
    }

    /// Whether a call is what does not arrive.
    pub(super) fn is_missing(
        &self,
        missing: Missing,
        to: Destination,
        request: &Request<Bytes>,
    ) -> bool {
        let (is_meant, lasts) = match missing {
            Missing::PlanSave => (says_what_has_begun(to, request), PLAN_LOST),
            Missing::LastSave(lasts) => (self.ends_window(to, request), lasts),
            Missing::SelfCall => (to == Destination::Itself, Duration::ZERO),
        };
        let now = self.executor.elapsed();
        let since = self.sprung.missing_since.get();
        if is_meant && since.is_none() {
            self.sprung.missing_since.set(Some(now));
        }
        is_meant && since.is_none_or(|since| now < since + lasts)
    }

    /// Whether a window says with it how it has ended.
    fn ends_window(&self, to: Destination, request: &Request<Bytes>) -> bool {
        let resource = self.schedule.goal.resources()[0];
        draft(to, request).is_some_and(|draft| {
            let document = &draft["value"];
            draft["key"] == resource.name()
                && document["lease"].is_null()
                && document["window"].as_u64() > Some(0)
        })
    }

    /// The runs that have begun come to their end although nobody calls. Then a scheduler does.
    pub(super) async fn expect_to_go_on(self: &Rc<Self>) {
        let begun: &[Resource] = match self.schedule.goal {
            Goal::Plan => &FIRST_OF_PLAN,
            goal => goal.resources(),
        };
        let end = self.executor.elapsed() + LONGEST_CHAIN;
        loop {
            self.executor.sleep(LOOK).await;
            let stuck = begun.iter().find(|resource| self.is_under_way(**resource));
            let Some(stuck) = stuck else { break };
            if self.executor.elapsed() > end {
                let text = format!("{stuck} do not go on by themselves");
                self.watch.violation(text);
                break;
            }
        }
        self.sprung.is_mended.set(true);
        self.note("a scheduler calls");
    }

    fn is_under_way(&self, resource: Resource) -> bool {
        let project = self.project.borrow();
        let object = project.custom_object(CONTAINER, resource.name());
        object.is_some_and(|object| object.value["status"] == json!(Status::Running))
    }
}

/// Whether a plan says with it that runs of it have begun.
fn says_what_has_begun(to: Destination, request: &Request<Bytes>) -> bool {
    draft(to, request).is_some_and(|draft| {
        let steps = draft["value"]["steps"].as_array().into_iter().flatten();
        let mut states = steps.map(|step| &step["state"]);
        draft["key"] == "plan" && states.any(|state| state == "running")
    })
}
