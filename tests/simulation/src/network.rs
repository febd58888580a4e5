//! The way from one to another: what becomes of a call, and how long it takes.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use jiff::SignedDuration;
use jiff::fmt::rfc2822::DateTimePrinter;
use klaviyo_bulk_import::api::Request;
use native::environment::{Answered, Destination, lost};
use sim::faults::Fault;
use sim::klaviyo::recorded_refusal;
use sim::peer::Peer;

use crate::schedule::Link;
use crate::traps::Caught;
use crate::world::World;

/// How much later the second copy of a call arrives, at most.
const LATEST_COPY: Duration = Duration::from_secs(20);
/// How much later the second copy of a call to an API arrives, at most.
const SOON: Duration = Duration::from_secs(2);
/// How long nobody hears of a call that hangs.
const FOREVER: Duration = Duration::from_secs(600);

/// A call of an instance on its way. Once begun it does not depend on the caller: that one may be gone when it arrives.
pub(crate) async fn fly(
    world: Rc<World>,
    instance: u64,
    to: Destination,
    request: http::Request<Bytes>,
    sent: Vec<String>,
    sender: oneshot::Sender<Answered>,
) {
    let fault = world.fault(Link::To(to));
    world.travel().await;
    let what = format!("{} {}", request.method(), request.uri().path());
    // a connection that is closed by the caller may take what is on it along
    let is_taken_along = sender.is_canceled() && world.rng.borrow_mut().bool();
    if is_taken_along || fault == Some(Fault::LoseRequest) {
        world.note(format!("i{instance} -> {what}: lost"));
        return;
    }
    if world.is_down(to, request.uri().path()) {
        world.note(format!("i{instance} -> {what}: down"));
        if world.rng.borrow_mut().bool() {
            world.travel_back(None).await;
            _ = sender.send(Ok(refusal(to, 503, None)));
        }
        return;
    }
    if fault == Some(Fault::Hang) {
        world.note(format!("i{instance} -> {what}: hangs"));
        world.executor.sleep(FOREVER).await;
        return;
    }
    match world.caught(to, &request) {
        None => {}
        Some(Caught::Lost) => {
            world.note(format!("i{instance} -> {what}: is caught"));
            _ = sender.send(Err(lost()));
            return;
        }
        Some(Caught::Silence) => {
            world.note(format!("i{instance} -> {what}: is caught"));
            world.executor.sleep(FOREVER).await;
            return;
        }
        Some(Caught::Answered(response, after)) => {
            let status = response.status().as_u16();
            world.note(format!("i{instance} -> {what}: is caught, {status}"));
            world.executor.sleep(after).await;
            world.travel_back(None).await;
            _ = sender.send(Ok(response));
            return;
        }
    }
    world.watch_arrival(instance, &what, &sent);
    let fault = match world.arrives_twice(&request) {
        true => Some(Fault::Double),
        false => fault,
    };
    let response = match (&fault, to) {
        (Some(Fault::Refuse(status, retry_after)), _) => Some(refusal(to, *status, *retry_after)),
        (_, Destination::Commercetools) if world.refuses_page(&request) => {
            Some(refusal(to, 400, None))
        }
        (Some(Fault::Double), Destination::Commercetools | Destination::Klaviyo) => {
            world.ask(instance, to, &request);
            world.note(format!("i{instance} -> {what}: arrives twice"));
            world.executor.sleep(world.up_to(SOON)).await;
            Some(world.ask(instance, to, &request))
        }
        (_, Destination::Commercetools | Destination::Klaviyo) => {
            Some(world.ask(instance, to, &request))
        }
        (_, Destination::Itself) => {
            if fault == Some(Fault::Double) {
                world.deliver_later(itself(&request));
            }
            world.deliver(itself(&request)).await.ok()
        }
    };
    let status = response
        .as_ref()
        .map_or(0, |response| response.status().as_u16());
    world.note(format!(
        "i{instance} -> {what}: {status} {}",
        told(fault.as_ref())
    ));
    world.travel_back(fault.as_ref()).await;
    let answer = match (fault, response) {
        (Some(Fault::LoseAnswer | Fault::HalfAnswer), _) | (_, None) => Err(lost()),
        (_, Some(response)) => Ok(response.map(|body| world.hold(instance, body))),
    };
    if answer.is_ok() && to == Destination::Commercetools {
        world.note_answer(instance, &request, status);
    }
    _ = sender.send(answer);
}

fn itself(request: &http::Request<Bytes>) -> Request {
    Request {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        headers: request.headers().clone(),
        body: request.body().clone(),
    }
}

/// A refusal by something on the way, as far as it was recorded with a body.
fn refusal(to: Destination, status: u16, retry_after: Option<u32>) -> Response<Bytes> {
    let recorded = (to == Destination::Klaviyo).then(|| recorded_refusal(status, retry_after));
    if let Some(refusal) = recorded.flatten() {
        return refusal;
    }
    let mut response = Response::new(Bytes::from_static(b"{}"));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// What became of a call, as histories have it.
fn told(fault: Option<&Fault>) -> String {
    match fault {
        None => "Pass".to_owned(),
        Some(Fault::Hold(_)) => "Hold".to_owned(),
        Some(fault) => format!("{fault:?}"),
    }
}

impl World {
    /// What goes wrong with a call over this link, if anything.
    pub(crate) fn fault(&self, link: Link) -> Option<Fault> {
        let mut faults = self.schedule.faults.iter();
        let found = faults.find(|(of, _, chance)| *of == link && self.is_drawn(*chance));
        found.map(|(_, fault, _)| fault.clone())
    }

    pub(crate) async fn travel(&self) {
        self.executor.sleep(self.up_to(self.schedule.latency)).await;
    }

    pub(crate) async fn travel_back(&self, fault: Option<&Fault>) {
        if let Some(Fault::Hold(longest)) = fault {
            self.executor.sleep(self.up_to(*longest)).await;
        }
        self.travel().await;
    }

    /// A second copy of a request arrives some time.
    pub(crate) fn deliver_later(self: &Rc<Self>, request: Request) {
        let world = Rc::clone(self);
        self.executor.spawn(None, async move {
            world.executor.sleep(world.up_to(LATEST_COPY)).await;
            world.note("a second copy arrives");
            _ = world.deliver(request).await;
        });
    }

    fn ask(
        &self,
        instance: u64,
        api: Destination,
        request: &http::Request<Bytes>,
    ) -> Response<Bytes> {
        match api {
            Destination::Commercetools => self.ask_commercetools(instance, request),
            _ => self.ask_klaviyo(request),
        }
    }

    fn ask_commercetools(&self, instance: u64, request: &http::Request<Bytes>) -> Response<Bytes> {
        let mut response = self.project.borrow_mut().answer(self.now(), request);
        self.watch_stored(request, &response);
        // its servers' clocks differ by a second
        let skew = SignedDuration::from_secs(self.rng.borrow_mut().i64(-1..=1));
        let skew = skew - self.clock_lag(instance);
        let date = self.now().checked_add(skew).ok();
        let date = date.and_then(|date| {
            DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&date)
                .ok()
        });
        if let Some(date) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
            response.headers_mut().insert(DATE, date);
        }
        response
    }

    fn ask_klaviyo(&self, request: &http::Request<Bytes>) -> Response<Bytes> {
        self.klaviyo.borrow_mut().answer(self.now(), request)
    }
}
