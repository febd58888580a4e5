//! What the APIs and the way to them do in a trap.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use klaviyo_bulk_import::run::state::Status;
use native::CONTAINER;
use native::environment::Destination;
use serde_json::{Value, json};

use super::{Memory, Slow, Trap};
use crate::extremes::MOST_HELD;
use crate::schedule::kind;
use crate::world::World;

/// How long what says that the run is over does not get through.
const COMPLETION_LOST: Duration = Duration::from_secs(60);
/// How late a server's clock is at most: the app tells a clock that is wrong from one that is set anew by a minute.
const LATEST: i64 = 50;
/// After how many answers an instance gets some of a server whose clock is late: it knows the time by then.
const ANSWERS_IN_TIME: u32 = 2;
/// When commercetools gives up a query.
const QUERY_TIME: Duration = Duration::from_secs(20);

/// What a trap makes of a call.
pub(crate) enum Caught {
    /// It does not arrive.
    Lost,
    /// Nobody hears of it any more.
    Silence,
    /// This is the answer, after so long.
    Answered(Response<Bytes>, Duration),
}

fn answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response
}

/// Whether documents are sent to Klaviyo with it.
fn carries_documents(request: &Request<Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path().contains("-bulk-")
}

/// How many records a page is asked to have; `None` where it is no page.
pub(crate) fn page_limit(request: &Request<Bytes>) -> Option<usize> {
    let query = request.uri().query()?;
    let mut parameters = query.split('&').filter_map(|one| one.split_once('='));
    let limit = parameters.find_map(|(name, value)| (name == "limit").then_some(value));
    limit?.parse().ok().filter(|&limit| limit > 0)
}

impl World {
    /// The trap that has been set, once what the goal needs is there.
    pub(crate) fn trap(&self) -> Option<Trap> {
        self.schedule.trap.filter(|_| self.sprung.is_set.get())
    }

    fn is_mended(&self) -> bool {
        self.sprung.is_mended.get()
    }

    /// What the trap makes of a call, if anything.
    pub(crate) fn caught(&self, to: Destination, request: &Request<Bytes>) -> Option<Caught> {
        match (self.trap()?, to) {
            (Trap::SlowPages(above, how), Destination::Commercetools) => {
                let path = request.uri().path();
                let resource = self.schedule.goal.resources()[0];
                let is_page = path.ends_with(resource.name());
                // a look-up that takes that long leaves no time for its halves in a window
                let is_lookup = request
                    .uri()
                    .query()
                    .is_some_and(|query| query.contains("id+in+"));
                let is_meant = is_page && (how == Slow::BadGateway || !is_lookup);
                let is_slow = is_meant && page_limit(request).is_some_and(|limit| limit > above);
                is_slow.then(|| too_slow(how))
            }
            (Trap::PoisonousRecord, Destination::Klaviyo) if carries_documents(request) => {
                let poison = self.sprung.poison.borrow();
                let poison = poison.as_ref()?.as_bytes();
                let mut windows = request.body().windows(poison.len());
                let body = json!({"errors": [{"status": 503, "code": "service_unavailable"}]});
                let response = answer(StatusCode::SERVICE_UNAVAILABLE, &body);
                let is_in_it = windows.any(|window| window == poison);
                is_in_it.then_some(Caught::Answered(response, Duration::ZERO))
            }
            (Trap::ShutAccount, Destination::Klaviyo)
                if !self.is_mended() && carries_documents(request) =>
            {
                let body = json!({"errors": [{
                    "id": "9a4b5a4e-6a6f-4b0c-9d5e-0f1a2b3c4d5e", "status": 400, "code": "invalid",
                    "title": "Invalid input.", "detail": "This account takes nothing.",
                    "source": {"pointer": "/data"}, "links": {}, "meta": {},
                }]});
                let response = answer(StatusCode::BAD_REQUEST, &body);
                Some(Caught::Answered(response, Duration::ZERO))
            }
            (Trap::LostCompletion, Destination::Commercetools) => {
                let is_over = self.completes_the_goal(request);
                is_over.then_some(Caught::Lost)
            }
            (Trap::NobodyCalls(missing), _) => {
                let is_meant = self.is_missing(missing, to, request);
                is_meant.then_some(Caught::Lost)
            }
            _ => None,
        }
    }

    /// Whether a write says that the goal's run is over, and does not get through yet.
    fn completes_the_goal(&self, request: &Request<Bytes>) -> bool {
        let since = self.sprung.losing_since.get();
        let now = self.executor.elapsed();
        if since.is_some_and(|since| now > since + COMPLETION_LOST) {
            return false;
        }
        let is_write =
            request.method() == Method::POST && request.uri().path().ends_with("/custom-objects");
        if !is_write {
            return false;
        }
        let draft: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let resource = self.schedule.goal.resources()[0];
        let is_over =
            draft["key"] == resource.name() && draft["value"]["status"] == json!(Status::Completed);
        if is_over && since.is_none() {
            self.sprung.losing_since.set(Some(now));
        }
        is_over
    }

    /// Whether a call arrives twice, whatever else becomes of it.
    pub(crate) fn arrives_twice(&self, request: &Request<Bytes>) -> bool {
        self.trap() == Some(Trap::WritesTwice)
            && request.method() == Method::POST
            && request.uri().path().ends_with("/custom-objects")
    }

    /// An instance has got an answer that tells the time.
    pub(crate) fn note_answer(&self, instance: u64, request: &Request<Bytes>, status: u16) {
        let tells_time = status < 429 && !request.uri().path().ends_with("/token");
        let mut answers = self.sprung.answers.borrow_mut();
        *answers.entry(instance).or_default() += u32::from(tells_time);
    }

    /// By how much the clock of the server that answers this instance is late.
    pub(crate) fn clock_lag(&self, instance: u64) -> SignedDuration {
        let answers = self.sprung.answers.borrow().get(&instance).copied();
        if self.trap() != Some(Trap::LateClock) || answers.unwrap_or_default() < ANSWERS_IN_TIME {
            return SignedDuration::ZERO;
        }
        let mut rng = self.rng.borrow_mut();
        match rng.bool() {
            true => SignedDuration::from_secs(rng.i64(0..LATEST)),
            false => SignedDuration::ZERO,
        }
    }

    /// How many bytes of answers an instance bears.
    pub(crate) fn bears(&self) -> usize {
        match self.trap() {
            Some(Trap::Memory(Memory { bears_mib, .. })) => bears_mib << 20,
            _ => MOST_HELD,
        }
    }

    /// The platform ends an instance that works on a window, before that can save.
    pub(crate) fn end_window(self: &Rc<Self>, instance: u64, request: &Request<Bytes>) {
        if self.trap() != Some(Trap::DeadWindows) || self.is_mended() {
            return;
        }
        let path = request.uri().path();
        let is_work = carries_documents(request)
            || page_limit(request).is_some() && !path.contains("/custom-objects")
            || path.contains("-jobs")
            || path.ends_with("/graphql");
        if is_work && self.holds_lease(instance) {
            let world = Rc::clone(self);
            self.executor.spawn(None, async move {
                if world.alive().contains(&instance) {
                    world.note("the platform ends a window");
                    world.sprung.has_ended_window.set(true);
                    world.kill(instance);
                }
            });
        }
    }

    /// Whether this instance has the live lease of the goal's run.
    fn holds_lease(&self, instance: u64) -> bool {
        let resource = self.schedule.goal.resources()[0];
        let project = self.project.borrow();
        let object = project.custom_object(CONTAINER, resource.name());
        let lease = object.map(|object| &object.value["lease"]);
        let holder = lease.and_then(|lease| lease["holder"].as_str());
        holder.is_some_and(|holder| self.watch.is_holder(holder, instance))
    }

    /// Chooses the record that Klaviyo does not bear.
    pub(super) fn choose_poison(&self) {
        let resource = self.schedule.goal.resources()[0];
        let ids = self.project.borrow().ids(kind(resource));
        let chosen = ids.get(ids.len() / 2).map(ToString::to_string);
        self.note(format!("Klaviyo does not bear {chosen:?}"));
        *self.sprung.poison.borrow_mut() = chosen;
    }

    /// The id of the record that Klaviyo does not bear.
    pub(crate) fn poison(&self) -> Option<String> {
        self.sprung.poison.borrow().clone()
    }

    /// Whether an instance may still be at work on a run whose document is gone.
    pub(crate) fn is_orphaned(&self, instance: u64, now: Timestamp) -> bool {
        let orphans = self.sprung.orphans.borrow();
        orphans
            .iter()
            .any(|(of, until)| *of == instance && now <= *until)
    }
}

fn too_slow(how: Slow) -> Caught {
    match how {
        Slow::TimedOut => {
            let text = "The query timed out.";
            let body = json!({
                "statusCode": 400, "message": text, "errors": [{"code": "QueryTimedOut", "message": text}],
            });
            Caught::Answered(answer(StatusCode::BAD_REQUEST, &body), QUERY_TIME)
        }
        Slow::BadGateway => {
            Caught::Answered(answer(StatusCode::BAD_GATEWAY, &json!({})), Duration::ZERO)
        }
        Slow::Silence => Caught::Silence,
    }
}
