//! The way from one to another: what becomes of a call, and how long it takes.

use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use http::header::{DATE, HOST, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode, Uri};
use jiff::SignedDuration;
use jiff::fmt::rfc2822::DateTimePrinter;
use klaviyo_bulk_import::api::Request;
use klaviyo_bulk_import::ports::{Body, Http, Limits, LocalFuture, TransportError};
use klaviyo_bulk_import::run::self_call::SELF_URL;
use sim::peer::Peer;

use crate::schedule::{Fate, Link};
use crate::world::{COMMERCETOOLS, KLAVIYO, World};

/// How long an answer is held at most.
const LONGEST_HOLD: Duration = Duration::from_secs(90);
/// How much later the second copy of a call arrives, at most.
const LATEST_COPY: Duration = Duration::from_secs(20);
/// How much later the second copy of a call to an API arrives, at most.
const SOON: Duration = Duration::from_secs(2);
/// How long nobody hears of a call that hangs.
const FOREVER: Duration = Duration::from_secs(600);

type Answer = Result<Response<Bytes>, TransportError>;

fn lost() -> TransportError {
    TransportError::Connection("lost".to_owned())
}

/// An instance's way out.
pub(crate) struct Wire {
    pub(crate) world: Weak<World>,
    pub(crate) instance: u64,
}

impl Http for Wire {
    fn send(&self, request: http::Request<Body>, limits: Limits) -> LocalFuture<'_, Answer> {
        Box::pin(async move {
            let world = self.world.upgrade().ok_or_else(lost)?;
            let request = request.map(|body| body.to_bytes());
            world.watch_call(self.instance, &request);
            let (sender, receiver) = oneshot::channel();
            let flight = fly(Rc::clone(&world), self.instance, request, sender);
            world.executor.spawn(None, flight);
            drop(world);
            let answer = receiver.await.unwrap_or_else(|_| Err(lost()))?;
            if answer.body().len() > limits.max_bytes {
                let limit = limits.max_bytes;
                return Err(TransportError::TooLarge { limit });
            }
            Ok(answer)
        })
    }
}

fn link(uri: &Uri) -> Option<Link> {
    let text = uri.to_string();
    [
        (COMMERCETOOLS, Link::Commercetools),
        (KLAVIYO, Link::Klaviyo),
        (SELF_URL, Link::Itself),
    ]
    .into_iter()
    .find_map(|(url, link)| text.starts_with(url).then_some(link))
}

/// A call of an instance on its way. Once begun it does not depend on the caller: that one may be gone when it arrives.
async fn fly(
    world: Rc<World>,
    instance: u64,
    request: http::Request<Bytes>,
    sender: oneshot::Sender<Answer>,
) {
    let Some(link) = link(request.uri()) else {
        _ = sender.send(Err(TransportError::Denied));
        return;
    };
    let fate = world.fate(link);
    world.travel().await;
    let what = format!("{} {}", request.method(), request.uri().path());
    // a connection that is closed by the caller may take what is on it along
    let is_taken_along = sender.is_canceled() && world.rng.borrow_mut().bool();
    if is_taken_along || fate == Fate::LoseRequest {
        world.note(format!("i{instance} -> {what}: lost"));
        return;
    }
    if fate == Fate::Hang {
        world.note(format!("i{instance} -> {what}: hangs"));
        world.executor.sleep(FOREVER).await;
        return;
    }
    let response = match (fate, link) {
        (Fate::Refuse(status, retry_after), _) => Some(refusal(status, retry_after)),
        (Fate::Double, Link::Commercetools | Link::Klaviyo) => {
            world.ask(link, &request);
            world.note(format!("i{instance} -> {what}: arrives twice"));
            world.executor.sleep(world.up_to(SOON)).await;
            Some(world.ask(link, &request))
        }
        (_, Link::Commercetools | Link::Klaviyo) => Some(world.ask(link, &request)),
        (_, Link::Itself | Link::Outside) => {
            if fate == Fate::Double {
                world.deliver_later(itself(&request));
            }
            world.deliver(itself(&request)).await.ok()
        }
    };
    let status = response
        .as_ref()
        .map_or(0, |response| response.status().as_u16());
    world.note(format!("i{instance} -> {what}: {status} {fate:?}"));
    world.travel_back(fate).await;
    let answer = match (fate, response) {
        (Fate::LoseAnswer | Fate::HalfAnswer, _) | (_, None) => Err(lost()),
        (_, Some(response)) => Ok(response),
    };
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

fn refusal(status: u16, retry_after: Option<u32>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"{}"));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

impl World {
    /// What becomes of a call over this link.
    pub(crate) fn fate(&self, link: Link) -> Fate {
        for &(of, fate, chance) in &self.schedule.faults {
            if of == link && self.strikes(chance) {
                return fate;
            }
        }
        Fate::Pass
    }

    pub(crate) async fn travel(&self) {
        self.executor.sleep(self.up_to(self.schedule.latency)).await;
    }

    pub(crate) async fn travel_back(&self, fate: Fate) {
        if fate == Fate::Hold {
            self.executor.sleep(self.up_to(LONGEST_HOLD)).await;
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

    fn ask(&self, api: Link, request: &http::Request<Bytes>) -> Response<Bytes> {
        match api {
            Link::Commercetools => self.ask_commercetools(request),
            _ => self.ask_klaviyo(request),
        }
    }

    fn ask_commercetools(&self, request: &http::Request<Bytes>) -> Response<Bytes> {
        let request = as_received(request, COMMERCETOOLS);
        let mut response = self.project.borrow_mut().answer(self.now(), &request);
        self.watch_stored(&request, &response);
        // its servers' clocks differ by a second
        let skew = SignedDuration::from_secs(self.rng.borrow_mut().i64(-1..=1));
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
        let request = as_received(request, KLAVIYO);
        self.klaviyo.borrow_mut().answer(self.now(), &request)
    }
}

/// The request as a server gets it: the target without the host, which is in a header.
fn as_received(request: &http::Request<Bytes>, base: &str) -> http::Request<Bytes> {
    let mut received = request.clone();
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    *received.uri_mut() = target.parse().expect("a part of a URL");
    let host = base.trim_start_matches("http://");
    let host = HeaderValue::from_str(host).expect("a host");
    received.headers_mut().insert(HOST, host);
    received
}
